// The generator on TensorFlow Lite's Swift API. NOT COMPILED HERE: see client/mobile/README.md.
import CoreGraphics
import Foundation
import TensorFlowLite

/// What of generator.json is needed.
struct About: Decodable {
    let latentSize: Int
    let imageShape: [Int]
    let classNames: [String]
    let picture: Picture?

    enum CodingKeys: String, CodingKey {
        case latentSize = "latent_size"
        case imageShape = "image_shape"
        case classNames = "class_names"
        case picture
    }
}

/// What it makes images of, where it takes pictures.
struct Picture: Decodable {
    let shape: [Int]
    let crop: String
    let background: [Int]
    let resize: String
    let hints: Bool
}

enum GeneratorError: Error {
    case noAsset(String)
    case noImage
}

/// A generator from the app's bundle. Not thread-safe: an actor or one queue uses it.
final class Generator {
    static let model = "generator.tflite"
    static let about = "generator.json"
    static let signature = "generate"
    static let latents = "latents"
    static let labels = "labels"
    static let images = "images"

    let about: About
    private let runner: SignatureRunner

    init(about: About, model: String) throws {
        self.about = about
        runner = try Interpreter(modelPath: model).signatureRunner(with: Self.signature)
    }

    /// What the app's bundle holds: what is known of the model, and the path of its file.
    static func assets(of bundle: Bundle = .main) throws -> (about: About, model: String) {
        guard let model = bundle.path(forResource: Self.model, ofType: nil) else {
            throw GeneratorError.noAsset(Self.model)
        }
        guard let about = bundle.url(forResource: Self.about, withExtension: nil) else {
            throw GeneratorError.noAsset(Self.about)
        }
        return (try JSONDecoder().decode(About.self, from: Data(contentsOf: about)), model)
    }

    /// The image of a seed, and of a class where the generator has classes: the same on every platform.
    func image(seed: Int64, truncation: Float = 1, label: Int32 = 0) throws -> CGImage {
        let latents = Seeds.latents(of: seed, count: about.latentSize, truncation: truncation)
        var inputs = [Self.latents: latents.withUnsafeBytes { Data($0) }]
        if !about.classNames.isEmpty {
            inputs[Self.labels] = [label].withUnsafeBytes { Data($0) }
        }
        try runner.invoke(with: inputs)
        let values = try runner.output(named: Self.images).data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        return try Self.image(of: values, shape: about.imageShape)
    }

    /// float32 (1, H, W, C) in [0, 1] with 1, 3 or 4 channels.
    static func image(of values: [Float], shape: [Int]) throws -> CGImage {
        let (height, width, channels) = (shape[0], shape[1], shape[2])
        let pixels = values.map { UInt8(min(max($0 * 255, 0), 255).rounded(.toNearestOrEven)) }
        guard
            let provider = CGDataProvider(data: Data(pixels) as CFData),
            let image = CGImage(
                width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 8 * channels,
                bytesPerRow: width * channels,
                space: channels == 1 ? CGColorSpaceCreateDeviceGray() : CGColorSpaceCreateDeviceRGB(),
                bitmapInfo: CGBitmapInfo(
                    rawValue: (channels == 4 ? CGImageAlphaInfo.last : CGImageAlphaInfo.none).rawValue),
                provider: provider, decode: nil, shouldInterpolate: false, intent: .defaultIntent)
        else { throw GeneratorError.noImage }
        return image
    }
}
