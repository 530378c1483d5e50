// Pictures of any size as a model takes them: over a background, cropped or padded, averaged while they are far too
// large, then resized with Lanczos in whole numbers, as training did. The pixels are Pillow's, whose
// Image.resize(…, reducing_gap=3) this follows (src/libImaging/Resample.c and Reduce.c). Plain Kotlin, without Android.
package org.genline.sample

import kotlin.math.PI
import kotlin.math.ceil
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sin

/** Pixels of `channels` values from 0 to 255 each, row by row. */
class Plane(val width: Int, val height: Int, val channels: Int, val data: IntArray)

/** What the model takes; `crop` is center, none (all of it, squeezed) or pad (all of it, with borders). */
class Frame(
    val width: Int,
    val height: Int,
    val channels: Int,
    val crop: String = "center",
    val background: List<Int> = listOf(255, 255, 255),
    val nearest: Boolean = false
)

object Pictures {
    private val LUMA = intArrayOf(19595, 38470, 7471)
    private const val GAP = 3
    private const val SUPPORT = 3
    private const val BITS = 22

    /** What is kept along one side, of how many pixels, and how many it becomes. */
    private class Side(val from: Double, val to: Double, val length: Int, val target: Int)

    /** A picture of ARGB pixels, as Android's bitmaps have them, as the model takes it: (height × width × channels). */
    @JvmStatic
    fun prepared(argb: IntArray, width: Int, height: Int, frame: Frame): IntArray {
        var plane = coloured(argb, width, height, frame)
        if (frame.crop == "pad") plane = padded(plane, frame)
        val wide = if (frame.crop == "none") plane.width else part(plane.height, frame.width, frame.height, plane.width)
        val high = if (frame.crop == "none") plane.height else part(plane.width, frame.height, frame.width, plane.height)
        val columns = middle(plane.width, wide, frame.width)
        val rows = middle(plane.height, high, frame.height)
        val fits = plane.width == frame.width && plane.height == frame.height
        return (if (fits || frame.nearest) picked(plane, columns, rows) else resized(plane, columns, rows)).data
    }

    /** How long a side is that has the proportions to the other one, at most all of it. */
    private fun part(other: Int, target: Int, otherTarget: Int, most: Int): Int =
        min(most.toLong(), max(1L, other.toLong() * target / otherTarget)).toInt()

    private fun middle(length: Int, kept: Int, target: Int): Side {
        val start = ((length - kept) / 2).toDouble()
        return Side(start, start + kept, length, target)
    }

    /** Opaque, over the background, in colour or grey; a fourth channel is opaque. */
    private fun coloured(argb: IntArray, width: Int, height: Int, frame: Frame): Plane {
        val channels = frame.channels
        val data = IntArray(argb.size * channels) { 255 }
        argb.forEachIndexed { i, pixel ->
            val opacity = (pixel ushr 24) / 255.0
            val colour = IntArray(3) { c ->
                val value = (pixel ushr (16 - 8 * c)) and 255
                Math.round(value * opacity + frame.background[c] * (1 - opacity)).toInt()
            }
            val luma = LUMA[0] * colour[0] + LUMA[1] * colour[1] + LUMA[2] * colour[2]
            if (channels == 1) data[i] = (luma + (1 shl 15)) shr 16
            else for (c in 0 until 3) data[i * channels + c] = colour[c]
        }
        return Plane(width, height, channels, data)
    }

    /** In the middle of the smallest picture of the proportions that holds it. */
    private fun padded(plane: Plane, frame: Frame): Plane {
        val wide = max(plane.width, (plane.height.toLong() * frame.width / frame.height).toInt())
        val high = max(plane.height, (plane.width.toLong() * frame.height / frame.width).toInt())
        val one = coloured(intArrayOf(0), 1, 1, frame).data // what is transparent is the background
        val data = IntArray(wide * high * plane.channels) { one[it % plane.channels] }
        val (left, top) = (wide - plane.width) / 2 to (high - plane.height) / 2
        val row = plane.width * plane.channels
        for (y in 0 until plane.height) {
            plane.data.copyInto(data, ((top + y) * wide + left) * plane.channels, y * row, (y + 1) * row)
        }
        return Plane(wide, high, plane.channels, data)
    }

    /** The nearest pixels, none of them mixed. */
    private fun picked(plane: Plane, columns: Side, rows: Side): Plane {
        fun place(side: Side, i: Int) =
            side.from.toInt() + ((2L * i + 1) * (side.to - side.from).toLong() / (2L * side.target)).toInt()
        val (width, c) = columns.target to plane.channels
        val data = IntArray(rows.target * width * c) {
            plane.data[(place(rows, it / c / width) * plane.width + place(columns, it / c % width)) * c + it % c]
        }
        return Plane(width, rows.target, c, data)
    }

