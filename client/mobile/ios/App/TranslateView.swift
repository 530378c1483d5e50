// A picture that is chosen above, what the model makes of it beneath; a tap on the picture puts a dot of colour there,
// where the model takes hints. NOT COMPILED HERE: see client/mobile/README.md.
import PhotosUI
import SwiftUI

struct TranslateView: View {
    let worker: Worker
    @State private var chosen: PhotosPickerItem?
    @State private var picture: CGImage?
    @State private var made: CGImage?
    @State private var dots: [Dot] = []
    @State private var colour = Color.yellow
    @State private var failure: String?

    var body: some View {
        VStack(spacing: 16) {
            if let picture {
                GeometryReader { box in
                    Image(picture, scale: 1, label: Text("Your picture")).resizable()
                        .onTapGesture { place in
                            Task { await add(x: place.x / box.size.width, y: place.y / box.size.height) }
                        }
                }
                .aspectRatio(1, contentMode: .fit)
            }
            if let made {
                // Enlarged pixel by pixel: the images are small.
                Image(made, scale: 1, label: Text("What becomes of it")).resizable().interpolation(.none).scaledToFit()
            }
            if let failure { Text(failure) }
            ColorPicker("Dot of colour", selection: $colour, supportsOpacity: false)
            PhotosPicker("Choose a picture", selection: $chosen, matching: .images).buttonStyle(.borderedProminent)
        }
        .padding()
        .task(id: chosen) { await open() }
        .task(id: dots) { await translate() }
    }

    private func open() async {
        guard let data = try? await chosen?.loadTransferable(type: Data.self) else { return }
        guard let opened = UIImage(data: data) else { return failure = "That is no picture." }
        // Drawn once, so that it is upright.
        let format = UIGraphicsImageRendererFormat()
        format.scale = 1
        let upright = UIGraphicsImageRenderer(size: opened.size, format: format).image { _ in
            opened.draw(at: .zero)
        }
        picture = upright.cgImage
        dots = []
        await translate()
    }

    /// At a share of the picture's sides.
    private func add(x: CGFloat, y: CGFloat) async {
        guard let size = try? await worker.pictureSize() else { return }
        var (red, green, blue) = (CGFloat(0), CGFloat(0), CGFloat(0))
        UIColor(colour).getRed(&red, green: &green, blue: &blue, alpha: nil)
        let (column, row) = (Int(x * CGFloat(size.width)), Int(y * CGFloat(size.height)))
        dots.append(Dot(x: column, y: row, red: Float(red), green: Float(green), blue: Float(blue)))
    }

    private func translate() async {
        guard let picture else { return }
        do {
            made = try await worker.translate(picture, dots: dots)
        } catch {
            failure = "No image: \(error)"
        }
    }
}
