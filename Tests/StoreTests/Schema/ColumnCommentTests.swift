// Columns say what they hold, and a field can have an index.

import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import Postgres

@Suite struct ColumnCommentTests {
    private func comments(_ connection: DatabaseConnection, _ kind: MetricKind) throws -> [String: String] {
        let rows = try connection.query(
            """
            SELECT a.attname, pg_catalog.col_description(a.attrelid, a.attnum) FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
            """, [SchemaSQL.table(kind)])
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0] ?? "", $0[1] ?? "") })
    }

    @Test(arguments: TestFlavour.allCases) func everyColumnHasItsMeaningAndUnit(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply(daysAhead: 0)
        for kind in MetricKind.allCases {
            let found = try comments(connection, kind)
            #expect(found == Dictionary(uniqueKeysWithValues: ColumnComments.texts(kind)), "\(kind.name)")
            #expect(found.count == kind.columns.count + 3 && !found.values.contains(""))
        }
        #expect(try comments(connection, .memory)["memory_size_bytes"] == "Size of what was read or written; in bytes")
        #expect(
            try comments(connection, .point)["level"]?.hasSuffix("known values: debug, info, warning, error, critical")
                == true)
        // A column that was dropped comes back with its comment.
        try connection.execute("ALTER TABLE metrics.memory_metrics DROP COLUMN memory_size_bytes")
        try SchemaManager(connection).apply(daysAhead: 0)
        #expect(try comments(connection, .memory)["memory_size_bytes"]?.isEmpty == false)
    }

    @Test func aDatabaseOfTheVersionBeforeGetsThemAndKeepsItsRows() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        try SchemaManager(connection, migrations: Array(Migration.all.prefix { $0.number < 6 })).apply(daysAhead: 0)
        try connection.execute("INSERT INTO metrics.rag_metrics (time, query_id) VALUES (now(), 'q')")
        #expect(try comments(connection, .rag)["query_id"] == "")
        let report = try SchemaManager(connection).apply(daysAhead: 0)
        #expect(report.isComplete && report.changes.contains { $0.hasPrefix("migration 6") }, "\(report.changes)")
        #expect(try comments(connection, .rag)["query_id"] == "The query that was answered")
        #expect(try connection.query("SELECT count(*) FROM metrics.rag_metrics")[0][0] == "1")
    }

    @Test(arguments: TestFlavour.allCases) func anIndexIsCreatedOnceAndAForeignOneWillDo(_ flavour: TestFlavour) throws
    {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply(daysAhead: 1)
        let wanted = [try FieldIndex("routing=query_id"), try FieldIndex("rag=query_id")]
        // The obvious name is taken by something else.
        try connection.execute("CREATE TABLE metrics.routing_metrics_query_id_time_idx (a int)")
        try connection.execute("CREATE INDEX mine ON metrics.rag_metrics (query_id)")
        let manager = SchemaManager(connection)
        #expect(try manager.createIndexes(wanted) == ["index on query_id of metrics.routing_metrics"])
        #expect(try manager.createIndexes(wanted).isEmpty)
        // Partitions and chunks of later days have it too.
        _ = try manager.ensurePartitionsAhead(days: 3)
        try connection.execute(
            "INSERT INTO metrics.routing_metrics (time, query_id) SELECT now(), 'q' || g FROM generate_series(1, 2000) g"
        )
        try connection.execute("ANALYZE metrics.routing_metrics; SET enable_seqscan = off")
        let plan = try connection.query("EXPLAIN SELECT * FROM metrics.routing_metrics WHERE query_id = 'q7'")
        #expect(plan.contains { ($0[0] ?? "").contains("query_id") && ($0[0] ?? "").contains("Index Cond") }, "\(plan)")
    }
}
