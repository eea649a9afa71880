// Valid records that nobody would send: every field at its limits, texts of every script, metadata of every shape. What
// passes them unchanged passes everything.

import FrameCodec
import MetricKinds

/// An endless sequence of random records at the limits of the protocol. A record depends only on kind, seed and index.
public struct ExtremeRecords: Sendable {
    public let kind: MetricKind
    public let seed: UInt64
    /// The index of the record that comes next.
    public private(set) var index: UInt64 = 0

    public init(kind: MetricKind, seed: UInt64) {
        self.kind = kind
        self.seed = seed
    }

    /// The next record.
    public mutating func next() -> AnyRecord {
        var random = SplitMix64(seed: seed &+ UInt64(kind.rawValue) << 56, index: index)
        index += 1
        var record = AnyRecord(kind: kind, time: Self.time(&random))
        let presence = random.below(4)
        for (position, column) in kind.columns.enumerated() {
            // A quarter of the records is full, a quarter empty, the rest mixed.
            guard presence == 0 || (presence > 1 && random.oneIn(2)) else { continue }
            record.values[position] = Self.value(column.type, &random)
        }
        if random.oneIn(4) {
            let count = random.oneIn(1_000) ? FrameLimits.tagsPerRecordMax : random.below(5)
            record.tags = Tags(
                (0..<count).map { Tags.Pair(key: "\($0)" + Self.text(&random), value: Self.text(&random)) })
        }
        if random.oneIn(4) {
            do {
                record.metadata = try Metadata(json: Self.object(&random, depth: 0))
            } catch {
                preconditionFailure("the generator's own metadata is valid: \(error)")
            }
        }
        return record
    }

    private static func time(_ random: inout SplitMix64) -> Int64 {
        let range = FrameLimits.timeRange
        switch random.below(8) {
        case 0: return range.lowerBound + Int64(random.below(3))
        case 1: return range.upperBound - Int64(random.below(3))
        case 2: return Int64(random.below(5)) - 2
        case 3:
            // Around the years 0 and 10000, where the form changes.
            let edge: Int64 = random.oneIn(2) ? 253_402_300_800_000_000 : -62_167_219_200_000_000
            return edge + Int64(random.below(5)) - 2
        case 4: return max(range.lowerBound, Int64(bitPattern: random.next()))
        default: return RecordGenerator.Options.fixedStartTime + Int64(random.below(1 << 40))
        }
    }

    private static func value(_ type: ColumnType, _ random: inout SplitMix64) -> FieldValue {
        switch type {
        case .text: return .text(text(&random))
        case .bool: return .bool(random.oneIn(2))
        case .int32: return .int32(Int32(truncatingIfNeeded: integer(&random, bits: 32)))
        case .int64: return .int64(integer(&random, bits: 64))
        case .float32:
            let special: [Float] = [
                0, -0.0, .nan, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNormalMagnitude,
                .leastNonzeroMagnitude, 1, 16_777_216, 0.1,
            ]
            if random.oneIn(4) { return .float32(special[random.below(special.count)]) }
            let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
            return .float32(value.isNaN ? .nan : value)
        case .float64:
            let special: [Double] = [
                0, -0.0, .nan, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNormalMagnitude,
                .leastNonzeroMagnitude, 1, 9_007_199_254_740_992, 0.1,
            ]
            if random.oneIn(4) { return .float64(special[random.below(special.count)]) }
            let value = Double(bitPattern: random.next())
            return .float64(value.isNaN ? .nan : value)
        }
    }

    private static func integer(_ random: inout SplitMix64, bits: Int) -> Int64 {
        switch random.below(8) {
        case 0: return bits == 32 ? Int64(Int32.min) : .min
        case 1: return bits == 32 ? Int64(Int32.max) : .max
        case 2: return Int64(random.below(3)) - 1
        // Every length of varint comes up.
        default: return Int64(bitPattern: random.next()) >> Int64(random.below(bits) + 64 - bits)
        }
    }

    private static let pieces: [String] = [
        "a", "Z", "0", " ", "\"", "\\", "/", "\u{1}", "\u{8}", "\t", "\n", "\u{C}", "\r", "\u{1F}", "\u{7F}", "\u{80}",
        "ü", "e\u{301}", "é", "ß", "\u{7FF}", "\u{800}", "漢", "字", "\u{FEFF}", "\u{FFFD}", "\u{FFFF}", "\u{2028}",
        "\u{10000}", "🦫", "👩‍🚀", "\u{10FFFF}", "query_0000", "1234567", "the same words again and again ",
    ]

    private static func text(_ random: inout SplitMix64) -> String {
        let count = random.oneIn(500) ? random.below(400) : random.below(12)
        var text = ""
        for _ in 0..<count { text += pieces[random.below(pieces.count)] }
        return text
    }

    // MARK: Metadata

    private static func object(_ random: inout SplitMix64, depth: Int) -> String {
        let members = (0..<random.below(4)).map { _ in
            jsonText(&random) + ":" + json(&random, depth: depth + 1)
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    private static func json(_ random: inout SplitMix64, depth: Int) -> String {
        switch random.below(depth < 6 ? 10 : 7) {
        case 0: return "null"
        case 1: return "true"
        case 2: return "false"
        case 3: return jsonText(&random)
        case 4: return "\(Int64(bitPattern: random.next()))"
        case 5:
            let numbers = ["-0", "0.10", "1E+5", "-1.50e-300", "123456789012345678901234567890", "1e999", "0e0"]
            return numbers[random.below(numbers.count)]
        case 6: return "[]"
        case 7: return object(&random, depth: depth)
        case 8:
            let depthLeft = FrameLimits.jsonDepthMax - depth
            let levels = random.oneIn(50) ? depthLeft : min(3, depthLeft)
            return String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        default: return "[" + json(&random, depth: depth + 1) + "," + json(&random, depth: depth + 1) + "]"
        }
    }

    private static func jsonText(_ random: inout SplitMix64) -> String {
        let escapes = ["\\\"", "\\\\", "\\/", "\\b", "\\u0001", "\\u00e9", "\\uD83E\\uDDAB", "ü", "🦫", "key", " "]
        return "\"" + (0..<random.below(6)).map { _ in escapes[random.below(escapes.count)] }.joined() + "\""
    }
}
