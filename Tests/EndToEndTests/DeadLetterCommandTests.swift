// The documented way to correct dead letters by hand loses none of them.

import Foundation
import Postgres
import StoreSchema
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(5))) struct DeadLetterCommandTests {
    /// Two letters with a record each, and a malformed one between them.
    private static func database() throws -> (url: String, connection: DatabaseConnection) {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        for (index, bytes) in [try frame("first"), Data([0]), try frame("second")].enumerated() {
            let hex = bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
            try connection.query(
                """
                INSERT INTO spillway.dead_letters (kind, source, records, reason, frame)
                VALUES ($1, 1, 1, 'by hand', decode($2, 'hex'))
                """, [index == 1 ? nil : "routing", hex])
        }
        return (TestServers.url(location), connection)
    }

    private static func frame(_ name: String) throws -> Data {
        let lines = try Programs.temporaryFile("jsonl")
        try Data(#"{"kind":"routing","time":1795305600000000,"query_id":"\#(name)"}"#.utf8).write(to: lines)
        return try Programs.run(["encode", lines.path]).output
    }

    @Test func lettersWithoutReadableRecordsAreNamed() throws {
        let (url, _) = try Self.database()
        let shown = try Programs.run(["dead-letters", "show", "--records", "--database", url])
        #expect(shown.status == 65)
        #expect(shown.text.split(separator: "\n").count == 2 && shown.text.contains("second"))
        #expect(shown.errors.contains("letter 2 is not shown"), "\(shown.errors)")
        #expect(shown.errors.contains("1 letter without readable records"), "\(shown.errors)")
        let whole = try Programs.run(["dead-letters", "show", "--records", "--kind", "routing", "--database", url])
        #expect(whole.status == 0 && whole.errors.isEmpty, "\(whole.errors)")
        // As frames, all of them are there.
        #expect(try Programs.run(["dead-letters", "show", "--database", url]).text.split(separator: "\n").count == 3)
    }

    @Test func lettersThatArrivedSinceTheyWereReadStay() throws {
        let (url, connection) = try Self.database()
        let list = try Programs.run(["dead-letters", "list", "--json", "--database", url])
        #expect(list.text.contains("\"last_id\":3"), "\(list.text)")
        try connection.execute(
            """
            INSERT INTO spillway.dead_letters (kind, source, records, reason, frame)
            SELECT kind, source, records, 'later', frame FROM spillway.dead_letters WHERE id = 1
            """)
        let upTo = ["--up-to", "3", "--database", url]
        let shown = try Programs.run(["dead-letters", "show"] + upTo)
        #expect(shown.text.split(separator: "\n").count == 3, "\(shown.errors)")
        let discarded = try Programs.run(["dead-letters", "discard"] + upTo)
        #expect(discarded.status == 0 && discarded.text == "3 letters removed\n", "\(discarded.errors)")
        #expect(try connection.query("SELECT reason FROM spillway.dead_letters") == [["later"]])
        #expect(try Programs.run(["dead-letters", "resend"] + upTo).text.hasPrefix("0 records stored"))
        #expect(try Programs.run(["dead-letters", "discard", "--all"] + upTo).status == 64)
    }
}
