// Old rows go as the policies say, by TimescaleDB's jobs or by the leader; nothing younger goes with them.

import Delivery
import Glibc
import LinuxSystem
import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import Maintenance
@testable import Postgres

@Suite struct RetentionTests {
    private static let day: Int64 = 86_400_000_000

    static func sayWhatWasSkipped() {
        print("skipped: TIMESCALEDB_COMMUNITY_URL names no server of TimescaleDB's Community edition")
    }

    /// A database with four rows for each of the last 120 days in two tables.
    private static func filled(_ flavour: TestFlavour) throws -> (DatabaseConnection, SchemaManager) {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        let now = wallClockMicroseconds()
        // On plain PostgreSQL the partitions of these days were made in their time.
        try SchemaManager(connection, now: { now - 120 * day }).apply(daysAhead: 121)
        for table in ["routing_metrics", "system_metrics"] {
            try connection.execute(
                """
                INSERT INTO metrics.\(table) (time) SELECT date_trunc('day', now()) - d * interval '1 day' + h * interval '6 hours'
                FROM generate_series(0, 119) d, generate_series(0, 3) h
                WHERE date_trunc('day', now()) - d * interval '1 day' + h * interval '6 hours' <= now()
                """)
        }
        return (connection, SchemaManager(connection, now: { now }))
    }

    private static func rows(_ connection: DatabaseConnection, _ table: String, olderThanDays days: Int) throws -> Int {
        let rows = try connection.query(
            "SELECT count(*) FROM metrics.\(table) WHERE time < now() - $1::integer * interval '1 day'", [String(days)])
        return Int(rows[0][0] ?? "") ?? -1
    }

    private static func total(_ connection: DatabaseConnection, _ table: String) throws -> Int {
        Int(try connection.query("SELECT count(*) FROM metrics.\(table)")[0][0] ?? "") ?? -1
    }

    @Test(arguments: TestFlavour.allCases)
    func of120DaysThoseStayThatThePolicySays(_ flavour: TestFlavour) throws {
        let (connection, manager) = try Self.filled(flavour)
        var changes = PolicyChanges()
        try changes.add(.retention, ["system=30d"])
        try manager.apply(changes: changes)
        let before = try Self.total(connection, "routing_metrics")
        #expect(before > 470)
        let report: HousekeepingReport
        if flavour == .community {
            // The jobs' own time may be hours away.
            let jobs = try connection.query(
                """
                SELECT job_id FROM timescaledb_information.jobs WHERE hypertable_schema = 'metrics'
                    AND proc_name IN ('policy_retention', 'policy_compression') ORDER BY 1
                """)
            #expect(jobs.count == 18)
            for job in jobs { try connection.execute("CALL run_job(\(job[0] ?? ""))") }
            report = try Housekeeping(manager).run()
            #expect(report.done.isEmpty, "TimescaleDB does it: \(report.done)")
        } else {
            report = try Housekeeping(manager).run()
            #expect(report.done.count >= 2)
        }
        #expect(report.warnings.isEmpty, "\(report.warnings)")
        // A day that is not wholly over the age stays whole.
        #expect(try Self.rows(connection, "routing_metrics", olderThanDays: 91) == 0)
        #expect(try Self.rows(connection, "system_metrics", olderThanDays: 31) == 0)
        #expect(try Self.total(connection, "routing_metrics") >= before - 30 * 4)
        let young = try connection.query(
            "SELECT count(*) FROM metrics.system_metrics WHERE time >= now() - interval '30 days'")
        #expect(young == [["\(try Self.expectedRows(days: 30, connection))"]])
        if flavour == .community {
            let compressed = try connection.query(
                """
                SELECT hypertable_name, bool_and(is_compressed) FILTER (WHERE range_end < now() - c.after),
                    bool_or(is_compressed) FILTER (WHERE range_end > now() - c.after)
                FROM timescaledb_information.chunks
                JOIN (VALUES ('routing_metrics', interval '30 days'), ('system_metrics', interval '7 days')) c (name, after)
                    ON c.name = hypertable_name
                WHERE hypertable_schema = 'metrics' GROUP BY 1 ORDER BY 1
                """)
            #expect(compressed == [["routing_metrics", "t", "f"], ["system_metrics", "t", "f"]])
        } else {
            let lines = try manager.inspect(TableTrial.refusal).maintenance
            #expect(lines.contains { $0.contains("drop  metrics.system_metrics") }, "\(lines)")
            #expect(try Housekeeping(manager).run() == HousekeepingReport(), "nothing is left to do")
        }
    }

    private static func expectedRows(days: Int, _ connection: DatabaseConnection) throws -> Int {
        let rows = try connection.query(
            """
            SELECT count(*) FROM generate_series(0, 119) d, generate_series(0, 3) h,
                LATERAL (SELECT date_trunc('day', now()) - d * interval '1 day' + h * interval '6 hours' AS t) x
            WHERE t <= now() AND t >= now() - $1::integer * interval '1 day'
            """, [String(days)])
        return Int(rows[0][0] ?? "") ?? -1
    }

