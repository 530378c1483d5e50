// From a seed to latents, the same numbers as on every other platform: Philox 4x32-10 (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", 2011), then Box and Muller in single precision, as TensorFlow's StatelessRandomNormalV2
// computes them. NOT COMPILED HERE: see client/mobile/README.md.
import Foundation

public enum Seeds {
    /// The `count` latents of a seed, times the truncation (1 for none); a seed is its 64 bits, negative ones too.
    public static func latents(of seed: Int64, count: Int, truncation: Float = 1) -> [Float] {
        var latents: [Float] = []
        latents.reserveCapacity(count + 3)
        for block in 0..<UInt64((count + 3) / 4) {
            let words = philox(key: UInt64(bitPattern: seed), counter: block)
            latents += normal(words[0], words[1]) + normal(words[2], words[3])
        }
        return latents.prefix(count).map { truncation * $0 }
    }

    /// Four random words of a counter.
    static func philox(key: UInt64, counter: UInt64) -> [UInt32] {
        var k0 = UInt32(truncatingIfNeeded: key)
        var k1 = UInt32(truncatingIfNeeded: key >> 32)
        var c0 = UInt32(truncatingIfNeeded: counter)
        var c1 = UInt32(truncatingIfNeeded: counter >> 32)
        var c2: UInt32 = 0
        var c3: UInt32 = 0
        for _ in 0..<10 {
            let p0 = UInt32(0xD251_1F53).multipliedFullWidth(by: c0)
            let p1 = UInt32(0xCD9E_8D57).multipliedFullWidth(by: c2)
            (c0, c1, c2, c3) = (p1.high ^ c1 ^ k0, p1.low, p0.high ^ c3 ^ k1, p0.low)
            k0 &+= 0x9E37_79B9
            k1 &+= 0xBB67_AE85
        }
        return [c0, c1, c2, c3]
    }

    /// Two words to two standard normal numbers, the sine first.
    static func normal(_ first: UInt32, _ second: UInt32) -> [Float] {
        let radius = (-2 * log(max(uniform(first), 1e-7))).squareRoot()
        let angle = Float(2 * Double.pi * Double(uniform(second)))
        return [sin(angle) * radius, cos(angle) * radius]
    }

    /// In [0, 1): 23 bits of the word under the exponent of 1.0 give a float in [1, 2).
    static func uniform(_ word: UInt32) -> Float {
        Float(bitPattern: (word & 0x7F_FFFF) | 0x3F80_0000) - 1
    }
}
