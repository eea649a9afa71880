// What the book of sessions promises its users.

import FrameCodec
import Testing

@testable import Delivery

struct SessionBookTests {
    private let key = SessionKey(source: 1, session: 2)

    private func frames(_ ranges: Range<UInt64>...) -> [SessionFrames] {
        [SessionFrames(key: key, sequences: SequenceRanges(ranges))]
    }

    @Test func aFrameIsFreshOnceAndAcknowledgedWhenItIsDurable() {
        var book = SessionBook(hasStore: false)
        let connection = book.openConnection()
        #expect(book.open(key, on: connection) == .welcome(SequenceRanges()))
        #expect(book.admit(key, 1) == .fresh)
        #expect(book.admit(key, 1) == .resent)
        #expect(book.takeAcknowledgements(for: connection).isEmpty)
        book.durable(frames(1..<2))
        #expect(book.takeAcknowledgements(for: connection) == frames(1..<2))
        // A resent durable frame is acknowledged again: its client has not heard of it.
        #expect(book.admit(key, 1) == .resent)
        #expect(book.takeAcknowledgements(for: connection) == frames(1..<2))
        #expect(book.takeAcknowledgements(for: connection).isEmpty)
    }

    @Test func aSessionIsAcknowledgedOnTheConnectionThatOpenedItLast() {
        var book = SessionBook(hasStore: false)
        let first = book.openConnection()
        _ = book.open(key, on: first)
        _ = book.admit(key, 1)
        _ = book.admit(key, 2)
        book.durable(frames(1..<2))
        let second = book.openConnection()
        #expect(book.open(key, on: second) == .welcome(SequenceRanges([1..<2])))
        book.durable(frames(2..<3))
        #expect(book.takeAcknowledgements(for: first).isEmpty)
        #expect(book.takeAcknowledgements(for: second) == frames(2..<3))
        book.close(connection: first)
        #expect(book.connection(of: key) == second)
    }

    @Test func whenASecondConnectionEndsTheFirstGetsTheAcknowledgementsAgain() {
        var book = SessionBook(hasStore: false)
        let (first, second, third) = (book.openConnection(), book.openConnection(), book.openConnection())
        for connection in [first, second, third] { _ = book.open(key, on: connection) }
        _ = book.admit(key, 1)
        book.durable(frames(1..<2))
        book.close(connection: second)
        #expect(book.connection(of: key) == third)
        #expect(book.close(connection: third).isEmpty)
        // What went to a connection that has ended is said again, and what comes after it is said here.
        #expect(book.takeAcknowledgements(for: first) == frames(1..<2))
        _ = book.admit(key, 2)
        book.durable(frames(2..<3))
        #expect(book.connectionsToNotify == [first])
        #expect(book.takeAcknowledgements(for: first) == frames(2..<3))
        #expect(book.close(connection: first) == [key])
    }

    @Test func theDatabaseIsAskedAtEveryOpening() {
        var book = SessionBook(hasStore: true)
        for round in 1...3 as ClosedRange<UInt64> {
            let connection = book.openConnection()
            #expect(book.open(key, on: connection) == .ask)
            #expect(book.needsLookup(key))
            // Another collector has stored what lies between.
            book.stored(key, SequenceRanges([1..<round * 10]))
            #expect(!book.needsLookup(key))
            #expect(book.welcome(key, on: connection) == SequenceRanges([1..<round * 10]))
            #expect(book.admit(key, round * 10 - 1) == .resent)
            #expect(book.admit(key, round * 10) == .fresh)
            book.durable(frames(round * 10..<round * 10 + 1))
            book.close(connection: connection)
        }
    }

    /// Each collector has every second frame of a session that moves: thousands of gaps, none of which is a missing frame.
    @Test func aSessionMayMoveBetweenCollectorsAsOftenAsItLikes() {
        var books = [SessionBook(hasStore: true), SessionBook(hasStore: true)]
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
        var book = SessionBook(hasStore: false)
        _ = book.admit(key, 1)
        book.withdraw(key, SequenceRanges([1..<2]))
        #expect(book.admit(key, 1) == .fresh)
    }

