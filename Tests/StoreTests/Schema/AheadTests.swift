import LinuxSystem
import MetricKinds
import TestSupport
import Testing
import Text

@testable import StoreSchema
@testable import Postgres

@Suite struct AheadTests {
    private static let day: Int64 = 86_400_000_000

    @Test(arguments: [
        (0, "19700101"), (1_795_305_600_000_000, "20261122"), (-1, "19691231"), (951_782_400_000_000, "20000229"),
        (4_107_542_399_999_999, "21000228"), (4_107_542_400_000_000, "21000301"),
    ])
    func daysHaveTheirCalendarNames(microseconds: Int64, name: String) {
        #expect(UTCDay(microseconds: microseconds).compact == name)
    }

    @Test func partitionsAreMadeForTheNextDays() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        let now = wallClockMicroseconds()
        let first = try SchemaManager(connection, now: { now }).apply(daysAhead: 2)
        #expect(first.tables.allSatisfy { $0.partitionsAhead == 2 })

        let tomorrow = SchemaManager(connection, now: { now + Self.day })
        let ahead = try tomorrow.ensurePartitionsAhead(days: 2)
        #expect(ahead.created.count == 9 && ahead.warnings.isEmpty)
        let name = UTCDay(microseconds: now).advanced(by: 3).compact
        #expect(ahead.created.contains("partition metrics.routing_metrics_\(name)"))
        #expect(try tomorrow.ensurePartitionsAhead(days: 2) == AheadReport())
        // The attached partition has the parent's index, as a child of it.
        let rows = try connection.query(
            """
            SELECT count(*) FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
            WHERE i.indrelid = $1::regclass
            """, ["metrics.routing_metrics_\(name)"])
        #expect(rows == [["1"]])
    }

    @Test func rowsInTheDefaultPartitionAreWarnedOfAndMoveWhenTheirDayComes() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        let now = wallClockMicroseconds()
        let today = SchemaManager(connection, now: { now })
        try today.apply(daysAhead: 0)
        #expect(try today.standingWarnings().isEmpty)
        try connection.execute(
            """
            INSERT INTO metrics.rag_metrics (time, query_id)
            VALUES ('1999-12-31 12:00+00', 'old'), (now() + interval '1 day', 'tomorrow')
            """)
        let warnings = try today.standingWarnings()
        #expect(warnings.count == 1)
        #expect(warnings.first?.contains("metrics.rag_metrics_default holds 2 rows") == true)
        #expect(try today.status().tables.first { $0.name == "metrics.rag_metrics" }?.defaultPartitionRows == 2)

        let ahead = try today.ensurePartitionsAhead(days: 1)
        #expect(ahead.created.count == 9 && ahead.warnings.isEmpty)
        let name = UTCDay(microseconds: now).advanced(by: 1).compact
        #expect(try connection.query("SELECT query_id FROM metrics.rag_metrics_\(name)") == [["tomorrow"]])
        #expect(try connection.query("SELECT query_id FROM metrics.rag_metrics_default") == [["old"]])
    }

    @Test func aPartitionThatCannotBeMadeNowIsAWarning() throws {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        let now = wallClockMicroseconds()
        try SchemaManager(connection, now: { now }).apply(daysAhead: 0)
        // A COPY in progress that has rows in the default partition.
        let other = try DatabaseConnection(location)
        try other.execute("BEGIN; INSERT INTO metrics.rag_metrics (time) VALUES ('1999-12-31 12:00+00')")
        let ahead = try SchemaManager(connection, now: { now }).ensurePartitionsAhead(days: 1)
        #expect(ahead.created.count == 8)
        #expect(ahead.warnings.count == 1 && ahead.warnings[0].contains("rag_metrics"))
        try other.commit()
        #expect(try SchemaManager(connection, now: { now }).ensurePartitionsAhead(days: 1).created.count == 1)
    }

    @Test func chunksOfTodayAndTomorrowAreMadeAheadAndStayEmpty() throws {
        let connection = try DatabaseConnection(TestServers.database(.timescale))
        let now = wallClockMicroseconds()
        try SchemaManager(connection, now: { now }).apply()
        #expect(try chunks(connection) == 18)
        let tomorrow = SchemaManager(connection, now: { now + Self.day })
        let ahead = try tomorrow.ensurePartitionsAhead()
        #expect(ahead.created.count == 9 && ahead.warnings.isEmpty)
        #expect(try chunks(connection) == 27)
        #expect(try tomorrow.ensurePartitionsAhead() == AheadReport())
        for kind in MetricKind.allCases {
            #expect(try connection.query("SELECT count(*) FROM metrics.\(kind.tableName)") == [["0"]])
        }
    }

    @Test func makingAChunkLeavesTheRowsOfTheSameTime() throws {
        let connection = try DatabaseConnection(TestServers.database(.timescale))
        let now = wallClockMicroseconds()
        let manager = SchemaManager(connection, now: { now })
        try manager.apply()
        let later = UTCDay(microseconds: now).advanced(by: 2)
        // Its chunk is there for one table only, with a row at the very time that the maker uses.
        try connection.query("INSERT INTO metrics.rag_metrics (time, query_id) VALUES ($1, 'q')", [later.timestamp])
        let ahead = try SchemaManager(connection, now: { now + Self.day }).ensurePartitionsAhead()
        #expect(ahead.created.count == 8)
        #expect(try connection.query("SELECT query_id FROM metrics.rag_metrics") == [["q"]])
    }

    private func chunks(_ connection: DatabaseConnection) throws -> Int {
        let rows = try connection.query(
            "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_schema = 'metrics'")
        return Int(rows[0][0] ?? "") ?? -1
    }
}
