// The must-reject frames of the protocol's folder.

import Foundation
import TestSupport

extension String {
    /// The bytes of hexadecimal digits.
    var hexBytes: [UInt8] {
        let digits = Array(utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
        }
    }
}

/// A frame that must be refused.
struct RejectVector: Decodable {
    let name: String
    let reason: String
    private let hex: [String]

    private enum CodingKeys: String, CodingKey {
        case name
        case reason
        case hex = "bytes"
    }

    var bytes: [UInt8] { hex.joined().hexBytes }

    static func load() throws -> [RejectVector] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appending(path: "../../../protocol/vectors/reject.json").standardizedFileURL
        return try JSONDecoder().decode([RejectVector].self, from: Data(contentsOf: path))
    }
}
