// Pictures brought to size beside Pillow's own, on the JVM: ./gradlew test (or gradle test)
package org.genline.sample

import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class PicturesTest {
    @Test
    fun pixelsAreThoseOfPillow() {
        // Gradle runs unit tests in the folder of the module, app/.
        val rows = File("../../expected_pictures.csv").readLines().drop(1).map { it.split(",") }
        assertTrue(rows.isNotEmpty())
        for (row in rows) {
            val (width, height, channels) = row.take(3).map { it.toInt() }
            val background = listOf(0x20, 0xA0, 0xFF)
            val frame = Frame(4, 6, channels, row[3], background, row[4] == "nearest")
            val expected = row.drop(5).map { it.toInt() }.toIntArray()
            assertArrayEquals(expected, Pictures.prepared(picture(width, height), width, height, frame))
        }
    }

    private fun picture(width: Int, height: Int) = IntArray(width * height) {
        val (x, y) = it % width to it / width
        (0 until 3).fold(255) { pixel, c -> (pixel shl 8) or (37 * x + 91 * y + 53 * c + 7 * x * y) % 256 }
    }
}
