import TestSupport
import Testing

@testable import Accounting

@Suite struct SequenceWindowTests {
    /// The window as one would write it without a bound.
    private struct Model {
        var seen: Set<UInt64> = []
        var missing: UInt64 {
            guard let low = seen.min(), let high = seen.max() else { return 0 }
            return high - low + 1 - UInt64(seen.count)
        }
    }

    @Test(arguments: 1...200 as ClosedRange<UInt64>)
    func agreesWithASetWhileReorderingStaysWithinTheWindow(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let first = seed % 3 == 0 ? UInt64.max - 5_000 : UInt64.random(in: 1...1_000_000, using: &random)
        let distance = Int.random(in: 1...500, using: &random)
        // Each frame comes late by less than `distance`, some not at all, some twice.
        var order: [(place: Int, sequence: UInt64)] = []
        for index in 0..<4_000 where Int.random(in: 0..<10, using: &random) != 0 {
            for _ in 0..<(Int.random(in: 0..<20, using: &random) == 0 ? 2 : 1) {
                order.append((index + Int.random(in: 0..<distance, using: &random), first + UInt64(index)))
            }
        }
        order.sort { $0.place < $1.place }

        var window = SequenceWindow()
        var model = Model()
        var contradictions = 0
        for (_, sequence) in order {
            let isNew = model.seen.insert(sequence).inserted
            if window.observe(sequence) != (isNew ? .fresh : .duplicate) { contradictions += 1 }
        }
        #expect(contradictions == 0, "seed \(seed)")
        #expect(window.missingFrames == model.missing, "seed \(seed)")
    }

    @Test(arguments: 1...200 as ClosedRange<UInt64>)
    func countsGapsExactlyInAnyOrderWithoutResends(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let order = (1...6_000 as ClosedRange<UInt64>).filter { _ in Int.random(in: 0..<4, using: &random) != 0 }
            .shuffled(using: &random)
        var window = SequenceWindow()
        var model = Model()
        var contradictions = 0
        for sequence in order {
            model.seen.insert(sequence)
            // A frame that was never seen must never be taken for a resent one, however late it is.
            if window.observe(sequence) == .duplicate { contradictions += 1 }
        }
        #expect(contradictions == 0, "seed \(seed)")
        #expect(window.missingFrames == model.missing, "seed \(seed)")
    }

    @Test func neverCallsANewFrameResentWhateverComes() {
        var random = SeededGenerator(seed: 99)
        let hostile: [UInt64] = [0, 1, 2, 1_023, 1_024, 1_025, 1 << 63, (1 << 63) - 1, .max, .max - 1, .max - 1_024]
        var contradictions = 0
        var gapsTooLarge = 0
        for _ in 0..<2_000 {
            var window = SequenceWindow()
            var seen: Set<UInt64> = []
            for _ in 0..<200 {
                let base = hostile.randomElement(using: &random) ?? 0
                let sequence = base &+ UInt64.random(in: 0...3, using: &random)
                let isNew = seen.insert(sequence).inserted
                switch window.observe(sequence) {
                case .uncounted, .unjudged: contradictions += sequence == 0 ? 0 : 1
                case .duplicate: contradictions += isNew ? 1 : 0
                case .fresh: contradictions += isNew ? 0 : 1
                case .behindWindow: break
                }
            }
            seen.remove(0)
            let truth = Model(seen: seen).missing
            gapsTooLarge += window.missingFrames > truth ? 1 : 0
        }
        #expect(contradictions == 0)
        #expect(gapsTooLarge == 0)
    }

    @Test func recognisesAResendFarBehindWhenNothingIsMissingThere() {
        var window = SequenceWindow()
        let sequences: ClosedRange<UInt64> = 1...10_000
        #expect(sequences.allSatisfy { window.observe($0) == .fresh })
        #expect(sequences.allSatisfy { window.observe($0) == .duplicate })
        #expect(window.missingFrames == 0)
    }

    @Test func takesALateFrameFarBehindOnceSomethingIsMissingThere() {
        var window = SequenceWindow()
        for sequence in 1...10_000 as ClosedRange<UInt64> where sequence != 17 { _ = window.observe(sequence) }
        #expect(window.missingFrames == 1)
        #expect(window.observe(17) == .behindWindow)
        #expect(window.missingFrames == 0)
        // It may have come twice; nobody can tell, and taking it is the lesser evil.
        #expect(window.observe(17) == .behindWindow)
        #expect(window.missingFrames == 0)
    }
}
