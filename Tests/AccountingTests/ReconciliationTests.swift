// What heartbeats show that gaps cannot.

import Delivery
import FrameCodec
import TestSupport
import Testing

@testable import Accounting

struct ReconciliationTests {
    private func frames(_ sequences: ClosedRange<UInt64>, records: Int) throws -> [FrameArrival] {
        try sequences.map { sequence in
            let frame = TestFrame(sequence: sequence, recordCount: UInt32(records)).bytes
            return FrameArrival(
                try FrameHeader.read(frame.span.bytes), at: 0, inBuffer: 0, beginsDatagram: true, peer: .nobody)
        }
    }

    private func heartbeat(_ accounting: Accounting, frames: UInt64, records: UInt64, at now: Int64) throws {
        let first = TestFrame(sequence: 1).bytes
        let identity = try FrameHeader.read(first.span.bytes).identity
        let bytes = HeartbeatFrame(
            framesSent: frames, recordsSent: records, bytesSent: 1, recordsDropped: 3, name: "test"
        ).encoded(identity)
        accounting.heartbeat(
            bytes.span.bytes, try FrameHeader.read(bytes.span.bytes), peer: .nobody, nowMicroseconds: now)
    }

    @Test func aLostTailShowsInTheHeartbeatAndALateFrameTakesItAway() throws {
        let accounting = Accounting(startedMicroseconds: 0)
        let late: Int64 = 100_000_000
        var arrivals = try frames(1...8, records: 10)
        accounting.receive(&arrivals, nowMicroseconds: late)
        try heartbeat(accounting, frames: 10, records: 100, at: late)
        var books = accounting.snapshot().reconciliation
        #expect(accounting.snapshot().sequenceGapFrames == 0)
        #expect(books.recordsSent == 100 && books.recordsMissing == 20 && books.framesMissing == 2)
        #expect(books.recordsDroppedByClient == 3 && books.sessions == 1)
        arrivals = try frames(9...9, records: 10)
        accounting.receive(&arrivals, nowMicroseconds: late)
        // A resent one changes nothing.
        arrivals = try frames(9...9, records: 10)
        accounting.receive(&arrivals, nowMicroseconds: late)
        books = accounting.snapshot().reconciliation
        #expect(books.recordsMissing == 10)
    }

    @Test func aLostHeadIsMissingAndASessionFromBeforeTheStartIsLeftOut() throws {
        let running = Accounting(startedMicroseconds: 0)
        let late: Int64 = 100_000_000
        var arrivals = try frames(3...5, records: 1)
        running.receive(&arrivals, nowMicroseconds: late)
        try heartbeat(running, frames: 5, records: 5, at: late)
        #expect(running.snapshot().reconciliation.recordsMissing == 2)

        let started = Accounting(startedMicroseconds: 0)
        arrivals = try frames(3...5, records: 1)
        started.receive(&arrivals, nowMicroseconds: 1_000_000)
        try heartbeat(started, frames: 5, records: 5, at: 1_000_000)
        #expect(started.snapshot().reconciliation.recordsMissing == 0)
        #expect(started.snapshot().reconciliation.sessionsBegunBefore == 1)
    }

    /// A session goes on at this collector after it was at another one, which stored frames 3 to 5.
    @Test func whatAnotherCollectorStoredIsNotMissing() throws {
        let accounting = Accounting(startedMicroseconds: 0)
        let late: Int64 = 100_000_000
        var arrivals = try frames(1...2, records: 1)
        let key = SessionKey(arrivals[0].identity)
        accounting.foundDurable(0, of: key, peer: arrivals[0].peer, nowMicroseconds: late)
        accounting.receive(&arrivals, nowMicroseconds: late)
        // A connection that breaks and comes back to the same collector.
        accounting.foundDurable(2, of: key, peer: arrivals[0].peer, nowMicroseconds: late)
        try heartbeat(accounting, frames: 3, records: 3, at: late)
        #expect(accounting.snapshot().reconciliation.framesMissing == 1)
        accounting.foundDurable(5, of: key, peer: arrivals[0].peer, nowMicroseconds: late)
        arrivals = try frames(6...6, records: 1)
        accounting.receive(&arrivals, nowMicroseconds: late)
        try heartbeat(accounting, frames: 6, records: 6, at: late)
        let books = accounting.snapshot().reconciliation
        #expect(books.framesMissing == 0 && books.sessionsBegunBefore == 1)
    }

    @Test func aSessionThatBeginsWithFramesOfAnotherCollectorIsLeftOut() throws {
        let accounting = Accounting(startedMicroseconds: 0)
        let late: Int64 = 100_000_000
        var arrivals = try frames(1...1, records: 1)
        accounting.foundDurable(
            1, of: SessionKey(arrivals[0].identity), peer: arrivals[0].peer, nowMicroseconds: late)
        accounting.receive(&arrivals, nowMicroseconds: late)
        try heartbeat(accounting, frames: 9, records: 9, at: late)
        let books = accounting.snapshot().reconciliation
        #expect(books.framesMissing == 0 && books.sessionsBegunBefore == 1)
    }

    @Test func totalsDoNotFall() throws {
        let accounting = Accounting(startedMicroseconds: 0)
        let late: Int64 = 100_000_000
        var arrivals = try frames(1...5, records: 1)
        accounting.receive(&arrivals, nowMicroseconds: late)
        try heartbeat(accounting, frames: 5, records: 5, at: late)
        try heartbeat(accounting, frames: 0, records: 0, at: late)
        #expect(accounting.snapshot().reconciliation.framesSent == 5)
    }
}
