// Pictures of any size as a model takes them: over a background, cropped or padded, averaged while they are far too
// large, then resized with Lanczos in whole numbers, as training did. The pixels are Pillow's, whose
// Image.resize(…, reducing_gap=3) this follows (src/libImaging/Resample.c and Reduce.c). NOT COMPILED HERE: see
// client/mobile/README.md.
import Foundation

/// Pixels of `channels` values from 0 to 255 each, row by row.
public struct Plane {
    public var width: Int
    public var height: Int
    public var channels: Int
    public var data: [UInt8]

    public init(width: Int, height: Int, channels: Int, data: [UInt8]) {
        self.width = width
        self.height = height
        self.channels = channels
        self.data = data
    }
}

/// What the model takes; `crop` is center, none (all of it, squeezed) or pad (all of it, with borders).
public struct Frame {
    public var width: Int
    public var height: Int
    public var channels: Int
    public var crop: String
    public var background: [Int]
    public var nearest: Bool

    public init(
        width: Int, height: Int, channels: Int, crop: String = "center", background: [Int] = [255, 255, 255],
        nearest: Bool = false
    ) {
        self.width = width
        self.height = height
        self.channels = channels
        self.crop = crop
        self.background = background
        self.nearest = nearest
    }
}

public enum Pictures {
    static let luma = [19595, 38470, 7471]
    static let gap = 3.0
    static let support = 3.0
    static let bits = 22

    /// What is kept along one side, of how many pixels, and how many it becomes.
    struct Side {
        var from: Double
        var to: Double
        var length: Int
        var target: Int
    }

    /// A picture of red, green, blue and opacity, as the model takes it.
    public static func prepared(_ rgba: Plane, frame: Frame) -> Plane {
        var plane = coloured(rgba, frame)
        if frame.crop == "pad" { plane = padded(plane, frame) }
        let squeezed = frame.crop == "none"
        let wide = squeezed ? plane.width : min(plane.width, max(1, plane.height * frame.width / frame.height))
        let high = squeezed ? plane.height : min(plane.height, max(1, plane.width * frame.height / frame.width))
        let columns = middle(of: plane.width, kept: wide, target: frame.width)
        let rows = middle(of: plane.height, kept: high, target: frame.height)
        let fits = plane.width == frame.width && plane.height == frame.height
        return fits || frame.nearest ? picked(plane, columns, rows) : resized(plane, columns, rows)
    }

    static func middle(of length: Int, kept: Int, target: Int) -> Side {
        let start = Double((length - kept) / 2)
        return Side(from: start, to: start + Double(kept), length: length, target: target)
    }

    /// Opaque, over the background, in colour or grey; a fourth channel is opaque.
    static func coloured(_ rgba: Plane, _ frame: Frame) -> Plane {
        let channels = frame.channels
        var data = [UInt8](repeating: 255, count: rgba.width * rgba.height * channels)
        for i in 0..<rgba.width * rgba.height {
            let opacity = Double(rgba.data[4 * i + 3]) / 255
            var sum = 1 << 15
            for c in 0..<3 {
                let mixed = Double(rgba.data[4 * i + c]) * opacity + Double(frame.background[c]) * (1 - opacity)
                let value = UInt8((mixed + 0.5).rounded(.down))
                if channels > 1 { data[i * channels + c] = value }
                sum += luma[c] * Int(value)
            }
            if channels == 1 { data[i] = UInt8(sum >> 16) }
        }
        return Plane(width: rgba.width, height: rgba.height, channels: channels, data: data)
    }

    /// In the middle of the smallest picture of the proportions that holds it.
    static func padded(_ plane: Plane, _ frame: Frame) -> Plane {
        let wide = max(plane.width, plane.height * frame.width / frame.height)
        let high = max(plane.height, plane.width * frame.height / frame.width)
        let nothing = Plane(width: 1, height: 1, channels: 4, data: [0, 0, 0, 0])
        let one = coloured(nothing, frame).data  // what is transparent is the background
        let c = plane.channels
        var made = Plane(width: wide, height: high, channels: c, data: (0..<wide * high * c).map { one[$0 % c] })
        let (left, top, row) = ((wide - plane.width) / 2, (high - plane.height) / 2, plane.width * c)
        for y in 0..<plane.height {
            let to = ((top + y) * wide + left) * c
            made.data.replaceSubrange(to..<to + row, with: plane.data[y * row..<(y + 1) * row])
        }
        return made
    }

    /// The nearest pixels, none of them mixed.
    static func picked(_ plane: Plane, _ columns: Side, _ rows: Side) -> Plane {
        func place(_ side: Side, _ i: Int) -> Int {
            Int(side.from) + (2 * i + 1) * Int(side.to - side.from) / (2 * side.target)
        }
        let c = plane.channels
        var data: [UInt8] = []
        for y in 0..<rows.target {
            for x in 0..<columns.target {
                let from = (place(rows, y) * plane.width + place(columns, x)) * c
                data += plane.data[from..<from + c]
            }
        }
        return Plane(width: columns.target, height: rows.target, channels: c, data: data)
    }

