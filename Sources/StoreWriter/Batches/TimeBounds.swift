// Which times of records are stored. A client with a broken clock, or a hostile one, must not make a chunk for every day of a
// century: commits, queries and maintenance slow down with each. What is judged is the record's time against the arrival of its
// batch, which the spill keeps, so that a batch that is replayed a month later is judged as on its first day.

import Delivery
import FrameCodec
import LinuxSystem
import MetricKinds
import Postgres
import StoreSchema
import Text

/// How far from the arrival of their batch the times of records may lie.
public struct TimeBounds: Sendable, Equatable {
    /// In microseconds; nil for any time.
    public var past: Int64?
    public var future: Int64?

    public init(past: Int64?, future: Int64?) { (self.past, self.future) = (past, future) }

    public static let none = TimeBounds(past: nil, future: nil)

    /// - Parameter arrival: in microseconds since the Unix epoch.
    package func accepted(at arrival: Int64) -> ClosedRange<Int64> {
        let first = past.map { arrival.subtractingReportingOverflow($0) }
        let last = future.map { arrival.addingReportingOverflow($0) }
        let lower = first.map { $0.overflow ? .min : $0.partialValue } ?? .min
        let upper = last.map { $0.overflow ? .max : $0.partialValue } ?? .max
        return lower...max(lower, upper)
    }
}

/// By what the times of a batch's records are judged. The same judgement gives the same rows at every reading of the batch.
public struct TimeJudgement: Sendable, Equatable {
    public var bounds = TimeBounds.none
    /// Days of rows older than `OldChunkBudget.ageMicroseconds` are collected.
    public var watchesOldDays = false
    /// By source, old days of which rows are not accepted.
    public var denied: [UInt64: Set<TableDay>] = [:]

    public init(_ bounds: TimeBounds = .none, watchesOldDays: Bool = false) {
        self.bounds = bounds
        self.watchesOldDays = watchesOldDays
    }

    package func accepts(_ time: Int64, of kind: MetricKind, source: UInt64, arrival: Int64) -> Bool {
        bounds.accepted(at: arrival).contains(time)
            && denied[source]?.contains(TableDay(kind, at: time)) != true
    }
}

/// A frame with records that are not accepted for their times.
package struct OutOfBoundsFrame: Sendable, Equatable {
    package let source: UInt64
    /// Records that are not accepted.
    package let recordCount: Int
    /// Its bytes among those that were read.
    package let bytes: Range<Int>
}

extension DeadLetter {
    /// A standard code, datetime field overflow, by which these letters can be selected.
    package static let outOfBoundsState = SQLState("22008")
    package static let outOfBoundsReason = "time out of bounds"

    /// The records of a batch that are not accepted for their times: a letter for each frame and kind, with those records alone.
    /// Kinds that are left out have none: they are judged when their rows are stored. O(bytes of these frames).
    package static func outOfBounds(
        _ decoded: DecodedBatch, _ frames: UnsafeRawBufferPointer, arrival: Int64
    ) -> [DeadLetter] {
        var letters: [DeadLetter] = []
        var decoder = FrameDecoder()
        for entry in decoded.outOfBounds {
            forEachFrame(UnsafeRawBufferPointer(rebasing: frames[entry.bytes])) { frame, header, _ in
                let refused = RefusedTimes(decoded, entry.source, arrival: arrival)
                var collector = RecordCollector { kind, time in refused.note(time, of: kind) }
                do throws(FrameError) {
                    try decoder.decode(frame, header: header, &collector)
                } catch {
                    preconditionFailure("the frame was read before: \(error)")
                }
                let bytes = frame.withUnsafeBytes { Array($0) }
                letters += refused.letters(collector.records, bytes, header)
            }
        }
        return letters
    }
}

/// The records of one frame that are not accepted.
private final class RefusedTimes {
    /// Those of one kind.
    private struct Refused {
        /// Of each record, its place among those of its kind.
        var places: [Int] = []
        var earliest = Int64.max
        var latest = Int64.min

        mutating func note(_ time: Int64, at place: Int) {
            places.append(place)
            earliest = min(earliest, time)
            latest = max(latest, time)
        }
    }

    private let judgement: TimeJudgement
    private let leftOut: KindSet
    private let source: UInt64
    private let arrival: Int64
    private var refused: [MetricKind: Refused] = [:]
    private var counts: [MetricKind: Int] = [:]

    package init(_ decoded: DecodedBatch, _ source: UInt64, arrival: Int64) {
        judgement = decoded.judgement
        leftOut = decoded.leftOut
        self.source = source
        self.arrival = arrival
    }

    /// - Returns: whether the record is refused.
    package func note(_ time: Int64, of kind: MetricKind) -> Bool {
        let place = counts[kind, default: 0]
        counts[kind] = place + 1
        guard !leftOut.contains(kind), !judgement.accepts(time, of: kind, source: source, arrival: arrival) else {
            return false
        }
        refused[kind, default: Refused()].note(time, at: place)
        return true
    }

    /// One letter of a kind where its records fit into a frame, as they do in any that this encoder wrote, or one for each.
    package func letters(_ records: [AnyRecord], _ frame: [UInt8], _ header: FrameHeader) -> [DeadLetter] {
        var letters: [DeadLetter] = []
        for kind in SchemaSQL.kindsByTable {
            guard let refused = refused[kind] else { continue }
            let own = records.filter { $0.kind == kind }
            func letter(_ count: Int, _ frame: [UInt8], recordIndex: Int? = nil) -> DeadLetter {
                DeadLetter(
                    kind: kind, source: source, records: count, reason: reason(refused.earliest, refused.latest),
                    sqlstate: DeadLetter.outOfBoundsState, frame: frame, recordIndex: recordIndex)
            }
            func encoded(_ records: [AnyRecord]) -> [UInt8]? {
                var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
                return RowIsolation.frame(records, header.identity, &encoder)
            }
            if own.count == header.recordCount {
                letters.append(letter(own.count, frame))
            } else if let together = encoded(own) {
                letters.append(letter(own.count, together))
            } else {
                letters += zip(own, refused.places).map { record, place in
                    encoded([record]).map { letter(1, $0) } ?? letter(1, frame, recordIndex: place)
                }
            }
        }
        return letters
    }

    private func reason(_ earliest: Int64, _ latest: Int64) -> String {
        func text(_ time: Int64) -> String { UTCDay.timeText(time) }
        let accepted = judgement.bounds.accepted(at: arrival)
        let times = earliest == latest ? text(earliest) : "\(text(earliest)) to \(text(latest))"
        guard accepted.contains(earliest), accepted.contains(latest) else {
            var limits: [String] = []
            if accepted.lowerBound > .min { limits.append("from \(text(accepted.lowerBound))") }
            if accepted.upperBound < .max { limits.append("up to \(text(accepted.upperBound))") }
            return "\(DeadLetter.outOfBoundsReason); \(times), when times \(limits.joined(separator: " ")) were "
                + "accepted (--accept-past, --accept-future)"
        }
        return "\(DeadLetter.outOfBoundsReason); \(times): they would have opened more than "
            + "\(OldChunkBudget.chunksPerSourceMax) chunks older than a week for the source within an hour, or "
            + "\(OldChunkBudget.chunksMax) for all sources (--accept-past off)"
    }
}
