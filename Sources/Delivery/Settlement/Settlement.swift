// Which records of a stored batch count as committed, resent, dead-lettered, suppressed, of unknown kinds or refused, and which
// frames are acknowledged.
//
// Invariant: over all settlements of one batch, each of its records counts once, whatever was stored by which attempt.

import Accounting
import FrameCodec

/// A batch that a lane has stored, before it is accounted for. A plain value.
package struct Settlement {
    private let isReplay: Bool
    /// What this run has stored of it before; nil for the first time.
    private let part: StoredPart?
    /// It was received by an earlier run.
    private let isOfEarlierRun: Bool
    private let contents: BatchContents
    private let stored: StoredBatch

    /// - Parameter epoch: of this run.
    package init(_ work: LaneWork, _ contents: BatchContents, _ stored: StoredBatch, epoch: Int64) {
        isReplay = work.spilled != nil
        part = work.spilled?.part
        isOfEarlierRun = isReplay && work.summary.identity.epoch != epoch
        self.contents = contents
        self.stored = stored
    }

    /// Of a batch of which a part was stored before in this run, all but the rest's rows was counted with that part.
    private var isFirst: Bool { part == nil }

    /// What the accounting is to count. O(sources + refused frames).
    package var counts: [DeliveryAction] {
        var actions: [DeliveryAction] = []
        // Records in letters of which this is the account, by source.
        var malformed: [UInt64: Int] = [:]
        for frame in contents.refused where isReplay && isFirst && frame.isAcknowledged {
            malformed[frame.identity.source, default: 0] += frame.recordCount
        }
        for (source, records) in contents.sources {
            count(source, records, malformed: malformed[source] ?? 0, &actions)
        }
        // Nothing may be left of a source that an earlier run has stored a part of.
        for source in stored.partRecords.keys where contents.sources[source] == nil {
            count(source, SourceRecords(), malformed: malformed[source] ?? 0, &actions)
        }
        guard isFirst else { return actions }
        for frame in contents.refused {
            let source = frame.identity.source
            if isOfEarlierRun { actions.append(.countRecovered(source: source, records: frame.recordCount)) }
            actions.append(
                isReplay && frame.isAcknowledged
                    ? .count(.recordsDeadLettered, source: source, records: frame.recordCount)
                    : .countRefused(frame.error.reason, source: source, records: frame.recordCount))
        }
        return actions
    }

    private func count(
        _ source: UInt64, _ records: SourceRecords, malformed: Int, _ actions: inout [DeliveryAction]
    ) {
        // What an earlier attempt stored of this very batch, or a part of it, is no resent frame.
        let own =
            stored.wasStoredBefore ? records.resent : min(records.resent, stored.ownRecords[source] ?? 0)
        let rows = records.rows + records.outOfBounds + (isFirst ? own : 0) + (stored.partRecords[source] ?? 0)
        let resent = isFirst ? records.resent - own : 0
        let unknownKind = isFirst ? records.unknownKind : 0
        let letters = (stored.deadLetters[source] ?? 0) - malformed
        let dead = min(rows, max(0, letters))
        let suppressed = min(rows - dead, stored.suppressed[source] ?? 0)
        let committed = rows - dead - suppressed
        if isOfEarlierRun {
            actions.append(.countRecovered(source: source, records: rows + resent + unknownKind))
        }
        func add(_ counter: Counter, _ records: Int) {
            if records > 0 { actions.append(.count(counter, source: source, records: records)) }
        }
        add(.recordsCommitted, committed)
        if isReplay { add(.recordsReplayed, committed) }
        add(.recordsSuppressed, suppressed)
        add(.recordsDeadLettered, dead)
        add(.recordsOutOfBounds, min(dead, records.outOfBounds))
        add(.recordsResent, resent)
        add(.recordsUnknownKind, unknownKind)
    }

    /// Frames of a live batch that clients wait for and that are malformed. Those of a replayed one were acknowledged when it was
    /// spilled.
    package var refusals: [RefusedFrame] { isReplay ? [] : contents.refused.filter(\.isAcknowledged) }

    /// The frames that are durable: those of the batch without the refused ones.
    package func durable(of sessions: [SessionFrames]) -> [SessionFrames] {
        var sessions = sessions
        for frame in refusals {
            guard let index = sessions.firstIndex(where: { $0.key == SessionKey(frame.identity) }) else { continue }
            sessions[index].sequences.remove(frame.identity.sequence)
        }
        return sessions
    }

    /// What is stored and what waits; nil when nothing waits.
    package var partStored: StoredPart? {
        guard !stored.waiting.isEmpty else { return nil }
        return StoredPart(
            kinds: (part?.kinds ?? []).union(stored.kinds), waiting: stored.waiting,
            settledFrames: stored.settledFrames)
    }
}
