// A model that makes a picture of a picture, on TensorFlow Lite's Swift API. NOT COMPILED HERE: see
// client/mobile/README.md.
import CoreGraphics
import Foundation
import TensorFlowLite

/// A dot of colour at a pixel of the model's input: what is there is to have that colour.
struct Dot: Equatable {
    var x: Int
    var y: Int
    var red: Float
    var green: Float
    var blue: Float
}

/// A model from the app's bundle. Not thread-safe: an actor or one queue uses it.
final class Translator {
    static let image = "image"
    static let hints = "hints"

    let frame: Frame
    let takesHints: Bool
    private let shape: [Int]
    private let runner: SignatureRunner

    init(about: About, model: String) throws {
        guard let picture = about.picture else { throw GeneratorError.noAsset("picture in \(Generator.about)") }
        frame = Frame(
            width: picture.shape[1], height: picture.shape[0], channels: picture.shape[2], crop: picture.crop,
            background: picture.background, nearest: picture.resize == "nearest")
        takesHints = picture.hints
        shape = about.imageShape
        runner = try Interpreter(modelPath: model).signatureRunner(with: Generator.signature)
    }

    /// What becomes of a picture of any size, with some dots of colour.
    func translate(_ picture: CGImage, dots: [Dot] = []) throws -> CGImage {
        let prepared = Pictures.prepared(try Self.pixels(of: picture), frame: frame).data.map { Float($0) / 255 }
        var inputs = [Self.image: prepared.withUnsafeBytes { Data($0) }]
        if takesHints { inputs[Self.hints] = hints(dots).withUnsafeBytes { Data($0) } }
        try runner.invoke(with: inputs)
        let made = try runner.output(named: Generator.images).data.withUnsafeBytes {
            Array($0.bindMemory(to: Float.self))
        }
        return try Generator.image(of: made, shape: shape)
    }

    /// Red, green, blue and a mask in [0, 1]; dots of 3×3 pixels, the last one above the others.
    private func hints(_ dots: [Dot]) -> [Float] {
        var values = [Float](repeating: 0, count: 4 * frame.width * frame.height)
        for dot in dots {
            for y in dot.y - 1...dot.y + 1 where (0..<frame.height).contains(y) {
                for x in dot.x - 1...dot.x + 1 where (0..<frame.width).contains(x) {
                    let at = 4 * (y * frame.width + x)
                    values.replaceSubrange(at..<at + 4, with: [dot.red, dot.green, dot.blue, 1])
                }
            }
        }
        return values
    }

    /// Red, green, blue and opacity, over white, as a bitmap of the same size has them.
    private static func pixels(of picture: CGImage) throws -> Plane {
        let (width, height) = (picture.width, picture.height)
        var data = [UInt8](repeating: 255, count: 4 * width * height)
        let drawn: Bool = data.withUnsafeMutableBytes { bytes in
            guard
                let context = CGContext(
                    data: bytes.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
                    space: picture.colorSpace?.model == .rgb ? picture.colorSpace! : CGColorSpaceCreateDeviceRGB(),
                    bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
            else { return false }
            context.setFillColor(CGColor(red: 1, green: 1, blue: 1, alpha: 1))
            context.fill(CGRect(x: 0, y: 0, width: width, height: height))
            context.draw(picture, in: CGRect(x: 0, y: 0, width: width, height: height))
            return true
        }
        guard drawn else { throw GeneratorError.noImage }
        for i in stride(from: 3, to: data.count, by: 4) { data[i] = 255 }
        return Plane(width: width, height: height, channels: 4, data: data)
    }
}
