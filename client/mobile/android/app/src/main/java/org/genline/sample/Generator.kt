// The generator on LiteRT's CompiledModel API. NOT COMPILED HERE: see client/mobile/README.md.
package org.genline.sample

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Color
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import kotlin.math.roundToInt
import org.json.JSONObject

/** A generator from the app's assets. Not thread-safe: one thread makes, uses and closes it. */
class Generator(context: Context) : AutoCloseable {
    private val about = JSONObject(context.assets.open(ABOUT).bufferedReader().use { it.readText() })
    private val latentSize = about.getInt("latent_size")
    private val shape = about.getJSONArray("image_shape").let { sizes -> List(sizes.length()) { sizes.getInt(it) } }

    /** A name a class; empty where the generator takes no labels. */
    val classNames = about.getJSONArray("class_names").let { names -> List(names.length()) { names.getString(it) } }

    private val model = CompiledModel.create(context.assets, MODEL, CompiledModel.Options(Accelerator.CPU))
    private val images = model.createOutputBuffer(IMAGES, SIGNATURE)
    private val inputs: Map<String, TensorBuffer> =
        (if (classNames.isEmpty()) listOf(LATENTS) else listOf(LATENTS, LABELS))
            .associateWith { model.createInputBuffer(it, SIGNATURE) }

    /** The image of a seed, and of a class where the generator has classes: the same on every platform. */
    fun image(seed: Long, truncation: Float = 1f, label: Int = 0): Bitmap {
        inputs.getValue(LATENTS).writeFloat(Seeds.latents(seed, latentSize, truncation))
        inputs[LABELS]?.writeInt(intArrayOf(label))
        model.run(inputs, mapOf(IMAGES to images), SIGNATURE)
        return bitmapOf(images.readFloat(), shape)
    }

    override fun close() {
        inputs.values.forEach { it.close() }
        images.close()
        model.close()
    }

    companion object {
        const val MODEL = "generator.tflite"
        const val ABOUT = "generator.json"
        const val SIGNATURE = "generate"
        const val LATENTS = "latents"
        const val LABELS = "labels"
        const val IMAGES = "images"
    }
}

/** An image of values (1, H, W, C) in [0, 1], with 1, 3 or 4 channels. */
fun bitmapOf(values: FloatArray, shape: List<Int>): Bitmap {
    val (height, width, channels) = shape
    val colors = IntArray(height * width) { pixel ->
        val levels = List(channels) { (values[pixel * channels + it] * 255).roundToInt().coerceIn(0, 255) }
        Color.argb(levels.getOrElse(3) { 255 }, levels[0], levels[channels / 3], levels[2 * (channels / 3)])
    }
    return Bitmap.createBitmap(colors, width, height, Bitmap.Config.ARGB_8888)
}
