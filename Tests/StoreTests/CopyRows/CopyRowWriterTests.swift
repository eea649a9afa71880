// Tags as JSON in COPY rows, against JSON that is written byte by byte.

import FrameCodec
import MetricKinds
import Testing

@testable import StoreWriter

@Suite struct CopyRowWriterTests {
    private typealias Pair = (key: [UInt8], value: [UInt8])

    private func plainJSON(_ text: [UInt8]) -> [UInt8] {
        var out: [UInt8] = [0x22]
        for byte in text {
            switch byte {
            case 0x22, 0x5C: out += [0x5C, byte]
            case ..<0x20:
                let hexadecimal = "0" + String(byte, radix: 16)
                out += Array("\\u00\(hexadecimal.suffix(2))".utf8)
            default: out.append(byte)
            }
        }
        return out + [0x22]
    }

    private func plainField(_ pairs: [Pair]) -> [UInt8] {
        var json: [UInt8] = [1, UInt8(ascii: "{")]
        for (index, pair) in pairs.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            json += plainJSON(pair.key) + [UInt8(ascii: ":")] + plainJSON(pair.value)
        }
        json.append(UInt8(ascii: "}"))
        return withUnsafeBytes(of: UInt32(json.count).bigEndian) { Array($0) } + json
    }

    /// What a writer makes of the tags alone.
    private func field(_ pairs: [Pair], _ rows: inout CopyRowWriter) -> [UInt8] {
        rows.removeAll()
        rows.beginFrame()
        rows.beginBlock(.point, recordCount: 1)
        rows.beginTags(count: pairs.count)
        for pair in pairs { rows.tag(key: pair.key.span.bytes, value: pair.value.span.bytes) }
        rows.endTags()
        rows.endBatch()
        return rows.withRows(.point) { Array($0.dropFirst(CopyTable.headerBytes)) }
    }

    private func agree(_ pairs: [Pair], _ rows: inout CopyRowWriter) -> Bool {
        field(pairs, &rows) == plainField(pairs)
    }

    @Test func `each byte at each place of keys and values of each length`() {
        var rows = CopyRowWriter()
        for length in 0...40 {
            for place in 0...length {
                for byte in (1 as UInt8)...UInt8.max {
                    var text = [UInt8](repeating: 0x78, count: length)
                    text.insert(byte, at: place)
                    if !agree([(text, []), ([], text)], &rows) { Issue.record("\(text)") }
                }
            }
        }
    }

    @Test func `random texts of all bytes, many of them escaped`() {
        let seed = UInt64.random(in: 0...0xFFFF_FFFF)
        var state = seed
        func below(_ end: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % end
        }
        let often: [UInt8] = [0x22, 0x5C, 0x0A, 0x1F, 0x20, 0x61, 0x7F, 0xC3]
        func text() -> [UInt8] {
            let length = [0, 1, 7, 8, 9, 16, 33, 200][below(8)]
            let kinds = below(3)
            return (0..<length).map { _ in
                below(4) < kinds ? often[below(often.count)] : UInt8(1 + below(255))
            }
        }
        var rows = CopyRowWriter()
        for _ in 0..<20_000 {
            let pairs: [Pair] = (0..<below(6)).map { _ in (text(), text()) }
            if !agree(pairs, &rows) { Issue.record("seed \(seed): \(pairs)") }
        }
    }

    @Test func `the longest texts, every byte of them escaped`() {
        let longest = [UInt8](repeating: 0x1F, count: FrameLimits.stringBytesMax)
        let quotes = [UInt8](repeating: 0x22, count: FrameLimits.stringBytesMax)
        var rows = CopyRowWriter()
        #expect(agree([(longest, quotes), (quotes, longest)], &rows))
        #expect(agree([(longest, longest), (longest, longest), (longest, longest)], &rows))
    }
}
