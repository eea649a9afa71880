// What an operator hears of failures that should pass by themselves.

import Delivery
import Testing

@testable import Drain

@Suite struct LaneHealthTests {
    @Test func whatPassesByItselfIsShownOnlyWhenItDoesNot() {
        let health = LaneHealth()
        let batch = BatchIdentity(epoch: 1, sequence: 7)
        for _ in 0..<4 { health.attemptFailed(batch, "another collector was faster", passes: true) }
        #expect(health.snapshot.refusals.isEmpty && health.snapshot.attemptsFailed == 4)
        health.attemptFailed(batch, "another collector was faster", passes: true)
        #expect(health.snapshot.refusals == [batch: "another collector was faster"])
        health.committed(batch, settledByLedger: false)
        #expect(health.snapshot.refusals.isEmpty)
        health.attemptFailed(batch, "another collector was faster", passes: true)
        #expect(health.snapshot.refusals.isEmpty, "it is counted from the beginning")
        health.attemptFailed(batch, "no", passes: false)
        #expect(health.snapshot.refusals == [batch: "no"])
        health.lost(batch)
        #expect(health.snapshot.refusals.isEmpty)
    }

    @Test func recordsThatTheDatabaseRefusedAreShown() {
        let health = LaneHealth()
        #expect(health.deadLetterWarnings == [])
        health.deadLettered(3)
        health.deadLettered(4)
        #expect(health.deadLetterWarnings.count == 1 && health.deadLetterWarnings[0].contains("refused 7 records"))
    }
}
