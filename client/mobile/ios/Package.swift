// swift-tools-version: 5.9
// The part of the sample that needs no phone: `swift test` compares its latents with TensorFlow's, on any system with
// Swift. The app itself is made by project.yml and Podfile.
import PackageDescription

let package = Package(
    name: "Genline",
    products: [.library(name: "Genline", targets: ["Genline"])],
    targets: [
        .target(name: "Genline"),
        .testTarget(name: "GenlineTests", dependencies: ["Genline"]),
    ]
)
