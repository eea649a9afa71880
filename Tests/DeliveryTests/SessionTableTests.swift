// What the table of sessions promises its users.

import FrameCodec
import Testing

@testable import Delivery

struct SessionTableTests {
    private let key = SessionKey(source: 1, session: 2)

    private func frames(_ ranges: Range<UInt64>...) -> [SessionFrames] {
        [SessionFrames(key: key, sequences: SequenceRanges(ranges))]
    }

    @Test func aFrameIsFreshOnceAndAcknowledgedWhenItIsDurable() {
        var table = SessionTable(hasStore: false)
        let connection = table.openConnection()
        #expect(table.open(key, on: connection) == .welcome(SequenceRanges()))
        #expect(table.admit(key, 1) == .fresh)
        #expect(table.admit(key, 1) == .resent)
        #expect(table.takeAcknowledgements(for: connection).isEmpty)
        table.durable(frames(1..<2))
        #expect(table.takeAcknowledgements(for: connection) == frames(1..<2))
        // A resent durable frame is acknowledged again: its client has not heard of it.
        #expect(table.admit(key, 1) == .resent)
        #expect(table.takeAcknowledgements(for: connection) == frames(1..<2))
        #expect(table.takeAcknowledgements(for: connection).isEmpty)
    }

    @Test func aSessionIsAcknowledgedOnTheConnectionThatOpenedItLast() {
        var table = SessionTable(hasStore: false)
        let first = table.openConnection()
        _ = table.open(key, on: first)
        _ = table.admit(key, 1)
        _ = table.admit(key, 2)
        table.durable(frames(1..<2))
        let second = table.openConnection()
        #expect(table.open(key, on: second) == .welcome(SequenceRanges([1..<2])))
        table.durable(frames(2..<3))
        #expect(table.takeAcknowledgements(for: first).isEmpty)
        #expect(table.takeAcknowledgements(for: second) == frames(2..<3))
        table.close(connection: first)
        #expect(table.connection(of: key) == second)
    }

    @Test func whenASecondConnectionEndsTheFirstGetsTheAcknowledgementsAgain() {
        var table = SessionTable(hasStore: false)
        let (first, second, third) = (table.openConnection(), table.openConnection(), table.openConnection())
        for connection in [first, second, third] { _ = table.open(key, on: connection) }
        _ = table.admit(key, 1)
        table.durable(frames(1..<2))
        table.close(connection: second)
        #expect(table.connection(of: key) == third)
        #expect(table.close(connection: third).isEmpty)
        // What went to a connection that has ended is said again, and what comes after it is said here.
        #expect(table.takeAcknowledgements(for: first) == frames(1..<2))
        _ = table.admit(key, 2)
        table.durable(frames(2..<3))
        #expect(table.connectionsToNotify == [first])
        #expect(table.takeAcknowledgements(for: first) == frames(2..<3))
        #expect(table.close(connection: first) == [key])
    }

    @Test func theDatabaseIsAskedAtEveryOpening() {
        var table = SessionTable(hasStore: true)
        for round in 1...3 as ClosedRange<UInt64> {
            let connection = table.openConnection()
            #expect(table.open(key, on: connection) == .ask)
            #expect(table.needsLookup(key))
            // Another collector has stored what lies between.
            table.stored(key, SequenceRanges([1..<round * 10]))
            #expect(!table.needsLookup(key))
            #expect(table.welcome(key, on: connection) == SequenceRanges([1..<round * 10]))
            #expect(table.admit(key, round * 10 - 1) == .resent)
            #expect(table.admit(key, round * 10) == .fresh)
            table.durable(frames(round * 10..<round * 10 + 1))
            table.close(connection: connection)
        }
    }

    /// Each collector has every second frame of a session that moves: thousands of gaps, none of which is a missing frame.
    @Test func aSessionMayMoveBetweenCollectorsAsOftenAsItLikes() {
        var books = [SessionTable(hasStore: true), SessionTable(hasStore: true)]
        for sequence in 1...10_000 as ClosedRange<UInt64> {
            let number = Int(sequence % 2)
            let connection = books[number].openConnection()
            #expect(books[number].open(key, on: connection) == .ask)
            // The database does not always answer in time.
            if sequence % 3 == 0 { books[number].stored(key, SequenceRanges([1..<sequence])) }
            #expect(books[number].admit(key, sequence) == .fresh)
            books[number].durable(frames(sequence..<sequence + 1))
            books[number].close(connection: connection)
        }
    }