    @Test func ofASessionWithManyGapsTheLowestDurableRangesAreForgotten() {
        var limits = SessionBook.Limits()
        limits.rangesPerSessionMax = 3
        var book = SessionBook(limits: limits, hasStore: false)
        for sequence: UInt64 in [1, 3, 5] { #expect(book.admit(key, sequence) == .fresh) }
        // All three are on their way and must not be forgotten: this one has to wait, and its neighbours need not.
        #expect(book.admit(key, 7) == .crowded)
        #expect(book.admit(key, 6) == .fresh)
        book.durable(frames(3..<4))
        #expect(book.admit(key, 8) == .fresh)
        #expect(book.admit(key, 9) == .fresh)
        // The frame that was forgotten goes the whole way again; those on their way do not.
        #expect(book.admit(key, 1) == .resent)
        #expect(book.admit(key, 5) == .resent)
        book.durable(frames(1..<2))
        #expect(book.admit(key, 3) == .fresh)
    }

    @Test func onlySequencesThatTheLedgerCannotKeepAreRefused() {
        var book = SessionBook(hasStore: false)
        #expect(book.admit(key, 0) == .refused)
        #expect(book.admit(key, .max) == .refused)
        #expect(book.admit(key, SessionBook.sequenceMax) == .fresh)
        for sequence in stride(from: 1 as UInt64, to: 20_000, by: 2) {
            #expect(book.admit(key, sequence) == .fresh)
            book.durable(frames(sequence..<sequence + 1))
        }
    }

    @Test func aFullBookForgetsSessionsWhoseFramesAreDurableAndThatNoConnectionHasOpen() {
        var limits = SessionBook.Limits()
        limits.sessionsMax = 2
        var book = SessionBook(limits: limits, hasStore: false)
        let others = (2...4).map { SessionKey(source: $0, session: 2) }
        let connection = book.openConnection()
        _ = book.open(others[0], on: connection)
        #expect(book.admit(key, 1) == .fresh)
        // One is open, the other has a frame on its way.
        #expect(book.admit(others[1], 1) == .crowded)
        #expect(book.open(others[1], on: book.openConnection()) == .refused)
        // In the spill, and so safe: no commit is needed.
        book.durable(frames(1..<2))
        #expect(book.admit(others[1], 1) == .fresh)
        #expect(book.sessionCount == 2)
        #expect(book.admit(others[2], 1) == .crowded)
        book.close(connection: connection)
        #expect(book.admit(others[2], 1) == .fresh)
    }

    @Test func whatAnEarlierRunSpilledFillsTheBookToItsLimitAndNoFurther() {
        var limits = SessionBook.Limits()
        limits.sessionsMax = 10
        var book = SessionBook(limits: limits, hasStore: true)
        for source in 1...100 as ClosedRange<UInt64> {
            book.recovered([
                SessionFrames(key: SessionKey(source: source, session: 1), sequences: SequenceRanges([1..<4]))
            ])
        }
        #expect(book.sessionCount == 10)
        let connection = book.openConnection()
        #expect(book.open(SessionKey(source: 101, session: 1), on: connection) == .ask)
    }

    @Test func framesAreAdmittedInARunAsOneByOne() {
        var generator = SystemRandomNumberGenerator()
        var limits = SessionBook.Limits()
        limits.rangesPerSessionMax = 6
        limits.sessionsMax = 3
        for _ in 0..<500 {
            var single = SessionBook(limits: limits, hasStore: false)
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
        var book = SessionBook(hasStore: false)
        var admissions: [FrameAdmission] = []
        book.admit(key) { admit in admissions = [admit(0), admit(.max)] }
        #expect(admissions == [.refused, .refused])
        #expect(book.sessionCount == 0)
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
        var book = SessionBook(hasStore: true)
        let (first, second) = (book.openConnection(), book.openConnection())
        #expect(book.open(key, on: first) == .ask)
        let other = SessionKey(source: 9, session: 9)
        #expect(book.open(other, on: first) == .ask)
        #expect(book.open(other, on: second) == .ask)
        #expect(book.close(connection: first) == [key])
        #expect(book.close(connection: second) == [other])
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