    @Test(arguments: TestFlavour.allCases)
    func lateRowsOfDroppedAndCompressedDaysAreStored(_ flavour: TestFlavour) throws {
        let (connection, manager) = try Self.filled(flavour)
        try manager.apply()
        if flavour == .community {
            for job in try connection.query(
                """
                SELECT job_id FROM timescaledb_information.jobs WHERE hypertable_schema = 'metrics'
                    AND proc_name IN ('policy_retention', 'policy_compression')
                """)
            {
                try connection.execute("CALL run_job(\(job[0] ?? ""))")
            }
        } else {
            _ = try Housekeeping(manager).run()
        }
        let before = try Self.total(connection, "routing_metrics")
        // 110 days are dropped, 50 days are compressed where that can be.
        let batch = try SampleBatch(sequence: 1, days: [110, 50, 50, 1], kind: .routing)
        #expect(try batch.store(connection) == StoredBatch())
        #expect(try Self.total(connection, "routing_metrics") == before + 4)
        let late = try connection.query(
            "SELECT count(*) FROM metrics.routing_metrics WHERE query_id LIKE 'sample%' AND time < now() - interval '40 days'"
        )
        #expect(late == [["3"]])
        if flavour == .plain {
            // They have no partition any more: the next round deletes those that are too old.
            let report = try Housekeeping(manager).run()
            #expect(report.done.contains { $0.contains("1 rows of metrics.routing_metrics_default") }, "\(report.done)")
        }
    }

    @Test(arguments: TestFlavour.allCases) func aLookSaysWhatWouldGoAndTakesNothing(_ flavour: TestFlavour) throws {
        let (connection, manager) = try Self.filled(flavour)
        let before = try Self.total(connection, "routing_metrics")
        let cutoff = wallClockMicroseconds() - 100 * Self.day
        let retention = Retention(connection, try manager.status())
        let expired = try retention.expired(.routing, before: cutoff)
        #expect(expired.count == 19 || expired.count == 20, "\(expired.count)")
        #expect(expired.allSatisfy { $0.table == "metrics.routing_metrics" && !$0.isRows && ($0.bytes ?? 0) > 0 })
        #expect(expired.map(\.to) == expired.map(\.to).sorted { $0 ?? "" < $1 ?? "" })
        #expect(try Self.total(connection, "routing_metrics") == before)
        try retention.drop(.routing, expired, before: cutoff)
        #expect(try retention.expired(.routing, before: cutoff).isEmpty)
        let young = try connection.query(
            "SELECT count(*) FROM metrics.routing_metrics WHERE time >= $1", [expired.last?.to])
        #expect(try Self.total(connection, "routing_metrics") == before - 4 * 19)
        #expect(young == [["\(before - 4 * 19)"]])
        #expect(try Self.total(connection, "system_metrics") == before, "the other table is as it was")
    }

    @Test func rowsAreCountedWithoutStatisticsAndPastTheLimit() throws {
        let (connection, manager) = try Self.filled(.plain)
        let cutoff = wallClockMicroseconds() - 100 * Self.day
        let found = try Retention(connection, manager.status()).expired(.routing, before: cutoff)
        // The partition of the first day has no row.
        #expect(found.filter { $0.rows == 4 }.count >= 19, "\(found)")
        #expect(found.allSatisfy { $0.accuracy == .exact })
        // More rows than there were at the last ANALYZE.
        try connection.execute("ANALYZE metrics.system_metrics")
        try connection.execute(
            """
            INSERT INTO metrics.system_metrics (time)
            SELECT date_trunc('day', now()) - interval '110 days' FROM generate_series(1, 10000)
            """)
        let grown = try Retention(connection, manager.status()).expired(.system, before: cutoff).map(\.rows).max() ?? 0
        #expect(grown == 10_004)
        let count = Retention.rowsCountedMax + 100_000
        try connection.execute(
            "INSERT INTO metrics.rag_metrics (time) SELECT '2001-01-01 00:00+00' FROM generate_series(1, \(count))")
        let retention = Retention(connection, try manager.status())
        let expired = try retention.expired(.rag, before: cutoff)
        let rows = try #require(expired.last { $0.isRows })
        #expect(rows.rows == Retention.rowsCountedMax && rows.accuracy == .atLeast)
        var deleted: [ExpiredRows] = []
        try retention.drop(.rag, expired, before: cutoff, done: { deleted += $0 })
        #expect(deleted.last?.rows == count && deleted.last?.accuracy == .exact)
    }

    @Test(arguments: TestFlavour.allCases) func thereIsOneLeader(_ flavour: TestFlavour) throws {
        let location = try TestServers.database(flavour)
        let first = try DatabaseConnection(location)
        try SchemaManager(first).apply()
        let second = try DatabaseConnection(location)
        for _ in 0..<3 {
            #expect(try Housekeeping(SchemaManager(first)).isLeader())
            #expect(try !Housekeeping(SchemaManager(second)).isLeader())
        }
        try Housekeeping(SchemaManager(first)).stepDown()
        #expect(try Housekeeping(SchemaManager(second)).isLeader())
        try Housekeeping(SchemaManager(second)).stepDown()
        #expect(try Housekeeping(SchemaManager(first)).isLeader())
        first.close()
        var isLeader = false
        for _ in 0..<100 where !isLeader {
            isLeader = try Housekeeping(SchemaManager(second)).isLeader()
            if !isLeader { usleep(50_000) }
        }
        #expect(isLeader)
    }

    @Test func aTableInUseIsTriedAgainLater() throws {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        let now = wallClockMicroseconds()
        try SchemaManager(connection, now: { now - 100 * Self.day }).apply(daysAhead: 1)
        let manager = SchemaManager(connection, now: { now })
        let other = try DatabaseConnection(location)
        try other.execute("BEGIN; INSERT INTO metrics.rag_metrics (time) VALUES (now())")
        let report = try Housekeeping(manager).run()
        #expect(report.warnings.count == 1 && report.warnings[0].contains("metrics.rag_metrics"), "\(report)")
        #expect(report.done.count == 8)
        try other.commit()
        #expect(try Housekeeping(manager).run().warnings.isEmpty)
    }
}
