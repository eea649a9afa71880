// The fast check of texts against the standard library's decoder, scalar by scalar.

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