    static func resized(_ whole: Plane, _ allColumns: Side, _ allRows: Side) -> Plane {
        var (plane, columns, rows) = (whole, allColumns, allRows)
        let (wide, high) = (factor(columns), factor(rows))
        if wide > 1 || high > 1 {
            plane = averaged(plane, looked(columns), looked(rows), wide, high)
            columns = scaled(columns, wide)
            rows = scaled(rows, high)
        }
        // The order of Pillow 13, which shows, since there is rounding in between.
        let rowsFirst = rows.length - rows.target > max(0, 2 * (columns.length - columns.target))
        return rowsFirst
            ? filtered(filtered(plane, rows, across: false), columns, across: true)
            : filtered(filtered(plane, columns, across: true), rows, across: false)
    }

    static func factor(_ side: Side) -> Int {
        max(1, Int((side.to - side.from) / Double(side.target) / gap))
    }

    /// What is kept, and what Lanczos looks at beside it.
    static func looked(_ side: Side) -> Range<Int> {
        let beside = (support - 0.5) * (side.to - side.from) / Double(side.target)
        return max(0, Int(side.from - beside))..<min(side.length, Int((side.to + beside).rounded(.up)))
    }

    /// The same part in pixels of the picture that blocks were averaged to.
    static func scaled(_ side: Side, _ times: Int) -> Side {
        let seen = looked(side)
        let (first, factor) = (Double(seen.lowerBound), Double(times))
        return Side(
            from: (side.from - first) / factor, to: (side.to - first) / factor,
            length: (seen.count + times - 1) / times, target: side.target)
    }

    /// A part of a picture, a pixel for the average of each block; the last ones may be smaller.
    static func averaged(_ plane: Plane, _ columns: Range<Int>, _ rows: Range<Int>, _ wide: Int, _ high: Int) -> Plane {
        let (width, height, c) = ((columns.count + wide - 1) / wide, (rows.count + high - 1) / high, plane.channels)
        var data = [UInt8](repeating: 0, count: width * height * c)
        for i in 0..<width * height {
            let (x, y) = (columns.lowerBound + i % width * wide, rows.lowerBound + i / width * high)
            let (toX, toY) = (min(columns.upperBound, x + wide), min(rows.upperBound, y + high))
            let area = (toX - x) * (toY - y)
            let share = Int(16_777_216 / Float(area))  // of 2^24; Pillow divides by multiplying with it
            for channel in 0..<c {
                var sum = area / 2
                for v in y..<toY {
                    for u in x..<toX { sum += Int(plane.data[(v * plane.width + u) * c + channel]) }
                }
                data[i * c + channel] = UInt8((sum * share) >> 24)
            }
        }
        return Plane(width: width, height: height, channels: c, data: data)
    }

    /// Lines of pixels, each resized by itself: rows, or columns.
    static func filtered(_ plane: Plane, _ side: Side, across: Bool) -> Plane {
        let c = plane.channels
        let lines = across ? plane.height : plane.width
        let (line, pixel) = across ? (c * plane.width, c) : (c, c * plane.width)
        var data = [UInt8](repeating: 0, count: lines * side.target * c)
        for i in 0..<side.target {
            let (first, values) = weights(side, i)
            for at in 0..<lines * c {
                let from = at / c * line + first * pixel + at % c
                var sum = 1 << (bits - 1)
                for (k, value) in values.enumerated() { sum += Int(plane.data[from + k * pixel]) * value }
                let to = across ? at / c * side.target + i : i * lines + at / c
                data[to * c + at % c] = UInt8(min(max(sum >> bits, 0), 255))
            }
        }
        let (width, height) = across ? (side.target, lines) : (lines, side.target)
        return Plane(width: width, height: height, channels: c, data: data)
    }

    /// The first pixel that place i of the result is made of, and the weights from there on, in whole numbers.
    static func weights(_ side: Side, _ i: Int) -> (first: Int, values: [Int]) {
        let (start, end) = (Float(side.from), Float(side.to))
        let scale = Double(end - start) / Double(side.target)
        let spread = max(1, scale)
        let centre = Double(start) + (Double(i) + 0.5) * scale
        let first = max(0, Int(centre - support * spread + 0.5))
        let last = min(side.length, Int(centre + support * spread + 0.5))
        let raw = (first..<last).map { lanczos((Double($0) - centre + 0.5) * (1 / spread)) }
        let sum = raw.reduce(0, +)
        return (first, raw.map { Int(($0 / sum * Double(1 << bits)).rounded()) })
    }

    static func lanczos(_ x: Double) -> Double { x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0 }

    static func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * .pi) / (x * .pi) }
}
