// Random records of every kind, the same for the same seed.

import FrameCodec
import MetricKinds

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

/// A seed that a failing test prints, and that SPILLWAY_TEST_SEED sets for another run.
func testSeed(_ environment: [String: String]) -> UInt64 {
    environment["SPILLWAY_TEST_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...0xFFFF_FFFF)
}

/// Makes records that are likely to share texts and prefixes, and now and then have an extreme.
struct RandomRecords {
    private var generator: SeededGenerator
    private var pool: [String] = []
    private var counter = 0

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        for _ in 0..<40 { pool.append(text()) }
    }

    mutating func record() -> AnyRecord {
        record(MetricKind.allCases.randomElement(using: &generator) ?? .point)
    }

    mutating func record(_ kind: MetricKind) -> AnyRecord {
        var record = AnyRecord(kind: kind, time: time())
        let density = Double.random(in: 0...1, using: &generator)
        for (index, column) in kind.columns.enumerated() where chance(density) {
            record.values[index] = value(column)
        }
        if chance(0.3) {
            let count = [0, 1, 2, 9].randomElement(using: &generator) ?? 0
            record.tags = Tags((0..<count).map { _ in Tags.Pair(key: pooledText(), value: pooledText()) })
        }
        if chance(0.3) { record.metadata = metadata() }
        return record
    }

    private mutating func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &generator) < probability
    }

    private mutating func time() -> Int64 {
        let extremes = [0, -1, FrameLimits.timeRange.lowerBound, 253_402_300_800_000_000, 1_000_000_000_000_000_000]
        if chance(0.05) { return extremes.randomElement(using: &generator) ?? 0 }
        return 1_795_377_900_000_000 + Int64.random(in: -5_000_000...5_000_000, using: &generator)
    }

    private mutating func value(_ column: MetricColumn) -> FieldValue {
        switch column.type {
        case .text: return .text(column.coding == .prefix ? identifier() : pooledText())
        case .bool: return .bool(chance(0.5))
        case .int32:
            let wide = Int32.random(in: .min ... .max, using: &generator)
            return .int32([wide, wide >> 24, .min, .max, 0].randomElement(using: &generator) ?? 0)
        case .int64:
            let wide = Int64.random(in: .min ... .max, using: &generator)
            return .int64([wide, wide >> 50, .min, .max, 0].randomElement(using: &generator) ?? 0)
        case .float32:
            let any = Float(bitPattern: UInt32.random(in: .min ... .max, using: &generator))
            return .float32([any, 0.25, -0.0, .nan, .infinity].randomElement(using: &generator) ?? 0)
        case .float64:
            let any = Double(bitPattern: UInt64.random(in: .min ... .max, using: &generator))
            return .float64([any, 0.1, -0.0, .nan, -.infinity].randomElement(using: &generator) ?? 0)
        }
    }

    private mutating func identifier() -> String {
        counter += Int.random(in: 0...3, using: &generator)
        if chance(0.1) { return pooledText() }
        return "query_\(String(counter + 100_000_000).dropFirst())"
    }

    private mutating func pooledText() -> String {
        chance(0.8) ? pool.randomElement(using: &generator) ?? "" : text()
    }

    mutating func text() -> String {
        let alphabets = ["abc_0123456789", "aäßéè", "検索楜", "🚀🚁a", "\"\\\n\u{1} /", "e\u{301}\u{E9}"]
        let alphabet = Array((alphabets.randomElement(using: &generator) ?? "").unicodeScalars)
        let length = [0, 1, 3, 8, 20, 200].randomElement(using: &generator) ?? 0
        var scalars = String.UnicodeScalarView()
        for _ in 0..<length { scalars.append(alphabet.randomElement(using: &generator) ?? "x") }
        return String(scalars)
    }

    private mutating func metadata() -> Metadata? {
        let texts = [
            "{}", #"{"a":[1,2.50,-0,1e5,null,true,false]}"#, #"{"größe":"\u00e9\ud83d\ude80"}"#,
            #"{"a":{"b":[{"c":[]}]},"a":""}"#,
        ]
        return try? Metadata(json: texts.randomElement(using: &generator) ?? "{}")
    }
}
