// The latents beside TensorFlow's own, on the JVM: ./gradlew test (or gradle test)
package org.genline.sample

import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class SeedsTest {
    @Test
    fun latentsAreThoseOfTensorFlow() {
        // Gradle runs unit tests in the folder of the module, app/.
        val rows = File("../../expected_latents.csv").readLines().drop(1).map { it.split(",") }
        assertTrue(rows.isNotEmpty())
        for (row in rows) {
            val expected = row.drop(1).map { it.toFloat() }.toFloatArray()
            assertArrayEquals(expected, Seeds.latents(row[0].toLong(), expected.size), 1e-5f)
        }
    }
}
