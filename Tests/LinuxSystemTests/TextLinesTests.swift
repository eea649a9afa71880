@testable import EmbeddedPostgres
import Foundation
import LinuxSystem
import TestSupport
import Testing

@testable import Postgres

/// Lines by bytes: CR LF is one character of Swift's, which differs from LF.
@Suite struct TextLinesTests {
    @Test(
        arguments: [
            ("a\nb", ["a", "b"]), ("a\r\nb\r\n", ["a", "b", ""]), ("a\rb", ["a", "b"]), ("\u{FEFF}a\n", ["a", ""]),
            ("", [""]), ("\u{FEFF}", [""]), ("\r\n\r\n", ["", "", ""]), ("\n\r", ["", "", ""]),
            ("a\u{2028}b", ["a\u{2028}b"]),
            ("a\n\u{301}b", ["a", "\u{301}b"]), ("\u{FEFF}\u{FEFF}a", ["\u{FEFF}a"]), ("\r", ["", ""]),
        ] as [(String, [String])])
    func linesEndWhereAnEditorEndsThem(_ text: String, _ lines: [String]) {
        #expect(textLines(text).map { Array($0.utf8) } == lines.map { Array($0.utf8) })
    }

    @Test func foreignTextIsNamed() {
        #expect(foreignText([0xFF, 0xFE, 0x61, 0])?.contains("UTF-16") == true)
        #expect(foreignText([0x61, 0, 0x62, 0])?.contains("UTF-16") == true)
        #expect(foreignText([0x1F, 0x8B, 8])?.contains("gzip") == true)
        #expect(foreignText([]) == nil && foreignText([0x7B]) == nil && foreignText([0x7B, 0x22]) == nil)
        #expect(foreignText(byteOrderMark) == nil)
    }

    @Test func theRowOfACopyIsFoundWhereALineEndsWithCRLF() {
        let report = ServerReport(
            severity: "ERROR", sqlstate: SQLState("22P02"), message: "m",
            context: "PL/pgSQL function f() line 3\r\nCOPY routing_metrics, line 17, column x: \"a\"")
        #expect(report.copyLine == 17)
    }

    @Test func thePasswordFileOfARootMayHaveCRLF() throws {
        let root = try TestServersFolder.make()
        try "root:x:0:0::/:/bin/sh\r\npostgres:x:111:222::/:/bin/sh\r\n".write(
            toFile: root + "/etc/passwd", atomically: false, encoding: .utf8)
        guard geteuid() == 0 else { return }
        #expect(try EmbeddedInstallation(root: root, bin: "/bin").user() == UserID(user: 111, group: 222))
    }
}

/// A folder with `etc` in it, removed with the tests' own.
private enum TestServersFolder {
    static func make() throws -> String {
        let folder = "\(try TestServers.folder.get())/root-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder + "/etc", withIntermediateDirectories: true)
        return folder
    }
}
