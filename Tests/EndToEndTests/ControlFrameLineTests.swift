// `decode --all` prints frames without records as the vectors have them, name by name.

import Foundation
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(5))) struct ControlFrameLineTests {
    private struct Vector {
        let name: String
        let bytes: [UInt8]
        let frame: [String: NSObject]
    }

    /// The good vectors that are one frame without records.
    private static func vectors() throws -> [Vector] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appending(path: "../../protocol/vectors/good").standardizedFileURL
        let types = ["heartbeat", "welcome", "acknowledgement", "refusal", "receipt"]
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        return try names.filter { name in types.contains { name.hasPrefix($0) } }.compactMap { name in
            let data = try Data(contentsOf: folder.appending(path: name))
            let json = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
            let frames = try #require(json["frames"] as? [[String: NSObject]])
            let hex = try #require(json["bytes"] as? [String]).joined()
            guard frames.count == 1, frames[0]["type"] != "records" as NSString else { return nil }
            return Vector(name: name, bytes: hex.hexBytes, frame: frames[0])
        }
    }

    @Test func everyFrameWithoutRecordsIsPrintedAsItsVectorHasIt() throws {
        let vectors = try Self.vectors()
        #expect(vectors.count >= 10)
        let file = try Programs.temporaryFile("frames")
        defer { unlink(file.path) }
        try Data(vectors.flatMap(\.bytes)).write(to: file)
        let decoded = try Programs.run(["decode", "--all", file.path])
        #expect(decoded.status == 0, "\(decoded.errors)")
        let lines = decoded.text.split(separator: "\n")
        try #require(lines.count == vectors.count)
        for (line, vector) in zip(lines, vectors) {
            let printed = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: NSObject]
            #expect(printed == vector.frame, "\(vector.name): \(line)")
        }
        // Without --all these frames give no line.
        #expect(try Programs.run(["decode", file.path]).output.isEmpty)
    }

    /// A reader of files takes authenticated frames as they are: it has no key to check them with.
    @Test func anAuthenticatedFrameIsReadWithoutItsKey() throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appending(path: "../../protocol/vectors/good/authenticated.json").standardizedFileURL
        let json = try JSONSerialization.jsonObject(with: Data(contentsOf: path)) as? [String: Any]
        let hex = try #require(json?["bytes"] as? [String]).joined()
        let file = try Programs.temporaryFile("frames")
        defer { unlink(file.path) }
        try Data(hex.hexBytes).write(to: file)
        let decoded = try Programs.run(["decode", file.path])
        #expect(decoded.status == 0, "\(decoded.errors)")
        #expect(decoded.text.contains(#""kind":"point""#), "\(decoded.text)")
    }
}
