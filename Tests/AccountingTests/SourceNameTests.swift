// The names in heartbeats are kept: one for each source, and no more of it than is bounded.

import FrameCodec
import Testing

@testable import Accounting

@Suite struct SourceNameTests {
    private func heartbeat(_ accounting: Accounting, source: UInt64, name: String) throws {
        let frame = HeartbeatFrame(framesSent: 0, recordsSent: 0, bytesSent: 0, recordsDropped: 0, name: name)
            .encoded(FrameIdentity(source: source, session: 1))
        accounting.heartbeat(
            frame.span.bytes, try FrameHeader.read(frame.span.bytes), peer: .nobody, nowMicroseconds: 0)
    }

    private func names(_ accounting: Accounting) -> [String?] { accounting.snapshot().sources.map(\.name?.text) }

    @Test func aSourceHasTheNameThatItsHeartbeatsSayLast() throws {
        let accounting = Accounting()
        try heartbeat(accounting, source: 5, name: "")
        #expect(names(accounting) == [nil])
        try heartbeat(accounting, source: 5, name: "first")
        try heartbeat(accounting, source: 5, name: "")
        #expect(names(accounting) == ["first"])
        try heartbeat(accounting, source: 5, name: "second")
        #expect(names(accounting) == ["second"])
    }

    @Test func theNameThatTheIdIsMadeOfIsNotReplaced() throws {
        let accounting = Accounting()
        let source = SourceID.hash("import")
        #expect(source == 0xF4D3_0088_534A_1AF4)
        try heartbeat(accounting, source: source, name: "somebody else")
        try heartbeat(accounting, source: source, name: "import")
        try heartbeat(accounting, source: source, name: "somebody else")
        #expect(names(accounting) == ["import"])
    }

    @Test func sourcesAreNumberedInTheOrderOfTheirFirstNames() throws {
        var limits = Accounting.Limits()
        limits.sourcesMax = 3
        let accounting = Accounting(limits: limits)
        for (source, name) in [(9, "nine"), (2, "two"), (9, "other nine"), (4, "four"), (6, "no room")] {
            try heartbeat(accounting, source: UInt64(source), name: name)
        }
        let sources = accounting.snapshot().sources
        #expect(sources.map(\.source) == [2, 4, 9])
        #expect(sources.map(\.name?.number) == [1, 2, 0])
        #expect(names(accounting) == ["two", "four", "other nine"])
    }

    @Test func aNameHasAtMost255BytesOfAnyText() throws {
        let accounting = Accounting()
        try heartbeat(accounting, source: 1, name: "\u{1B}[2J" + String(repeating: "é", count: 400))
        let name = try #require(names(accounting).first ?? nil)
        #expect(name.utf8.count <= FrameLimits.controlTextBytesMax && name.hasPrefix("\u{1B}[2Jé"))
    }
}
