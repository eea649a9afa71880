// The names in heartbeats are kept: one for each source, and no more of it than is bounded.

import FrameCodec
import Testing

@testable import Listeners

@Suite struct SourceNameTests {
    private func heartbeat(_ ledger: ConservationLedger, source: UInt64, name: String) throws {
        let frame = HeartbeatFrame(framesSent: 0, recordsSent: 0, bytesSent: 0, recordsDropped: 0, name: name)
            .encoded(FrameIdentity(source: source, session: 1))
        ledger.heartbeat(
            frame.span.bytes, try FrameHeader.read(frame.span.bytes), peer: .nobody, nowMicroseconds: 0)
    }

    private func names(_ ledger: ConservationLedger) -> [String?] { ledger.snapshot().sources.map(\.name?.text) }

    @Test func aSourceHasTheNameThatItsHeartbeatsSayLast() throws {
        let ledger = ConservationLedger()
        try heartbeat(ledger, source: 5, name: "")
        #expect(names(ledger) == [nil])
        try heartbeat(ledger, source: 5, name: "first")
        try heartbeat(ledger, source: 5, name: "")
        #expect(names(ledger) == ["first"])
        try heartbeat(ledger, source: 5, name: "second")
        #expect(names(ledger) == ["second"])
    }

    @Test func theNameThatTheIdIsMadeOfIsNotReplaced() throws {
        let ledger = ConservationLedger()
        let source = SourceID.hash("import")
        #expect(source == 0xF4D3_0088_534A_1AF4)
        try heartbeat(ledger, source: source, name: "somebody else")
        try heartbeat(ledger, source: source, name: "import")
        try heartbeat(ledger, source: source, name: "somebody else")
        #expect(names(ledger) == ["import"])
    }

    @Test func sourcesAreNumberedInTheOrderOfTheirFirstNames() throws {
        var limits = ConservationLedger.Limits()
        limits.sourcesMax = 3
        let ledger = ConservationLedger(limits: limits)
        for (source, name) in [(9, "nine"), (2, "two"), (9, "other nine"), (4, "four"), (6, "no room")] {
            try heartbeat(ledger, source: UInt64(source), name: name)
        }
        let sources = ledger.snapshot().sources
        #expect(sources.map(\.source) == [2, 4, 9])
        #expect(sources.map(\.name?.number) == [1, 2, 0])
        #expect(names(ledger) == ["two", "four", "other nine"])
    }

    @Test func aNameHasAtMost255BytesOfAnyText() throws {
        let ledger = ConservationLedger()
        try heartbeat(ledger, source: 1, name: "\u{1B}[2J" + String(repeating: "é", count: 400))
        let name = try #require(names(ledger).first ?? nil)
        #expect(name.utf8.count <= FrameLimits.controlTextBytesMax && name.hasPrefix("\u{1B}[2Jé"))
    }
}
