// What belongs to a table is what the catalog says, and not what has its name.

import Delivery
import LinuxSystem
import MetricKinds
import TestSupport
import Testing
import Text

@testable import StoreSchema
@testable import StoreWriter
@testable import Maintenance
@testable import Postgres

@Suite struct RenamedTableTests {
    @Test(arguments: TestFlavour.allCases)
    func aRenamedTableMakesRoomForANewOneWithPartitionsAndIndexes(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        #expect(try SampleBatch(sequence: 1, days: [0, 40], kind: .routing).store(connection) == StoredBatch())
        try connection.execute("ALTER TABLE metrics.routing_metrics RENAME TO routing_metrics_archive")
        let report = try SchemaManager(connection).apply()
        #expect(report.isComplete, "\(report)")
        let table = try #require(report.tables.first { $0.name == "metrics.routing_metrics" })
        #expect(table.layout == (flavour == .plain ? .partitioned : .hypertable))
        if flavour == .plain {
            #expect(table.defaultPartition == "metrics.routing_metrics_default_2" && table.partitionsAhead == 3)
        }
        let indexes = try connection.query(
            "SELECT count(*) FROM pg_index WHERE \(SchemaSQL.isOnTime(.routing)) AND NOT (\(SchemaSQL.isDescending(.routing)))"
        )
        #expect(indexes == [["1"]])
        // Once each, in the new table, also of days without a partition.
        #expect(try SampleBatch(sequence: 2, days: [0, 1, 40, -2], kind: .routing).store(connection) == StoredBatch())
        #expect(try connection.query("SELECT count(*) FROM metrics.routing_metrics") == [["4"]])
        #expect(try connection.query("SELECT count(*) FROM metrics.routing_metrics_archive") == [["2"]])

        let warnings = try SchemaManager(connection).standingWarnings()
        #expect(
            warnings.contains {
                $0.contains("belong to metrics.routing_metrics_archive, so metrics.routing_metrics uses")
            },
            "\(warnings)")
        #expect(
            try SchemaManager(connection).inspect(TableTrial.refusal).warnings.contains {
                $0.contains("routing_metrics_archive")
            })
        if flavour == .plain {
            #expect(warnings.contains { $0.contains("metrics.routing_metrics_default_2 holds 2 rows") }, "\(warnings)")
            // The archive's rows stay, and the old rows of the new table are found.
            let schema = try SchemaManager(connection).status()
            let expired = try Retention(connection, schema).expired(
                .routing, before: wallClockMicroseconds() - 86_400_000_000 * 30)
            #expect(expired.map(\.name) == ["metrics.routing_metrics_default_2"], "\(expired)")
        }
        // Nothing is left to do, now and for the next days.
        #expect(try SchemaManager(connection).apply().changes.isEmpty)
        let tomorrow = SchemaManager(connection, now: { wallClockMicroseconds() + 86_400_000_000 })
        #expect(try tomorrow.ensurePartitionsAhead().created.count >= 8)
        #expect(try tomorrow.ensurePartitionsAhead() == AheadReport())
        try connection.execute("DROP TABLE metrics.routing_metrics_archive")
        #expect(try SchemaManager(connection).status().nameWarnings.isEmpty)
    }

    @Test func aDetachedPartitionIsMadeAgainUnderAnotherName() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        try SchemaManager(connection).apply()
        let today = UTCDay(microseconds: wallClockMicroseconds())
        let name = "metrics.\(SchemaSQL.partitionName(.rag, today))"
        try connection.execute("ALTER TABLE metrics.rag_metrics DETACH PARTITION \(name)")
        let ahead = try SchemaManager(connection).ensurePartitionsAhead()
        #expect(ahead.warnings.isEmpty && ahead.created.count == 1, "\(ahead)")
        #expect(try SampleBatch(sequence: 1, days: [0], kind: .rag).store(connection) == StoredBatch())
        #expect(try connection.query("SELECT count(*) FROM \(name)_2") == [["1"]])
        #expect(
            try SchemaManager(connection).standingWarnings().contains {
                $0.contains(name) && $0.contains("not part of")
            })
    }

    /// One that an operator made for a week, one with another name, and names that are taken by a view and a type.
    @Test func partitionsAreKnownByTheirRanges() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        try SchemaManager(connection).apply(daysAhead: 0)
        let today = UTCDay(microseconds: wallClockMicroseconds())
        func day(_ number: Int) -> String { today.advanced(by: number).timestamp }
        try connection.execute(
            """
            CREATE TABLE metrics."a week" PARTITION OF metrics.rag_metrics FOR VALUES FROM ('\(day(1))') TO ('\(day(8))');
            ALTER TABLE metrics.\(SchemaSQL.partitionName(.system, today)) RENAME TO today;
            CREATE VIEW metrics.\(SchemaSQL.partitionName(.system, today.advanced(by: 1))) AS SELECT 1;
            CREATE TYPE metrics.\(SchemaSQL.partitionName(.system, today.advanced(by: 2))) AS ENUM ('a');
            CREATE TABLE metrics.until PARTITION OF metrics.memory_metrics FOR VALUES FROM (MINVALUE) TO ('\(today.timestamp)');
            CREATE TABLE metrics.rest PARTITION OF metrics.memory_metrics FOR VALUES FROM ('\(day(2))') TO ('infinity')
            """)
        let ahead = try SchemaManager(connection).ensurePartitionsAhead(days: 3)
        #expect(ahead.warnings.isEmpty, "\(ahead)")
        let tables = try SchemaManager(connection).status().tables
        #expect(tables.first { $0.name == "metrics.rag_metrics" }?.partitionsAhead == 7)
        #expect(tables.first { $0.name == "metrics.system_metrics" }?.partitionsAhead == 3)
        #expect(tables.first { $0.name == "metrics.memory_metrics" }?.partitionsAhead == 366)
        #expect(ahead.created.count == 7 * 3 + 1, "\(ahead.created)")
    }

    @Test func aDefaultPartitionThatWasDroppedIsMadeAgain() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        try SchemaManager(connection).apply()
        try connection.execute("DROP TABLE metrics.rag_metrics_default")
        #expect(try !SchemaManager(connection).status().isComplete)
        let report = try SchemaManager(connection).apply()
        #expect(
            report.isComplete && report.changes == ["default partition of metrics.rag_metrics"], "\(report.changes)")
        #expect(try SampleBatch(sequence: 1, days: [400], kind: .rag).store(connection) == StoredBatch())
    }
}