    @Test func aRefusedFrameMayComeAgain() {
        var table = SessionTable(hasStore: false)
        _ = table.admit(key, 1)
        table.withdraw(key, SequenceRanges([1..<2]))
        #expect(table.admit(key, 1) == .fresh)
    }

    @Test func ofASessionWithManyGapsTheLowestDurableRangesAreForgotten() {
        var limits = SessionTable.Limits()
        limits.rangesPerSessionMax = 3
        var table = SessionTable(limits: limits, hasStore: false)
        for sequence: UInt64 in [1, 3, 5] { #expect(table.admit(key, sequence) == .fresh) }
        // All three are on their way and must not be forgotten: this one has to wait, and its neighbours need not.
        #expect(table.admit(key, 7) == .crowded)
        #expect(table.admit(key, 6) == .fresh)
        table.durable(frames(3..<4))
        #expect(table.admit(key, 8) == .fresh)
        #expect(table.admit(key, 9) == .fresh)
        // The frame that was forgotten goes the whole way again; those on their way do not.
        #expect(table.admit(key, 1) == .resent)
        #expect(table.admit(key, 5) == .resent)
        table.durable(frames(1..<2))
        #expect(table.admit(key, 3) == .fresh)
    }

    @Test func onlySequencesThatTheLedgerCannotKeepAreRefused() {
        var table = SessionTable(hasStore: false)
        #expect(table.admit(key, 0) == .refused)
        #expect(table.admit(key, .max) == .refused)
        #expect(table.admit(key, SessionTable.sequenceMax) == .fresh)
        for sequence in stride(from: 1 as UInt64, to: 20_000, by: 2) {
            #expect(table.admit(key, sequence) == .fresh)
            table.durable(frames(sequence..<sequence + 1))
        }
    }

    @Test func aFullBookForgetsSessionsWhoseFramesAreDurableAndThatNoConnectionHasOpen() {
        var limits = SessionTable.Limits()
        limits.sessionsMax = 2
        var table = SessionTable(limits: limits, hasStore: false)
        let others = (2...4).map { SessionKey(source: $0, session: 2) }
        let connection = table.openConnection()
        _ = table.open(others[0], on: connection)
        #expect(table.admit(key, 1) == .fresh)
        // One is open, the other has a frame on its way.
        #expect(table.admit(others[1], 1) == .crowded)
        #expect(table.open(others[1], on: table.openConnection()) == .refused)
        // In the spill, and so safe: no commit is needed.
        table.durable(frames(1..<2))
        #expect(table.admit(others[1], 1) == .fresh)
        #expect(table.sessionCount == 2)
        #expect(table.admit(others[2], 1) == .crowded)
        table.close(connection: connection)
        #expect(table.admit(others[2], 1) == .fresh)
    }

    @Test func whatAnEarlierRunSpilledFillsTheBookToItsLimitAndNoFurther() {
        var limits = SessionTable.Limits()
        limits.sessionsMax = 10
        var table = SessionTable(limits: limits, hasStore: true)
        for source in 1...100 as ClosedRange<UInt64> {
            table.recovered([
                SessionFrames(key: SessionKey(source: source, session: 1), sequences: SequenceRanges([1..<4]))
            ])
        }
        #expect(table.sessionCount == 10)
        let connection = table.openConnection()
        #expect(table.open(SessionKey(source: 101, session: 1), on: connection) == .ask)
    }

    @Test func framesAreAdmittedInARunAsOneByOne() {
        var generator = SystemRandomNumberGenerator()
        var limits = SessionTable.Limits()
        limits.rangesPerSessionMax = 6
        limits.sessionsMax = 3
        for _ in 0..<500 {
            var single = SessionTable(limits: limits, hasStore: false)
            var runs = single
            let connection = single.openConnection()
            _ = runs.openConnection()
            _ = single.open(key, on: connection)
            _ = runs.open(key, on: connection)
            var history: [(SessionKey, [UInt64])] = []
            for _ in 0..<12 {
                // More sessions than there is room for, and numbers that no frame can have.
                let key = SessionKey(source: UInt64.random(in: 1...4, using: &generator), session: 2)
                let sequences = (0..<Int.random(in: 0...8, using: &generator)).map { _ in
                    UInt64.random(in: 0...9, using: &generator) == 9
                        ? UInt64.max : UInt64.random(in: 0...40, using: &generator)
                }
                history.append((key, sequences))
                let expected = sequences.map { single.admit(key, $0) }
                var admissions: [FrameAdmission] = []
                runs.admit(key) { admit in admissions = sequences.map { admit($0) } }
                #expect(admissions == expected, "\(history)")
                #expect(runs.sessionCount == single.sessionCount)
                if key.source == 3, sequences.contains(where: { $0 % 4 == 0 }) {
                    // One alone can be forgotten: which of several is not said.
                    let settled = [SessionFrames(key: key, sequences: SequenceRanges([0..<41]))]
                    single.durable(settled)
                    runs.durable(settled)
                }
                if sequences.contains(7) {
                    single.durable([SessionFrames(key: self.key, sequences: SequenceRanges([7..<8]))])
                    runs.durable([SessionFrames(key: self.key, sequences: SequenceRanges([7..<8]))])
                }
                #expect(
                    runs.takeAcknowledgements(for: connection) == single.takeAcknowledgements(for: connection))
            }
        }
    }

