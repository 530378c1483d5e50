// One picture, a button for the next seed, and the classes where there are any; of a model that takes pictures,
// TranslateView. NOT COMPILED HERE: see client/mobile/README.md.
import SwiftUI

@main
struct GenlineApp: App {
    var body: some Scene {
        WindowGroup {
            if Worker.translates { TranslateView(worker: Worker()) } else { ContentView() }
        }
    }
}

/// Keeps the model on one task at a time, off the thread that draws.
actor Worker {
    private var generator: Generator?
    private var translator: Translator?

    nonisolated static let translates = (try? Generator.assets().about.picture) != nil

    func translate(_ picture: CGImage, dots: [Dot]) throws -> CGImage {
        try loadedTranslator().translate(picture, dots: dots)
    }

    func pictureSize() throws -> (width: Int, height: Int) {
        let frame = try loadedTranslator().frame
        return (frame.width, frame.height)
    }

    private func loadedTranslator() throws -> Translator {
        if let translator { return translator }
        let (about, model) = try Generator.assets()
        let loaded = try Translator(about: about, model: model)
        translator = loaded
        return loaded
    }

    func classNames() throws -> [String] { try loaded().about.classNames }

    func image(seed: Int64, label: Int32) throws -> CGImage { try loaded().image(seed: seed, label: label) }

    private func loaded() throws -> Generator {
        if let generator { return generator }
        let (about, model) = try Generator.assets()
        let loaded = try Generator(about: about, model: model)
        generator = loaded
        return loaded
    }
}

struct Choice: Equatable {
    var seed: Int64 = 0
    var label: Int32 = 0
}

struct ContentView: View {
    @State private var worker = Worker()
    @State private var choice = Choice()
    @State private var classNames: [String] = []
    @State private var image: CGImage?
    @State private var failure: String?

    var body: some View {
        VStack(spacing: 16) {
            if let image {
                // Enlarged pixel by pixel: the images are small.
                Image(image, scale: 1, label: Text("Image of seed \(choice.seed)"))
                    .resizable().interpolation(.none).scaledToFit()
            }
            if let failure { Text(failure) }
            if !classNames.isEmpty {
                Picker("Class", selection: $choice.label) {
                    ForEach(classNames.indices, id: \.self) { Text(classNames[$0]).tag(Int32($0)) }
                }
            }
            Button("Seed \(choice.seed) – next") { choice.seed += 1 }.buttonStyle(.borderedProminent)
        }
        .padding()
        .task(id: choice) {
            do {
                classNames = try await worker.classNames()
                image = try await worker.image(seed: choice.seed, label: choice.label)
            } catch {
                failure = "No image: \(error)"
            }
        }
    }
}
