// Records that look like those of real systems, for measuring, for demonstrations and for tests.
//
// Invariant: a record depends only on the options and its index. The same seed gives the same records on every machine
// and in every later version; a frame that is full lets the record be made again.

import FrameCodec
import MetricKinds

/// An endless sequence of records. Making a record costs no allocation, unless it has tags or metadata.
public struct RecordGenerator: Sendable {
    /// What is made.
    public struct Options: Sendable, Equatable {
        /// One kind, or nil for all kinds in turn.
        public var kind: MetricKind?
        public var seed: UInt64
        /// The first record's time, in microseconds since the Unix epoch.
        public var startTime: Int64
        /// From one record to the next.
        public var stepMicroseconds: Int64
        /// One record in so many has tags, and another one in so many has metadata; 0 for none.
        public var extrasEvery: Int

        /// 2026-01-01T00:00:00Z: the start for everybody who wants the same bytes again.
        public static let fixedStartTime: Int64 = 1_767_225_600_000_000

        public init(
            kind: MetricKind? = nil, seed: UInt64 = 1, startTime: Int64 = fixedStartTime,
            stepMicroseconds: Int64 = 1_000, extrasEvery: Int = 10
        ) {
            self.kind = kind
            self.seed = seed
            self.startTime = startTime
            self.stepMicroseconds = stepMicroseconds
            self.extrasEvery = extrasEvery
        }
    }

    public let options: Options
    /// The index of the record that comes next.
    public private(set) var index: UInt64 = 0

    let texts = GeneratedTexts()
    private let tags: [Tags]
    private let metadata: [Metadata]

    public init(_ options: Options = Options()) {
        self.options = options
        let regions = ["eu-central", "eu-west", "us-east", "ap-south"]
        tags = regions.flatMap { region in
            ["production", "staging"].map { ["environment": $0, "region": region] as Tags }
        }
        metadata = (0..<16).map { version in
            do {
                return try Metadata(
                    json: "{\"build\":\(4_100 + version),\"canary\":\(version % 4 == 0),\"path\":[\"edge\",\"core\"]}")
            } catch {
                preconditionFailure("the generator's own metadata is valid: \(error)")
            }
        }
    }

    /// Appends the next record as a typed record, without JSON in between.
    ///
    /// - Returns: false when the encoder's frame is full: finish it and append again; the same record comes.
    /// - Throws: nothing that a frame of the default limits could refuse.
    @inline(__always)
    public mutating func append(to encoder: inout FrameEncoder) throws(RecordError) -> Bool {
        let kinds = UInt64(MetricKind.allCases.count)
        let kind: MetricKind
        let number: Int
        if let only = options.kind {
            kind = only
            number = Int(truncatingIfNeeded: index)
        } else {
            kind = MetricKind.allCases[Int(index % kinds)]
            number = Int(truncatingIfNeeded: index / kinds)
        }
        var draw = Draw(
            number: number % 100_000_000,
            time: options.startTime &+ Int64(truncatingIfNeeded: index) &* options.stepMicroseconds,
            random: SplitMix64(seed: options.seed, index: index))
        guard try append(kind, &draw, to: &encoder) else { return false }
        index &+= 1
        return true
    }

    /// What one record is made of.
    struct Draw {
        /// Which record of its kind it is, at most eight digits.
        let number: Int
        let time: Int64
        var random: SplitMix64
    }

    private func append(_ kind: MetricKind, _ draw: inout Draw, to encoder: inout FrameEncoder) throws(RecordError)
        -> Bool
    {
        switch kind {
        case .routing: try append(routing(&draw), &draw, to: &encoder)
        case .memory: try append(memory(&draw), &draw, to: &encoder)
        case .attention: try append(attention(&draw), &draw, to: &encoder)
        case .compute: try append(compute(&draw), &draw, to: &encoder)
        case .execution: try append(execution(&draw), &draw, to: &encoder)
        case .agentEvolution: try append(agentEvolution(&draw), &draw, to: &encoder)
        case .rag: try append(rag(&draw), &draw, to: &encoder)
        case .system: try append(system(&draw), &draw, to: &encoder)
        case .point: try append(point(&draw), &draw, to: &encoder)
        }
    }

    @inline(__always)
    private func append<Record: MetricRecord>(
        _ record: consuming Record, _ draw: inout Draw, to encoder: inout FrameEncoder
    ) throws(RecordError) -> Bool {
        if options.extrasEvery > 0 {
            if draw.random.oneIn(options.extrasEvery) { record.tags = tags[draw.random.below(tags.count)] }
            if draw.random.oneIn(options.extrasEvery) { record.metadata = metadata[draw.random.below(metadata.count)] }
        }
        return try encoder.append(record)
    }
}
