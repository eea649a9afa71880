// The search for bytes that need an escape, and the words that it is made of, against a search byte by byte.

import Foundation
import Testing

@testable import FrameCodec

@Suite struct JSONEscapesTests {
    private func needsEscape(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x22 || byte == 0x5C }

    private func word(_ bytes: [UInt8]) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }

    private func agree(_ bytes: [UInt8]) -> Bool {
        let plain = bytes.firstIndex(where: needsEscape) ?? 8
        return JSONEscapes.plainBytes(word(bytes)) == plain && (JSONEscapes.marks(word(bytes)) == 0) == (plain == 8)
    }

    @Test func `each pair of bytes at each place beside each other`() {
        for filler: UInt8 in [0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F, 0x80, 0xA2, 0xFF] {
            for place in 0..<7 {
                for first in UInt8.min...UInt8.max {
                    for second in UInt8.min...UInt8.max {
                        var bytes = [UInt8](repeating: filler, count: 8)
                        (bytes[place], bytes[place + 1]) = (first, second)
                        if !agree(bytes) { Issue.record("\(bytes)") }
                    }
                }
            }
        }
    }

    @Test func `random words`() {
        let seed = testSeed(ProcessInfo.processInfo.environment)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200_000 {
            let bytes = (0..<8).map { _ in UInt8.random(in: 0x18...0xFF, using: &generator) }
            if !agree(bytes) { Issue.record("seed \(seed): \(bytes)") }
        }
    }

    @Test func `a word has zeros behind the text's end`() {
        for count in 0...24 {
            let bytes = (0..<count).map { UInt8($0 + 1) }
            for offset in 0...count {
                let expected = (0..<8).map { offset + $0 < count ? bytes[offset + $0] : 0 }
                #expect(bytes.withUnsafeBytes { paddedWord($0, at: offset) } == word(expected))
            }
        }
        #expect(paddedWord(UnsafeRawBufferPointer(start: nil, count: 0), at: 0) == 0)
    }
}
