// A picture that is chosen above, what the model makes of it beneath; a tap on the picture puts a dot of the next colour
// there, where the model takes hints. NOT COMPILED HERE: see client/mobile/README.md.
package org.genline.sample

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.graphics.drawable.BitmapDrawable
import android.os.Build
import android.os.Bundle
import android.provider.MediaStore
import android.view.Gravity
import android.view.MotionEvent
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import java.util.concurrent.Executors

class TranslateActivity : Activity() {
    // Loading and running keep off the thread that draws, and to one thread.
    private val worker = Executors.newSingleThreadExecutor()
    private var translator: Translator? = null
    private var picture: Bitmap? = null
    private val dots = mutableListOf<Dot>()
    private lateinit var before: ImageView
    private lateinit var after: ImageView

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        before = ImageView(this).apply { contentDescription = "Your picture" }
        after = ImageView(this).apply { contentDescription = "What becomes of it" }
        before.setOnTouchListener { view, event ->
            if (event.action == MotionEvent.ACTION_UP) addDot(event.x / view.width, event.y / view.height)
            true
        }
        val choose = Button(this).apply { text = "Choose a picture"; setOnClickListener { choose() } }
        setContentView(LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            gravity = Gravity.CENTER
            fitsSystemWindows = true
            val half = LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, 0, 1f)
            for (view in listOf(before, after)) addView(view.apply { scaleType = ImageView.ScaleType.FIT_XY }, half)
            addView(choose)
        })
        worker.execute { translator = Translator(this) }
    }

    private fun choose() {
        startActivityForResult(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), CHOOSE)
    }

    @Deprecated("Deprecated in Java")
    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        super.onActivityResult(requestCode, resultCode, data)
        val place = data?.data ?: return
        picture = if (Build.VERSION.SDK_INT >= 28) {
            ImageDecoder.decodeBitmap(ImageDecoder.createSource(contentResolver, place)) { decoder, _, _ ->
                decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE // so that its pixels can be read
            }
        } else {
            @Suppress("DEPRECATION") MediaStore.Images.Media.getBitmap(contentResolver, place)
        }
        dots.clear()
        show()
    }

    /** At a share of the picture's sides. */
    private fun addDot(x: Float, y: Float) {
        val made = translator?.takeIf { it.takesHints && picture != null } ?: return
        dots += Dot((x * made.width).toInt(), (y * made.height).toInt(), COLOURS[dots.size % COLOURS.size])
        show()
    }

    private fun show() {
        val (shown, given) = (picture ?: return) to dots.toList()
        before.setImageBitmap(shown)
        worker.execute {
            val image = translator?.translate(shown, given) ?: return@execute
            runOnUiThread {
                // Enlarged pixel by pixel: the images are small.
                after.setImageDrawable(BitmapDrawable(resources, image).apply { isFilterBitmap = false })
            }
        }
    }

    override fun onDestroy() {
        worker.execute { translator?.close() }
        worker.shutdown()
        super.onDestroy()
    }

    private companion object {
        const val CHOOSE = 1
        val COLOURS = listOf(0xFCEA2B, 0xD22F27, 0x3F7FD1, 0x5C9E31)
    }
}
