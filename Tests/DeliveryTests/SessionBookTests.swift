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

    @Test func aSessionIsToldWhereItWasLastHeardOf() {
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

    @Test func whatAnEarlierRunStoredIsFoundAmongFramesThatCameBeforeTheAnswer() {
        var book = SessionBook(hasStore: true)
        let connection = book.openConnection()
        #expect(book.open(key, on: connection) == .ask)
        #expect(book.admit(key, 3) == .fresh)
        #expect(book.unasked(frames(3..<4)) == [key])
        book.asked(key, stored: SequenceRanges([1..<5]))
        #expect(book.storedBefore(frames(3..<4)) == [key: SequenceRanges([1..<5])])
        #expect(book.admit(key, 4) == .resent)
        // A later answer includes what this run has stored: it must not count.
        book.asked(key, stored: SequenceRanges([1..<9]))
        #expect(book.storedBefore(frames(7..<8)).isEmpty)
    }

    @Test func aRefusedFrameMayComeAgain() {
        var book = SessionBook(hasStore: false)
        _ = book.admit(key, 1)
        book.withdraw(key, SequenceRanges([1..<2]))
        #expect(book.admit(key, 1) == .fresh)
    }

    @Test func gapsAndSessionsAreBounded() {
        var limits = SessionBook.Limits()
        limits.rangesPerSessionMax = 3
        limits.sessionsMax = 2
        var book = SessionBook(limits: limits, hasStore: false)
        for sequence: UInt64 in [1, 3, 5] { #expect(book.admit(key, sequence) == .fresh) }
        #expect(book.admit(key, 7) == .refused)
        #expect(book.admit(key, 6) == .fresh)
        #expect(book.admit(key, 0) == .refused)
        #expect(book.admit(key, .max) == .refused)
        #expect(book.admit(SessionKey(source: 2, session: 2), 1) == .fresh)
        // Both have frames on their way and cannot be forgotten.
        #expect(book.admit(SessionKey(source: 3, session: 2), 1) == .crowded)
        book.durable(frames(1..<2, 3..<4, 5..<7))
        book.settled(frames(1..<2, 3..<4, 5..<7))
        #expect(book.admit(SessionKey(source: 3, session: 2), 1) == .fresh)
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
                // More sessions than there is room for, and numbers that nothing can have.
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
                    // A session without open frames makes room for others. One alone: which of several is not said.
                    let settled = [SessionFrames(key: key, sequences: SequenceRanges([0..<41]))]
                    single.settled(settled)
                    runs.settled(settled)
                }
                if sequences.contains(7) {
                    single.durable([SessionFrames(key: key, sequences: SequenceRanges([7..<8]))])
                    runs.durable([SessionFrames(key: key, sequences: SequenceRanges([7..<8]))])
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

    @Test func framesThatWereReplayedUnderOneBatchArePassedOverInAnother() {
        var book = SessionBook(hasStore: true)
        book.recovered(frames(1..<6), isDurable: true)
        // Another batch of the spill has some of them too: they are open once.
        book.recovered(frames(4..<9), isDurable: true)
        book.asked(key, stored: SequenceRanges())
        #expect(book.storedBefore(frames(4..<9)).isEmpty)
        book.replayed(frames(1..<6))
        #expect(book.storedBefore(frames(4..<9))[key] == SequenceRanges([1..<6]))
        #expect(book.admit(key, 5) == .resent)
    }

    @Test func lostFramesThatNobodyWasToldOfMayComeAgain() {
        var book = SessionBook(hasStore: true)
        book.recovered(frames(1..<4), isDurable: false)
        book.recovered(frames(4..<6), isDurable: true)
        book.lost(frames(1..<6))
        #expect(book.admit(key, 2) == .fresh)
        // The client was told that this one is safe, and has let go of it.
        #expect(book.admit(key, 5) == .resent)
    }

    @Test func aClosedConnectionGivesTheSessionsThatNobodyWaitsForAnyMore() {
        var book = SessionBook(hasStore: true)
        let (first, second) = (book.openConnection(), book.openConnection())
        #expect(book.open(key, on: first) == .ask)
        let other = SessionKey(source: 9, session: 9)
        #expect(book.open(other, on: first) == .ask)
        #expect(book.open(other, on: second) == .ask)
        #expect(book.close(connection: first) == [key])
        #expect(book.close(connection: second) == [other])
    }
}
