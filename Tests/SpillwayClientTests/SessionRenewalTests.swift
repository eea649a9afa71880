// What follows a refusal with reason 44: what was never written goes into a new session, what was written stays in its own, no
// record is lost or stored under two identities, and the totals of each session are true.

import Glibc
import LinuxSystem
import Testing

@testable import SpillwayClient

@Suite(.serialized, .timeLimit(.minutes(2))) struct SessionRenewalTests {
    private static let cannotRemember: UInt64 = 44
    private let identity = SourceIdentity(name: "test", session: 42)
    /// As many as fill the memory: much more than the buffers of a connection hold.
    private let count: UInt64 = 480

    /// A frame of about 32 KB with one record, whose value is the number.
    private func frame(_ number: UInt64) throws -> [UInt8] {
        var encoder = FrameEncoder()
        let text = String(repeating: "x", count: 32_000)
        #expect(try encoder.append(PointRecord(time: 1, value: Double(number), valueText: text)))
        let bytes = encoder.finish(identity.frame(sequence: number)) { frame in frame.withUnsafeBytes { Array($0) } }
        return try #require(bytes)
    }

    private func send(_ numbers: ClosedRange<UInt64>, _ sender: inout AcknowledgedSender) throws {
        for number in numbers {
            let bytes = try frame(number)
            try sender.send(bytes.span.bytes, sequence: number, recordCount: 1)
        }
    }

    /// Sends everything, and more once a refusal has come.
    private func sendAll(
        to collector: RefusingCollector, renewsSession: Bool = true
    ) throws -> AcknowledgementStatistics {
        var sender = AcknowledgedSender(
            to: collector.address, identity: identity, timeoutMilliseconds: 30_000, renewsSession: renewsSession)
        try send(1...count, &sender)
        while sender.statistics.framesRefused == 0 { try sender.progress(waitMilliseconds: 20) }
        try send(count + 1...count + 20, &sender)
        sender.sendHeartbeat()
        try sender.waitUntilAcknowledged()
        let statistics = sender.statistics
        #expect(statistics.frames == count + 20)
        #expect(statistics.framesAcknowledged + statistics.framesRefused == statistics.frames)
        #expect(statistics.recordsAcknowledged + statistics.recordsRefused == statistics.records)
        _ = try sender.finish()
        return statistics
    }

    /// Each record came, under one identity however often, and sequences have no gaps.
    private func expectWhole(_ log: RefusingCollector.Log, upTo last: UInt64) {
        var identities: [Double: FrameIdentity] = [:]
        var values: [FrameIdentity: [Double]] = [:]
        for frame in log.frames {
            for value in frame.values {
                #expect(identities[value] == nil || identities[value] == frame.identity, "two identities of \(value)")
                identities[value] = frame.identity
            }
            #expect(values[frame.identity] == nil || values[frame.identity] == frame.values)
            values[frame.identity] = frame.values
        }
        #expect(Set(identities.keys) == Set((1...last).map { Double($0) }))
        for (session, sequences) in log.sequences {
            #expect(sequences == Array(1...UInt64(sequences.count)), "gaps in session \(session)")
        }
    }

    /// The last heartbeat of each session says what came of it.
    private func expectTrueTotals(_ log: RefusingCollector.Log) {
        for session in log.sessions {
            let sequences = log.sequences[session] ?? []
            let last = log.heartbeats.last { $0.identity.session == session }
            #expect(last?.totals.framesSent == UInt64(sequences.count), "\(String(describing: last))")
            #expect(last?.totals.bytesSent == UInt64(log.bytes[session] ?? 0))
            #expect(last?.identity.sequence == sequences.last)
        }
    }

    @Test func framesThatWereNeverWrittenBeginANewSession() throws {
        let collector = try RefusingCollector { _, session, sequence in
            if session == 0, sequence == 1 { return .refuse(reason: Self.cannotRemember) }
            // What the connection has no room for meanwhile is not written when the refusal is read.
            if session == 0, sequence == 2 { usleep(500_000) }
            return .acknowledge
        }
        let statistics = try sendAll(to: collector)
        let log = collector.finish()
        #expect(statistics.sessionsRenewed == 1)
        #expect(statistics.framesRefused == 1 && statistics.recordsRefused == 1)
        #expect(statistics.framesResent == 0)
        try #require(log.sessions.count == 2)
        #expect(log.sessions[0] == 42)
        let (first, second) = (log.sequences[log.sessions[0]] ?? [], log.sequences[log.sessions[1]] ?? [])
        print("first session \(first.count) frames, second \(second.count)")
        #expect(first.count > 1 && second.count > 20)
        #expect(UInt64(first.count + second.count) == count + 20)
        expectWhole(log, upTo: count + 20)
        expectTrueTotals(log)
        // The old session ends before the new one begins.
        #expect(log.frames.map(\.values) == (1...count + 20).map { [Double($0)] })
    }

    @Test func furtherRefusalsInTheOldSessionBeginNoOtherOne() throws {
        let collector = try RefusingCollector { _, session, sequence in
            if session == 0, sequence == 2 { usleep(500_000) }
            // All of the first session, as a collector does that has no room for its gaps; and one of the second.
            return session == 0 || (session == 1 && sequence == 3)
                ? .refuse(reason: Self.cannotRemember) : .acknowledge
        }
        let statistics = try sendAll(to: collector)
        let log = collector.finish()
        let first = log.sequences[42] ?? []
        let renewed = statistics.sessionsRenewed
        #expect(renewed == 1 || renewed == 2, "\(statistics)")
        #expect(log.sessions.count == Int(renewed) + 1)
        #expect(statistics.framesRefused == UInt64(first.count) + 1)
        expectWhole(log, upTo: count + 20)
        expectTrueTotals(log)
    }

    @Test func whatWasWrittenKeepsItsIdentityOverTheNextConnection() throws {
        let collector = try RefusingCollector { connection, session, sequence in
            guard connection == 0 else { return .acknowledge }
            if session == 0 {
                if sequence == 2 { usleep(500_000) }
                return sequence == 1 ? .refuse(reason: Self.cannotRemember) : .silence
            }
            // Frames of both sessions are open when the connection breaks.
            return sequence == 5 ? .cut : .silence
        }
        let statistics = try sendAll(to: collector)
        let log = collector.finish()
        #expect(statistics.sessionsRenewed == 1 && statistics.framesRefused == 1)
        #expect(statistics.reconnects == 1)
        try #require(log.sessions.count == 2)
        expectWhole(log, upTo: count + 20)
        expectTrueTotals(log)
        // Both sessions begin on the second connection with a heartbeat, and all but the refused frame come again.
        #expect(Set(log.heartbeats.filter { $0.connection == 1 }.map(\.identity.session)) == Set(log.sessions))
        let first = log.sequences[42] ?? []
        let again = log.frames.filter { $0.connection == 1 && $0.identity.session == 42 }.map(\.identity.sequence)
        #expect(again == Array(first.dropFirst()))
    }

    @Test func anotherReasonBeginsNoSession() throws {
        let collector = try RefusingCollector { _, _, sequence in sequence == 1 ? .refuse(reason: 40) : .acknowledge }
        let statistics = try sendAll(to: collector)
        #expect(statistics.sessionsRenewed == 0 && statistics.framesRefused == 1)
        #expect(collector.finish().sessions == [42])
    }

    @Test func aSessionOfAnotherProcessIsNotRenewed() throws {
        let collector = try RefusingCollector { _, _, sequence in
            if sequence == 2 { usleep(300_000) }
            return sequence == 1 ? .refuse(reason: Self.cannotRemember) : .acknowledge
        }
        let statistics = try sendAll(to: collector, renewsSession: false)
        #expect(statistics.sessionsRenewed == 0 && statistics.framesRefused == 1)
        #expect(collector.finish().sessions == [42])
    }

    @Test func aClientOverTCPGoesOnInANewSession() throws {
        let collector = try RefusingCollector { _, session, sequence in
            session == 0 && sequence >= 3 ? .refuse(reason: Self.cannotRemember) : .acknowledge
        }
        let client = try MetricsClient(
            to: collector.address, identity: identity,
            options: MetricsClientOptions(flushIntervalSeconds: 0.01, closeTimeoutSeconds: 20))
        // A record that no frame can carry: heartbeats report it as dropped, once.
        client.record(PointRecord(time: 1, valueText: "a\0b"))
        for number in 1...2_000 as ClosedRange<UInt64> {
            client.record(PointRecord(time: 1, value: Double(number)))
            if number.isMultiple(of: 50) { usleep(5_000) }
        }
        client.close()
        let totals = client.statistics
        let log = collector.finish()
        #expect(totals.recordsRecorded == 2_001)
        #expect(totals.recordsWaiting == 0 && totals.recordsDropped == 0)
        #expect(totals.recordsSent + totals.recordsRefused == 2_001)
        try #require(log.sessions.count == 2)
        let refused = log.frames.filter { $0.identity.session == 42 && $0.identity.sequence >= 3 }
        #expect(totals.recordsRefused == UInt64(refused.flatMap(\.values).count) + 1)
        #expect(refused.count < log.frames.count / 2, "\(refused.count) of \(log.frames.count) frames")
        expectWhole(log, upTo: 2_000)
        expectTrueTotals(log)
        let dropped = log.sessions.map { session in
            log.heartbeats.last { $0.identity.session == session }?.totals.recordsDropped ?? 0
        }
        #expect(dropped.reduce(0, +) == 1, "\(dropped)")
    }
}
