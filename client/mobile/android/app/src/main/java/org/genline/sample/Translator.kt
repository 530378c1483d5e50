// A model that makes a picture of a picture, on LiteRT's CompiledModel API. NOT COMPILED HERE: see
// client/mobile/README.md.
package org.genline.sample

import android.content.Context
import android.graphics.Bitmap
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import org.json.JSONObject

/** A dot of colour, 0xRRGGBB, at a pixel of the model's input: what is there is to have that colour. */
data class Dot(val x: Int, val y: Int, val colour: Int)

/** A model from the app's assets. Not thread-safe: one thread makes, uses and closes it. */
class Translator(context: Context) : AutoCloseable {
    private val about = JSONObject(context.assets.open(Generator.ABOUT).bufferedReader().use { it.readText() })
    private val picture = about.getJSONObject("picture")
    private val shape = about.getJSONArray("image_shape").let { sizes -> List(sizes.length()) { sizes.getInt(it) } }
    private val frame = frameOf(picture)

    val width = frame.width
    val height = frame.height

    /** Whether it takes dots of colour. */
    val takesHints = picture.getBoolean("hints")

    private val model = CompiledModel.create(context.assets, Generator.MODEL, CompiledModel.Options(Accelerator.CPU))
    private val images = model.createOutputBuffer(Generator.IMAGES, Generator.SIGNATURE)
    private val inputs: Map<String, TensorBuffer> =
        (if (takesHints) listOf(IMAGE, HINTS) else listOf(IMAGE))
            .associateWith { model.createInputBuffer(it, Generator.SIGNATURE) }

    /** What becomes of a picture of any size, with some dots of colour. */
    fun translate(bitmap: Bitmap, dots: List<Dot> = emptyList()): Bitmap {
        val pixels = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        val prepared = Pictures.prepared(pixels, bitmap.width, bitmap.height, frame)
        inputs.getValue(IMAGE).writeFloat(FloatArray(prepared.size) { prepared[it] / 255f })
        inputs[HINTS]?.writeFloat(Hints.of(dots, frame))
        model.run(inputs, mapOf(Generator.IMAGES to images), Generator.SIGNATURE)
        return bitmapOf(images.readFloat(), shape)
    }

    override fun close() {
        inputs.values.forEach { it.close() }
        images.close()
        model.close()
    }

    private fun frameOf(picture: JSONObject): Frame {
        val sizes = picture.getJSONArray("shape")
        val colour = picture.getJSONArray("background")
        return Frame(
            width = sizes.getInt(1),
            height = sizes.getInt(0),
            channels = sizes.getInt(2),
            crop = picture.getString("crop"),
            background = List(3) { colour.getInt(it) },
            nearest = picture.getString("resize") == "nearest",
        )
    }

    companion object {
        const val IMAGE = "image"
        const val HINTS = "hints"

        /** Whether the app's model makes pictures of pictures. */
        fun fits(context: Context): Boolean =
            JSONObject(context.assets.open(Generator.ABOUT).bufferedReader().use { it.readText() }).has("picture")
    }
}

object Hints {
    private const val RADIUS = 1

    /** The model's input: red, green, blue and a mask in [0, 1]; dots of 3×3 pixels, the last one above the others. */
    fun of(dots: List<Dot>, frame: Frame): FloatArray {
        val hints = FloatArray(frame.height * frame.width * 4)
        for (dot in dots) {
            for (y in maxOf(0, dot.y - RADIUS)..minOf(frame.height - 1, dot.y + RADIUS)) {
                for (x in maxOf(0, dot.x - RADIUS)..minOf(frame.width - 1, dot.x + RADIUS)) {
                    val at = 4 * (y * frame.width + x)
                    for (c in 0 until 3) hints[at + c] = ((dot.colour shr (16 - 8 * c)) and 255) / 255f
                    hints[at + 3] = 1f
                }
            }
        }
        return hints
    }
}
