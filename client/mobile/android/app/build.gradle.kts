plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.genline.sample"
    compileSdk = 35

    defaultConfig {
        applicationId = "org.genline.sample"
        minSdk = 26
        targetSdk = 35
        versionCode = 1
        versionName = "1.0"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    // LiteRT maps the model from the package, which must not compress it.
    androidResources { noCompress += "tflite" }
}

kotlin { jvmToolchain(17) }

dependencies {
    implementation("com.google.ai.edge.litert:litert:2.3.0")
    testImplementation("junit:junit:4.13.2")
}

tasks.named("preBuild") {
    val model = file("src/main/assets/generator.tflite")
    doFirst { check(model.exists()) { "no $model: run python client/mobile/assets.py models/NAME/VERSION" } }
}
