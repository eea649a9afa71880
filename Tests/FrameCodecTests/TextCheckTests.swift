// The fast check of texts against the standard library's decoder, scalar by scalar.

import Foundation
import Testing

@testable import FrameCodec

@Suite struct TextCheckTests {
    /// The first fault, found with the standard library.
    private func naiveFault(_ bytes: [UInt8]) -> TextFault? {
        var parser = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var offset = 0
        while true {
            switch parser.parseScalar(from: &iterator) {
            case .valid(let scalar):
                if scalar.first == 0 { return TextFault(.nullCharacter, offset) }
                offset += scalar.count
            case .error: return TextFault(.invalidUTF8, offset)
            case .emptyInput: return nil
            }
        }
    }

    private func agree(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { TextCheck.fault(in: $0) } == naiveFault(bytes)
    }

    @Test func `all sequences of one and two bytes`() {
        #expect(agree([]))
        for first in UInt8.min...UInt8.max {
            #expect(agree([first]))
            for second in UInt8.min...UInt8.max where !agree([first, second]) {
                Issue.record("\([first, second])")
            }
        }
    }

    @Test func `all sequences of three and four bytes from the edges of the ranges`() {
        let edges: [UInt8] = [
            0, 1, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
            0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ]
        for first in edges {
            for second in edges {
                for third in edges {
                    if !agree([first, second, third]) { Issue.record("\([first, second, third])") }
                    for fourth in edges where first >= 0xE0 && !agree([first, second, third, fourth]) {
                        Issue.record("\([first, second, third, fourth])")
                    }
                }
            }
        }
    }

    @Test func `all second bytes behind all leads`() {
        let ends: [[UInt8]] = [
            [], [0x80], [0xBF], [0x41], [0xC0], [0x80, 0x80], [0xBF, 0xBF], [0x80, 0x41], [0xBF, 0xC0],
        ]
        for lead in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                for end in ends where !agree([lead, second] + end) { Issue.record("\([lead, second] + end)") }
            }
        }
    }

    /// Faults of each sort: U+0000, a continuation alone, bytes that never stand in UTF-8, overlongs, surrogates, what
    /// is above U+10FFFF, and sequences that are cut.
    static let faults: [[UInt8]] = [
        [0], [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xE0, 0x9F, 0xBF],
        [0xF0, 0x8F, 0xBF, 0xBF], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xC3],
        [0xE6, 0xA4],
        [0xF0, 0x9F, 0x9A], [0xF4, 0x8F],
    ]

    /// The edges of each row of the Unicode standard's table 3-7, among others.
    static let scalars = [
        "a", "~", "\u{80}", "ß", "\u{7FF}", "\u{800}", "\u{FFF}", "楜", "\u{D7FF}", "\u{E000}", "\u{FFFF}", "\u{10000}",
        "🚀",
        "\u{FFFFF}", "\u{10FFFF}",
    ]

    @Test(arguments: scalars)
    func `a fault behind and before each number of scalars`(scalar: String) {
        for before in 0...40 {
            let head = [UInt8](String(repeating: scalar, count: before).utf8)
            #expect(agree(head) && head.withUnsafeBytes { TextCheck.fault(in: $0) } == nil)
            for after in [0, 1, 2, 3, 8, 31, 32, 33] {
                let tail = [UInt8](String(repeating: scalar, count: after).utf8)
                for fault in Self.faults {
                    let bytes = head + fault + tail
                    let found = bytes.withUnsafeBytes { TextCheck.fault(in: $0) }
                    if !agree(bytes) || found?.offset != head.count { Issue.record("\(bytes)") }
                }
            }
        }
    }

    @Test(arguments: scalars)
    func `no text ends within a scalar, wherever it begins`(scalar: String) {
        for before in 0...70 {
            let head = [UInt8](repeating: 0x61, count: before)
            let sequence = [UInt8](scalar.utf8)
            for count in 1..<max(sequence.count, 1) {
                let bytes = head + sequence[..<count]
                #expect(bytes.withUnsafeBytes { TextCheck.fault(in: $0) } == TextFault(.invalidUTF8, before))
            }
            #expect((head + sequence).withUnsafeBytes { TextCheck.fault(in: $0) } == nil)
        }
    }

    @Test(arguments: scalars)
    func `no sequence goes on behind plain bytes, however many they are`(scalar: String) {
        let sequence = [UInt8](scalar.utf8)
        for before in 0...70 {
            for count in 1..<max(sequence.count, 1) {
                for plain in [1, 7, 8, 31, 32, 33, 64] {
                    let bytes =
                        [UInt8](repeating: 0x61, count: before) + sequence[..<count]
                        + [UInt8](repeating: 0x61, count: plain) + sequence[count...]
                    let found = bytes.withUnsafeBytes { TextCheck.fault(in: $0) }
                    if found != TextFault(.invalidUTF8, before) { Issue.record("\(bytes)") }
                }
            }
        }
    }

    @Test func `texts of all scalars with random bytes in them`() {
        let seed = testSeed(ProcessInfo.processInfo.environment)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50_000 {
            var bytes: [UInt8] = []
            // Runs of one scalar, so that some are longer than what is looked at together.
            for _ in 0..<Int.random(in: 0...6, using: &generator) {
                let scalar = Self.scalars[Int.random(in: 0..<Self.scalars.count, using: &generator)]
                for _ in 0..<[1, 2, 5, 40][Int.random(in: 0..<4, using: &generator)] { bytes += scalar.utf8 }
            }
            if !agree(bytes) { Issue.record("seed \(seed): \(bytes)") }
            for _ in 0..<Int.random(in: 0...2, using: &generator) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &generator)
                case 1: bytes.remove(at: place)
                case 2: bytes.removeLast(bytes.count - place)
                default:
                    let fault = Self.faults[Int.random(in: 0..<Self.faults.count, using: &generator)]
                    bytes.insert(contentsOf: fault, at: place)
                }
            }
            if !agree(bytes) { Issue.record("seed \(seed): \(bytes)") }
        }
    }

    @Test func `a fault at each place of texts of each length`() {
        let faults: [[UInt8]] = [[0], [0x80], [0xC3], [0xFF], [0xED, 0xA0, 0x80], [0xF0, 0x9F, 0x9A]]
        for length in 0...40 {
            #expect(agree([UInt8](repeating: 0x61, count: length)))
            for place in 0...length {
                for fault in faults {
                    var bytes = [UInt8](repeating: 0x7E, count: length)
                    bytes.insert(contentsOf: fault, at: place)
                    #expect(agree(bytes), "\(bytes)")
                    #expect(bytes.withUnsafeBytes { TextCheck.fault(in: $0) }?.offset == place)
                }
            }
        }
    }

    @Test func `random bytes and random texts`() {
        let seed = UInt64.random(in: 0...0xFFFF_FFFF)
        var generator = SeededGenerator(seed: seed)
        var random = RandomRecords(seed: seed)
        for _ in 0..<5_000 {
            var bytes = Array(random.text().utf8)
            #expect(agree(bytes), "seed \(seed)")
            #expect(bytes.withUnsafeBytes { TextCheck.fault(in: $0) } == nil, "seed \(seed)")
            if let place = bytes.indices.randomElement(using: &generator) {
                bytes[place] = UInt8.random(in: .min ... .max, using: &generator)
                #expect(agree(bytes), "seed \(seed)")
            }
        }
    }
}
