// Pictures brought to size beside Pillow's own: swift test
import Foundation
import XCTest

@testable import Genline

final class PicturesTests: XCTestCase {
    func testPixelsAreThoseOfPillow() throws {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        let table = try String(contentsOf: folder.appendingPathComponent("expected_pictures.csv"), encoding: .utf8)
        let rows = table.split(separator: "\n").dropFirst().map { $0.split(separator: ",").map(String.init) }
        XCTAssertFalse(rows.isEmpty)
        for row in rows {
            let (width, height) = (try XCTUnwrap(Int(row[0])), try XCTUnwrap(Int(row[1])))
            let frame = Frame(
                width: 4, height: 6, channels: try XCTUnwrap(Int(row[2])), crop: row[3],
                background: [0x20, 0xA0, 0xFF], nearest: row[4] == "nearest")
            let made = Pictures.prepared(picture(width, height), frame: frame)
            XCTAssertEqual(made.data.map(Int.init), row.dropFirst(5).compactMap { Int($0) })
        }
    }

    private func picture(_ width: Int, _ height: Int) -> Plane {
        var data: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                data += (0..<3).map { UInt8((37 * x + 91 * y + 53 * $0 + 7 * x * y) % 256) } + [255]
            }
        }
        return Plane(width: width, height: height, channels: 4, data: data)
    }
}
