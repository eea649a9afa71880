// Random frames between this codec and the reference in Python, both ways.

import FrameCodec
import Foundation
import Testing

@Suite struct ReferenceTests {
    private let seed = testSeed(ProcessInfo.processInfo.environment)

    @Test func `the reference takes all of its own vectors`() throws {
        let output = try reference(["check"])
        #expect(String(decoding: output, as: UTF8.self).contains(" 0 complaints"))
    }

    @Test func `the reference reads the encoder's frames as the same records`() throws {
        var random = RandomRecords(seed: seed)
        var records: [AnyRecord] = []
        for _ in 0..<400 { records.append(random.record()) }
        records.sort { $0.kind.rawValue < $1.kind.rawValue }
        let output = try reference(["decode"], input: try encodeFrames(records).flatMap { $0 })
        let lines = output.split(separator: UInt8(ascii: "\n"))
        #expect(lines.count == records.count, "seed \(seed)")
        for (line, record) in zip(lines, records) {
            #expect(try CollectedRecord(TestJSON(Array(line))) == CollectedRecord(record), "seed \(seed)")
        }
    }

    @Test func `the decoder reads the reference's frames as the same records and writes the same bytes`() throws {
        let json = try TestJSON(try reference(["random", String(seed), "40"]))
        let bytes = try #require(json["bytes"]).bytes()
        let expected = try #require(json["frames"]).array()
        let frames = try decodeFrames(bytes)
        #expect(frames.count == 40)
        var again: [UInt8] = []
        for (frame, expected) in zip(frames, expected) {
            let records = try #require(expected["records"]).array().map { try CollectedRecord($0) }
            #expect(frame.visitor.records == records, "seed \(seed)")
            let encoded = try encodeFrames(try records.map { try $0.any() }, identity: frame.header.identity)
            again += encoded.flatMap { $0 }
        }
        #expect(again == bytes, "seed \(seed)")
    }

    /// Runs reference.py. Its input goes through a file, so that no pipe fills up.
    private func reference(_ arguments: [String], input: [UInt8] = []) throws -> [UInt8] {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("frames-\(UUID().uuidString)")
        try Data(input).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-B", vectorsFolder.appendingPathComponent("reference.py").path] + arguments
        let output = Pipe()
        process.standardInput = try FileHandle(forReadingFrom: file)
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "reference.py \(arguments), seed \(seed)")
        return [UInt8](data)
    }
}
