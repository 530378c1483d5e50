// From a seed to latents, the same numbers as on every other platform: Philox 4x32-10 (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", 2011), then Box and Muller in single precision, as TensorFlow's StatelessRandomNormalV2
// computes them. Plain Kotlin, without Android.
package org.genline.sample

import kotlin.math.cos
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.sin
import kotlin.math.sqrt

object Seeds {
    private const val WORD = 0xFFFFFFFFL

    /** The `count` latents of a seed, times the truncation (1 for none); a seed is its 64 bits, negative ones too. */
    @JvmStatic
    fun latents(seed: Long, count: Int, truncation: Float = 1f): FloatArray {
        val latents = FloatArray(count)
        for (start in 0 until count step 4) {
            val words = philox(seed, (start / 4).toLong())
            val four = normal(words[0], words[1]) + normal(words[2], words[3])
            for (i in 0 until minOf(4, count - start)) latents[start + i] = truncation * four[i]
        }
        return latents
    }

    /** Four random words of a counter, each in the low half of a Long; the seed is the key. */
    private fun philox(seed: Long, counter: Long): LongArray {
        var k0 = seed and WORD
        var k1 = seed ushr 32
        var c0 = counter and WORD
        var c1 = counter ushr 32
        var c2 = 0L
        var c3 = 0L
        repeat(10) {
            // A product of two words fills 64 bits: its halves are right although the Long may be negative.
            val p0 = 0xD2511F53L * c0
            val p1 = 0xCD9E8D57L * c2
            c0 = (p1 ushr 32) xor c1 xor k0
            c1 = p1 and WORD
            c2 = (p0 ushr 32) xor c3 xor k1
            c3 = p0 and WORD
            k0 = (k0 + 0x9E3779B9L) and WORD
            k1 = (k1 + 0xBB67AE85L) and WORD
        }
        return longArrayOf(c0, c1, c2, c3)
    }

    /** Two words to two standard normal numbers, the sine first. */
    private fun normal(first: Long, second: Long): FloatArray {
        val radius = sqrt(-2f * ln(max(uniform(first), 1e-7f)))
        val angle = (2 * Math.PI * uniform(second)).toFloat()
        return floatArrayOf(sin(angle) * radius, cos(angle) * radius)
    }

    /** In [0, 1): 23 bits of the word under the exponent of 1.0 give a float in [1, 2). */
    private fun uniform(word: Long): Float =
        java.lang.Float.intBitsToFloat((word and 0x7FFFFFL).toInt() or 0x3F800000) - 1f
}
