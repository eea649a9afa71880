// The accounting: what was sent is stored, or counted as lost with its place and reason.
//
// Limits: `sourcesMax` sources, and `sessionsMax` sessions of all sources together.
// Memory: about 850 bytes a source, up to 290 for its name, and 280 a session: 29 MB for all 10,000 sources and 65,536 sessions
// of the defaults.
// Up to twice that, since arrays grow by doubling. 4 MB at most for the sessions evicted last.
// Invariant, at rest: the equation of `Balance` holds, in total and for each source.
// Invariant, always: what evictions leave out makes the reported losses smaller, never larger. The exception is a
// session that returns with a late copy of its very first frame, after so many other evictions that its own is
// forgotten: it is taken for a new one.

import FrameCodec
import LinuxSystem
import Synchronization

/// Counts every frame, record and loss, in total and by source. Safe from any thread.
///
/// Receivers hand in whole batches: a handful of atomic additions each, and one short lock for each run of frames of
/// one source. Nothing is allocated but for a source or session that is new.
package final class Accounting: Sendable {
    /// What bounds the accounting's memory.
    package struct Limits: Sendable {
        /// Sources that are counted one by one.
        package var sourcesMax = 10_000
        /// Sessions of all sources that are counted one by one. The ones used longest ago make room for new ones.
        package var sessionsMax = SessionLimits.sessionsMax

        package init() {}
    }

    private let totals = AtomicCounts()
    private let sources: SourceTable
    private let spillBytes = Atomic<UInt64>(0)
    private let spillRecords = Atomic<UInt64>(0)
    private let isSpillFull = Atomic<Bool>(false)
    private let startedMicroseconds: Int64
    /// Sessions that are new so soon behind the start, and not at their beginning, had begun before it.
    private static let earlyMicroseconds: Int64 = 60_000_000

    package init(limits: Limits = Limits(), startedMicroseconds: Int64 = wallClockMicroseconds()) {
        self.startedMicroseconds = startedMicroseconds
        precondition(limits.sourcesMax >= 0 && limits.sessionsMax > 0, "there is room for one session at least")
        sources = SourceTable(sourcesMax: limits.sourcesMax, sessionsMax: limits.sessionsMax)
    }

    // MARK: Receivers

    /// Counts frames that passed admission, gives each its verdict, and remembers who sent them.
    /// O(frames), with one lock for each run of frames from one source.
    package func receive(_ arrivals: inout [FrameArrival], nowMicroseconds: Int64) {
        var batch = Counts()
        let isEarly = nowMicroseconds - startedMicroseconds < Self.earlyMicroseconds
        var first = 0
        while first < arrivals.count {
            let source = arrivals[first].identity.source
            var end = first + 1
            while end < arrivals.count, arrivals[end].identity.source == source { end += 1 }
            let isTracked: Void? = sources.withShard(
                of: source, peer: arrivals[first].peer, nowMicroseconds: nowMicroseconds
            ) { shard, place in
                let time = shard.tick(nowMicroseconds: nowMicroseconds)
                var next = first
                while true {
                    next = shard.receive(
                        &arrivals, next..<end, from: place, at: time,
                        nowMicroseconds: nowMicroseconds)
                    guard next < end else { break }
                    let identity = arrivals[next].identity
                    let evicted = sources.open(
                        identity.session, of: place, in: &shard, first: identity.sequence, isEarly: isEarly, at: time,
                        nowMicroseconds: nowMicroseconds)
                    batch.add(evicted, to: .sessionsEvicted)
                }
            }
            if isTracked == nil { batch.add(end - first, to: .sourcesUntrackedFrames) }
            for index in first..<end { batch.add(arrivals[index]) }
            first = end
        }
        totals.add(batch)
    }

    /// Counts received frames of one source that the ring had no room for: because it is too small for the moment, or
    /// because the spill is full and nothing goes on.
    package func ringFull(source: UInt64, frames: Int, records: Int) {
        // Relaxed: a drop in the moment of the change may have either cause.
        guard !isSpillFull.load(ordering: .relaxed) else {
            return quotaDropped(source: source, frames: frames, records: records)
        }
        count(source: source, (frames, .ringFullDropFrames), (records, .ringFullDrops))
    }

    /// Notes what a client says that it has sent, and its name. Totals that it cannot have reached are counted and left out.
    ///
    /// - Parameter frame: an admitted heartbeat whose payload was checked.
    package func heartbeat(_ frame: RawSpan, _ header: FrameHeader, peer: PeerAddress, nowMicroseconds: Int64) {
        totals.add(1, to: .heartbeatsReceived)
        let heartbeat: HeartbeatFrame
        do throws(FrameError) {
            heartbeat = try HeartbeatFrame(frame: frame, header: header)
        } catch {
            preconditionFailure("a heartbeat is checked before it is counted: \(error)")
        }
        let report = SessionReport(
            framesSent: heartbeat.framesSent, recordsSent: heartbeat.recordsSent,
            recordsDropped: heartbeat.recordsDropped)
        let identity = header.identity
        let key = SessionKey(identity)
        let isEarly = nowMicroseconds - startedMicroseconds < Self.earlyMicroseconds
        var evicted = 0
        var isPlausible = report.isPossible
        _ = sources.withShard(of: identity.source, peer: peer, nowMicroseconds: nowMicroseconds) { shard, place in
            let time = shard.tick(nowMicroseconds: nowMicroseconds)
            if isPlausible {
                if !shard.hasAccount(of: key, from: place) {
                    // A session that says that it sent frames is not at its first one.
                    evicted = sources.open(
                        identity.session, of: place, in: &shard, first: report.framesSent + 1, isEarly: isEarly,
                        at: time, nowMicroseconds: nowMicroseconds)
                }
                isPlausible = shard.report(report, of: key, from: place, at: time)
            }
            shard.withSource(at: place) { entry in
                entry.counts.add(1, to: .heartbeatsReceived)
                if !isPlausible { entry.counts.add(1, to: .implausibleSequences) }
                entry.name(heartbeat.name, number: sources.nextNameNumber)
                entry.lastPeer = peer
                entry.lastSeenMicroseconds = nowMicroseconds
            }
        }
        if !isPlausible { totals.add(1, to: .implausibleSequences) }
        count(evicted, as: .sessionsEvicted)
    }

    /// Notes how many frames of a session are durable when it opens. Those that its account has not seen came to another
    /// collector or an earlier run: then its heartbeats count frames that this run cannot know.
    package func foundDurable(_ frames: UInt64, of key: SessionKey, peer: PeerAddress, nowMicroseconds: Int64) {
        guard frames > 0 else { return }
        var evicted = 0
        _ = sources.withShard(of: key.source, peer: peer, nowMicroseconds: nowMicroseconds) { shard, place in
            guard !shard.foundDurable(frames, of: key, from: place) else { return }
            evicted = sources.open(
                key.session, of: place, in: &shard, first: frames + 1, isEarly: true,
                at: shard.tick(nowMicroseconds: nowMicroseconds), nowMicroseconds: nowMicroseconds)
        }
        count(evicted, as: .sessionsEvicted)
    }

    /// Counts a frame that was refused. `source` only if a sound checksum vouches for it: else anybody's noise would
    /// count against whoever it happens to name.
    package func refused(_ reason: FrameError.Reason, source: UInt64?, peer: PeerAddress, nowMicroseconds: Int64) {
        totals.addRefused(reason)
        guard let source else { return }
        sources.withSource(source, peer: peer, nowMicroseconds: nowMicroseconds) {
            $0.counts[refused: reason] &+= 1
        }
    }

    /// A connection waits, since no descriptor is free for it.
    package func acceptFailed() { refused(.tooManyOpenFiles) }

    package func refused(_ reason: ConnectionRefusal) { totals.addRefused(reason) }

    /// Counts what has no source: datagrams read, kernel drops, connections.
    package func count(_ amount: Int, as counter: Counter) {
        if amount != 0 { totals.add(amount, to: counter) }
    }

    // MARK: Lanes and the spill

    /// Records of a source at a station of their way, or at its end.
    package func count(_ records: Int, as counter: Counter, source: UInt64) {
        count(source: source, (records, counter))
    }

    /// Frames that the spill had no room for, and their records.
    private func quotaDropped(source: UInt64, frames: Int, records: Int) {
        count(source: source, (frames, .quotaDropFrames), (records, .quotaDrops))
    }

    /// A frame that was received and found malformed when it was decoded.
    package func refusedOnDecoding(_ reason: FrameError.Reason, source: UInt64, records: Int) {
        totals.addRefused(reason)
        sources.withKnownSource(source) { $0.counts[refused: reason] &+= 1 }
        count(source: source, (records, .recordsRefused))
    }

    /// What the spill holds now.
    package func spillHolds(bytes: UInt64, records: UInt64) {
        spillBytes.store(bytes, ordering: .relaxed)
        spillRecords.store(records, ordering: .relaxed)
    }

    /// Whether neither the database nor the spill takes anything: what the ring has no room for then is lost for that.
    package func spillIsFull(_ isFull: Bool) { isSpillFull.store(isFull, ordering: .relaxed) }

    /// Records that an earlier run left in the spill, as a whole. Their sources are known when they are read.
    package func recovered(records: UInt64) {
        totals.add(Int(records), to: .recordsReceived)
        totals.add(Int(records), to: .recordsRecovered)
    }

    /// The same records by source: the totals have them already.
    package func recovered(source: UInt64, records: Int) {
        sources.withSource(source, peer: .nobody, nowMicroseconds: 0) { entry in
            entry.counts.add(records, to: .recordsReceived)
            entry.counts.add(records, to: .recordsRecovered)
        }
    }

    /// Records of a spilled batch that is damaged. Nobody knows any more whose they were.
    package func damaged(records: Int) { totals.add(records, to: .recordsDamaged) }

    private func count(source: UInt64, _ amounts: (amount: Int, counter: Counter)...) {
        for (amount, counter) in amounts { totals.add(amount, to: counter) }
        sources.withKnownSource(source) { entry in
            for (amount, counter) in amounts { entry.counts.add(amount, to: counter) }
        }
    }

    // MARK: Reading

    /// The accounting now. O(sources + sessions). A receiver waits for it while it reads one shard.
    package func snapshot() -> AccountingSnapshot {
        var list: [AccountingSnapshot.Source] = []
        var gapFrames: UInt64 = 0
        sources.forEach { entry, sessions in
            gapFrames = gapFrames.addingSaturating(sessions.gapFrames)
            list.append(
                AccountingSnapshot.Source(
                    source: entry.source, name: entry.name, counts: entry.counts,
                    sequenceGapFrames: sessions.gapFrames,
                    sessions: entry.sessionsSeen, reconciliation: sessions.reconciliation, lastPeer: entry.lastPeer,
                    lastSeenMicroseconds: entry.lastSeenMicroseconds))
        }
        list.sort { $0.source < $1.source }
        return AccountingSnapshot(
            totals: totals.load(), sequenceGapFrames: gapFrames,
            connectionsRefused: ConnectionRefusal.allCases.map { ($0, totals.load($0)) },
            spillBytes: spillBytes.load(ordering: .relaxed), spillRecords: spillRecords.load(ordering: .relaxed),
            sessionsTracked: sources.sessionsTracked, sources: list)
    }
}

extension Counts {
    mutating func add(_ arrival: FrameArrival) {
        guard arrival.isAccepted else { return add(1, to: .duplicateFrames) }
        add(1, to: .framesReceived)
        add(Int(arrival.recordCount), to: .recordsReceived)
        add(Int(arrival.frameBytes), to: .bytesReceived)
        if arrival.verdict.isUnusual {
            if arrival.verdict == .behindWindow {
                add(1, to: .framesBehindWindow)
            } else if arrival.identity.sequence != 0 {
                add(1, to: .implausibleSequences)
            }
        }
    }
}
