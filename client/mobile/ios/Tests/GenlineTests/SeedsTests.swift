// The latents beside TensorFlow's own: swift test
import Foundation
import XCTest

@testable import Genline

final class SeedsTests: XCTestCase {
    func testLatentsAreThoseOfTensorFlow() throws {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        let table = try String(contentsOf: folder.appendingPathComponent("expected_latents.csv"), encoding: .utf8)
        let rows = table.split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
        XCTAssertFalse(rows.isEmpty)
        for row in rows {
            let seed = try XCTUnwrap(Int64(row[0]))
            let expected = row.dropFirst().compactMap { Float($0) }
            for (value, reference) in zip(Seeds.latents(of: seed, count: expected.count), expected) {
                XCTAssertEqual(value, reference, accuracy: 1e-5)
            }
        }
    }
}
