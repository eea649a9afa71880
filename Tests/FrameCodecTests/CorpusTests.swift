// The fuzzer's corpus, once, in every run of the tests.

import FrameCodec
import Foundation
import Testing

@Suite struct CorpusTests {
    @Test func `every input of the corpus is refused, or decodes and encodes to the same records`() throws {
        let folder = packageFolder.appendingPathComponent("Tests/FrameFuzzer/Corpus")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(files.count >= 50)
        var decoded = 0
        var size = 0
        for file in files.sorted(by: { $0.path < $1.path }) {
            let input = [UInt8](try Data(contentsOf: file))
            size += input.count
            do throws(FrameError) {
                let frames = try decodeFrames(input)
                decoded += 1
                #expect(!file.lastPathComponent.hasPrefix("reject-"), "\(file.lastPathComponent)")
                for frame in frames where frame.header.type == .records { try roundTrip(frame.visitor.records) }
            } catch {
                #expect((0...max(input.count, 52)).contains(error.offset), "\(file.lastPathComponent): \(error)")
            }
        }
        #expect(decoded >= 30)
        #expect(size < 1_000_000)
    }

    private func roundTrip(_ records: [CollectedRecord]) throws(FrameError) {
        var again: [CollectedRecord] = []
        do {
            for frame in try encodeFrames(try records.map { try $0.any() }) {
                again += try decodeFrame(frame).visitor.records
            }
        } catch {
            Issue.record("decoded records cannot be encoded: \(error)")
        }
        #expect(again == records)
    }
}