    private fun resized(whole: Plane, allColumns: Side, allRows: Side): Plane {
        var (plane, columns, rows) = Triple(whole, allColumns, allRows)
        val (wide, high) = factor(columns) to factor(rows)
        if (wide > 1 || high > 1) {
            plane = averaged(plane, looked(columns), looked(rows), wide, high)
            columns = scaled(columns, wide)
            rows = scaled(rows, high)
        }
        // The order of Pillow 13, which shows, since there is rounding in between.
        val rowsFirst = rows.length - rows.target > max(0, 2 * (columns.length - columns.target))
        return if (rowsFirst) filtered(filtered(plane, rows, false), columns, true)
        else filtered(filtered(plane, columns, true), rows, false)
    }

    private fun factor(side: Side) = max(1, ((side.to - side.from) / side.target / GAP).toInt())

    /** What is kept, and what Lanczos looks at beside it. */
    private fun looked(side: Side): IntRange {
        val beside = (SUPPORT - 0.5) * (side.to - side.from) / side.target
        return max(0, (side.from - beside).toInt()) until min(side.length, ceil(side.to + beside).toInt())
    }

    /** The same part in pixels of the picture that blocks were averaged to. */
    private fun scaled(side: Side, times: Int): Side {
        val seen = looked(side)
        val (from, to) = (side.from - seen.first) / times to (side.to - seen.first) / times
        return Side(from, to, (seen.last - seen.first + times) / times, side.target)
    }

    /** A part of a picture, a pixel for the average of each block; the last ones may be smaller. */
    private fun averaged(plane: Plane, columns: IntRange, rows: IntRange, wide: Int, high: Int): Plane {
        val (width, height) = (columns.last - columns.first + wide) / wide to (rows.last - rows.first + high) / high
        val c = plane.channels
        val data = IntArray(width * height * c) {
            val (x, y) = columns.first + it / c % width * wide to rows.first + it / c / width * high
            val (toX, toY) = min(columns.last, x + wide - 1) to min(rows.last, y + high - 1)
            val area = (toX - x + 1) * (toY - y + 1)
            var sum = (area / 2).toLong()
            for (v in y..toY) for (u in x..toX) sum += plane.data[(v * plane.width + u) * c + it % c]
            // Pillow divides by multiplying with the share of 2^24.
            ((sum * (16777216f / area).toLong()) shr 24).toInt()
        }
        return Plane(width, height, c, data)
    }

    /** Lines of pixels, each resized by itself: rows, or columns. */
    private fun filtered(plane: Plane, side: Side, rows: Boolean): Plane {
        val c = plane.channels
        val lines = if (rows) plane.height else plane.width
        val (line, pixel) = if (rows) c * plane.width to c else c to c * plane.width
        val data = IntArray(lines * side.target * c)
        for (i in 0 until side.target) {
            val (first, weights) = weights(side, i)
            for (at in 0 until lines * c) {
                val from = at / c * line + first * pixel + at % c
                var sum = 1L shl (BITS - 1)
                weights.forEachIndexed { k, weight -> sum += plane.data[from + k * pixel].toLong() * weight }
                val to = if (rows) at / c * side.target + i else i * lines + at / c
                data[to * c + at % c] = (sum shr BITS).coerceIn(0, 255).toInt()
            }
        }
        return if (rows) Plane(side.target, lines, c, data) else Plane(lines, side.target, c, data)
    }

    /** The first pixel that place i of the result is made of, and the weights from there on, in whole numbers. */
    private fun weights(side: Side, i: Int): Pair<Int, IntArray> {
        val (start, end) = side.from.toFloat() to side.to.toFloat()
        val scale = (end - start).toDouble() / side.target
        val spread = max(1.0, scale)
        val centre = start + (i + 0.5) * scale
        val first = max(0, (centre - SUPPORT * spread + 0.5).toInt())
        val last = min(side.length, (centre + SUPPORT * spread + 0.5).toInt())
        val raw = DoubleArray(last - first) { lanczos((it + first - centre + 0.5) * (1 / spread)) }
        val sum = raw.sum()
        return first to IntArray(raw.size) {
            val weight = raw[it] / sum * (1 shl BITS)
            (if (weight < 0) weight - 0.5 else weight + 0.5).toInt()
        }
    }

    private fun lanczos(x: Double) = if (x >= -3 && x < 3) sinc(x) * sinc(x / 3) else 0.0

    private fun sinc(x: Double) = if (x == 0.0) 1.0 else sin(x * PI) / (x * PI)
}
