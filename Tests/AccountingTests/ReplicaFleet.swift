// Processes that send under one source name or several, and what became of each of their frames.

import FrameCodec
import TestSupport

@testable import Accounting

/// Sends numbered frames and heartbeats to an accounting, and keeps the truth that the accounting has to find.
struct ReplicaFleet {
    struct Replica {
        let source: UInt64
        let session: UInt64
        var framesSent: UInt64 = 0
        var recordsSent: UInt64 = 0
        var recordsReceived: UInt64 = 0
        /// Different ones.
        var sequencesReceived: Set<UInt64> = []
        var hasReported = false

        var framesLost: UInt64 { framesSent - UInt64(sequencesReceived.count) }
        var recordsLost: UInt64 { recordsSent - recordsReceived }
        /// Sequences missing between those that came.
        var gapFrames: UInt64 {
            guard let low = sequencesReceived.min(), let high = sequencesReceived.max() else { return 0 }
            return high - low + 1 - UInt64(sequencesReceived.count)
        }
    }

    /// A frame that was sent and may still arrive.
    struct SentFrame {
        let replica: Int
        let sequence: UInt64
        let records: UInt32
    }

    let accounting: Accounting
    var nowMicroseconds: Int64 = 100_000_000
    private(set) var replicas: [Replica]
    /// Frames that arrived for the first time and were called resent.
    private(set) var newFramesRefused = 0

    /// Replicas take turns with the sources 1 to `sources`. The accounting has been running for a while.
    init(replicas count: Int, sources: Int = 1, sessionsMax: Int? = nil) {
        var limits = Accounting.Limits()
        if let sessionsMax { limits.sessionsMax = sessionsMax }
        accounting = Accounting(limits: limits, startedMicroseconds: 0)
        replicas = (0..<count).map { Replica(source: UInt64(1 + $0 % sources), session: UInt64(1_000 + $0)) }
    }

    /// What all replicas of the source, or of all sources, have in sum.
    func sum(_ value: (Replica) -> UInt64, ofSource source: UInt64? = nil) -> UInt64 {
        replicas.filter { source == nil || $0.source == source }.reduce(0) { $0 + value($1) }
    }

    /// The replica's next frame leaves it.
    mutating func send(from replica: Int) -> SentFrame {
        let records = UInt32(1 + (replicas[replica].framesSent * 7 + UInt64(replica)) % 20)
        replicas[replica].framesSent += 1
        replicas[replica].recordsSent += UInt64(records)
        return SentFrame(replica: replica, sequence: replicas[replica].framesSent, records: records)
    }

    /// The frame arrives, for the first time or again.
    @discardableResult
    mutating func receive(_ frame: SentFrame) throws -> SequenceVerdict {
        let replica = replicas[frame.replica]
        let bytes = TestFrame(
            source: replica.source, session: replica.session, sequence: frame.sequence, recordCount: frame.records
        ).bytes
        let header = try FrameHeader.read(bytes.span.bytes)
        var arrivals = [FrameArrival(header, at: 0, inBuffer: 0, beginsDatagram: true, peer: .nobody)]
        accounting.receive(&arrivals, nowMicroseconds: nowMicroseconds)
        if replicas[frame.replica].sequencesReceived.insert(frame.sequence).inserted {
            replicas[frame.replica].recordsReceived += UInt64(frame.records)
            if !arrivals[0].isAccepted { newFramesRefused += 1 }
        }
        return arrivals[0].verdict
    }

    /// A heartbeat with the replica's present totals arrives.
    mutating func heartbeat(from replica: Int) throws {
        let sender = replicas[replica]
        let frame = TestFrame(source: sender.source, session: sender.session, sequence: 1).bytes
        let bytes = HeartbeatFrame(
            framesSent: sender.framesSent, recordsSent: sender.recordsSent, bytesSent: 1, recordsDropped: 0,
            name: "replica"
        ).encoded(try FrameHeader.read(frame.span.bytes).identity)
        accounting.heartbeat(
            bytes.span.bytes, try FrameHeader.read(bytes.span.bytes), peer: .nobody, nowMicroseconds: nowMicroseconds)
        replicas[replica].hasReported = true
    }
}
