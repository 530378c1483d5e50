// One picture, a button for the next seed, and the classes where there are any. NOT COMPILED HERE: see
// client/mobile/README.md.
package org.genline.sample

import android.app.Activity
import android.content.Intent
import android.graphics.drawable.BitmapDrawable
import android.os.Bundle
import android.view.Gravity
import android.view.View
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.Spinner
import java.util.concurrent.Executors

class MainActivity : Activity() {
    // Loading and running keep off the thread that draws, and to one thread.
    private val worker = Executors.newSingleThreadExecutor()
    private var generator: Generator? = null
    private var seed = 0L
    private var label = 0
    private lateinit var picture: ImageView
    private lateinit var next: Button
    private lateinit var column: LinearLayout

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        if (Translator.fits(this)) {
            startActivity(Intent(this, TranslateActivity::class.java))
            return finish()
        }
        seed = savedInstanceState?.getLong("seed") ?: 0L
        picture = ImageView(this).apply { scaleType = ImageView.ScaleType.FIT_CENTER }
        next = Button(this).apply { setOnClickListener { seed += 1; show() } }
        column = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            gravity = Gravity.CENTER
            fitsSystemWindows = true
            addView(picture, LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, 0, 1f))
            addView(next)
        }
        setContentView(column)
        worker.execute {
            val loaded = Generator(this)
            generator = loaded
            runOnUiThread { if (loaded.classNames.isNotEmpty()) addClasses(loaded.classNames) }
        }
        show()
    }

    private fun show() {
        val (shownSeed, shownLabel) = seed to label
        worker.execute {
            val image = generator?.image(shownSeed, label = shownLabel) ?: return@execute
            runOnUiThread {
                // Enlarged pixel by pixel: the images are small.
                picture.setImageDrawable(BitmapDrawable(resources, image).apply { isFilterBitmap = false })
                picture.contentDescription = "Image of seed $shownSeed"
                next.text = "Seed $shownSeed – next"
            }
        }
    }

    private fun addClasses(names: List<String>) {
        val choice = Spinner(this)
        choice.adapter = ArrayAdapter(this, android.R.layout.simple_spinner_dropdown_item, names)
        choice.onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
            override fun onItemSelected(parent: AdapterView<*>?, view: View?, position: Int, id: Long) {
                label = position
                show()
            }

            override fun onNothingSelected(parent: AdapterView<*>?) = Unit
        }
        column.addView(choice)
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putLong("seed", seed)
    }

    override fun onDestroy() {
        worker.execute { generator?.close() }
        worker.shutdown()
        super.onDestroy()
    }
}