    @Test func aFrameThatCannotBeRememberedMakesNoSession() {
        var table = SessionTable(hasStore: false)
        var admissions: [FrameAdmission] = []
        table.admit(key) { admit in admissions = [admit(0), admit(.max)] }
        #expect(admissions == [.refused, .refused])
        #expect(table.sessionCount == 0)
    }

    @Test func rangesBehaveAsSets() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            var ranges = SequenceRanges()
            var model: Set<UInt64> = []
            for _ in 0..<60 {
                let first = UInt64.random(in: 0..<50, using: &generator)
                let range = first..<first + UInt64.random(in: 1..<8, using: &generator)
                if Bool.random(using: &generator) {
                    ranges.insert(range)
                    model.formUnion(range)
                } else {
                    ranges.remove(range)
                    model.subtract(range)
                }
                #expect(ranges.count == UInt64(model.count))
                #expect((0..<60).allSatisfy { ranges.contains($0) == model.contains($0) })
                #expect(zip(ranges.ranges, ranges.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
            }
        }
    }

    @Test func aClosedConnectionGivesTheSessionsThatAreOpenNowhereAnyMore() {
        var table = SessionTable(hasStore: true)
        let (first, second) = (table.openConnection(), table.openConnection())
        #expect(table.open(key, on: first) == .ask)
        let other = SessionKey(source: 9, session: 9)
        #expect(table.open(other, on: first) == .ask)
        #expect(table.open(other, on: second) == .ask)
        #expect(table.close(connection: first) == [key])
        #expect(table.close(connection: second) == [other])
    }

    @Test func flagsKeepEachFrameAndRefuseBytesThatAreNotTheirs() {
        var generator = SystemRandomNumberGenerator()
        for count in [0, 1, 7, 8, 9, 63, 64, 65, 1_000] {
            let bits = (0..<count).map { _ in Bool.random(using: &generator) }
            var flags = FrameFlags()
            for bit in bits { flags.append(bit) }
            #expect((0..<count).map { flags[$0] } == bits)
            #expect(FrameFlags(bytes: flags.bytes, count: count) == flags)
            #expect(FrameFlags(bytes: flags.bytes + [0], count: count) == nil)
            guard count % 8 > 0 else { continue }
            var bytes = flags.bytes
            bytes[bytes.count - 1] |= 0x80
            #expect(FrameFlags(bytes: bytes, count: count) == nil)
        }
    }
}
