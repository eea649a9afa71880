// A partition for a day of which the default one has many rows already, while rows come in.

import Delivery
import Glibc
import LinuxSystem
import MetricKinds
import Synchronization
import TestSupport
import Testing
import Text

@testable import StoreSchema
@testable import Postgres

@Suite struct PartitionAttachmentTests {
    private static let hour: Int64 = 3_600_000_000
    private static let rowCount = 1_200_000

    /// Noon of tomorrow, whose partition was not made; its first half is in the default partition.
    private static func missed() throws -> (DatabaseConnection, SchemaManager, UTCDay) {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        let today = UTCDay(microseconds: wallClockMicroseconds())
        let day = today.advanced(by: 1)
        try SchemaManager(connection).apply(daysAhead: 0)
        let noon = day.number * 24 * hour + 12 * hour
        try connection.query(
            """
            INSERT INTO metrics.rag_metrics (time, query_id)
            SELECT $1::timestamptz + n * interval '12 hours' / \(rowCount), repeat('x', 60) FROM generate_series(1, \(rowCount)) n
            """, [day.timestamp])
        return (connection, SchemaManager(connection, now: { noon }), day)
    }

    @Test func theDayIsAttachedFromAnHourWithoutRowsWhileRowsComeIn() throws {
        let (connection, manager, day) = try Self.missed()
        let isEnded = Atomic(false)
        let slowest = Mutex(UInt64(0))
        let location = connection.location
        let writer = try NamedThread(name: "writer") {
            do {
                let other = try DatabaseConnection(location)
                while !isEnded.load(ordering: .relaxed) {
                    let start = monotonicNanoseconds()
                    try other.query(
                        "INSERT INTO metrics.rag_metrics (time) VALUES ($1::timestamptz + interval '12 hours')",
                        [day.timestamp])
                    let took = (monotonicNanoseconds() - start) / 1_000_000
                    slowest.withLock { $0 = max($0, took) }
                }
            } catch {
                Issue.record(error)
            }
        }
        let report = try manager.ensurePartitionsAhead(days: 1)
        isEnded.store(true, ordering: .relaxed)
        writer.join()
        let wait = slowest.withLock { $0 }
        print("the slowest row waited for \(wait) ms")
        #expect(wait < 1_000)
        #expect(report.warnings.isEmpty, "\(report.warnings)")
        #expect(report.created.contains("partition metrics.rag_metrics_\(day.compact)"))
        let bounds = try connection.query(
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'metrics.rag_metrics_\(day.compact)'::regclass"
        )
        #expect(bounds[0][0]?.contains("13:00:00+00') TO") == true, "\(bounds)")
        // The rows of before are where they were, and the next ones are not.
        try connection.query(
            "INSERT INTO metrics.rag_metrics (time, query_id) VALUES ($1::timestamptz + interval '13 hours', 'later')",
            [day.timestamp])
        #expect(try connection.query("SELECT query_id FROM metrics.rag_metrics_\(day.compact)") == [["later"]])
        let rows = try connection.query("SELECT count(*) FROM metrics.rag_metrics_default WHERE query_id IS NOT NULL")
        #expect(rows == [["\(Self.rowCount)"]])
        let left = try connection.query(
            "SELECT FROM pg_constraint WHERE conname = '\(PartitionAttachment.constraintName)'")
        #expect(left.isEmpty)
        #expect(try manager.ensurePartitionsAhead(days: 1) == AheadReport())
    }

    @Test(arguments: [
        ([0, 0, 0], 0, 0..<3), ([1, 0, 0], 0, 1..<3), ([0, 0, 1], 0, 0..<2), ([0, 1, 0], 0, 0..<1), ([1, 1], 0, nil),
        ([5, 5, 6, 0], 10, 0..<2), ([9, 2, 2, 2, 9], 6, 1..<4), ([], 3, nil), ([11, 4, 11], 10, 1..<2),
    ])
    func theLongestTimeWithFewRowsIsTaken(_ counts: [Int], _ limit: Int, _ run: Range<Int>?) {
        #expect(PartitionAttachment.longestRun(of: counts, holding: limit) == run)
    }

    /// A producer's clock is wrong by a few hours.
    @Test func aStrayRowAtTheEndOfTheDayCostsItsHour() throws {
        let (connection, manager, day) = try Self.missed()
        try connection.query(
            "INSERT INTO metrics.rag_metrics (time) VALUES ($1::timestamptz + interval '23 hours 30 minutes')",
            [day.timestamp])
        let report = try manager.ensurePartitionsAhead(days: 1)
        #expect(report.warnings.isEmpty && report.created.contains("partition metrics.rag_metrics_\(day.compact)"))
        let bounds = try connection.query(
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'metrics.rag_metrics_\(day.compact)'::regclass"
        )
        #expect(bounds[0][0]?.contains("13:00:00+00') TO ('") == true, "\(bounds)")
        #expect(bounds[0][0]?.hasSuffix("23:00:00+00')") == true, "\(bounds)")
        #expect(try manager.ensurePartitionsAhead(days: 1) == AheadReport())
    }

    /// A transaction that only read keeps the partition from being attached, and the constraint from being removed.
    @Test func aReaderThatStaysLeavesNoConstraint() throws {
        let (connection, manager, day) = try Self.missed()
        let location = connection.location
        let isRead = Atomic(false)
        // As soon as the constraint is there, and before it is proven.
        let watch = try NamedThread(name: "watch") {
            do {
                let watcher = try DatabaseConnection(location)
                let reader = try DatabaseConnection(location)
                while try UnfinishedPartitions(watcher).all().isEmpty { usleep(1_000) }
                try reader.begin()
                try reader.query("SELECT FROM metrics.rag_metrics LIMIT 1")
                isRead.store(true, ordering: .releasing)
                try watcher.query("SELECT pg_sleep(4)")
                try reader.commit()
            } catch {
                Issue.record(error)
            }
        }
        let report = try manager.ensurePartitionsAhead(days: 1)
        watch.join()
        let hasRead = isRead.load(ordering: .acquiring)
        #expect(hasRead)
        #expect(report.created.contains("partition metrics.rag_metrics_\(day.compact)"), "\(report)")
        #expect(try UnfinishedPartitions(connection).all().isEmpty)
    }

    /// The constraint of a process that was killed is shown, and removed by whichever collector may.
    @Test func theConstraintOfAKilledProcessIsShownAndRemoved() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        let manager = SchemaManager(connection)
        try manager.apply(daysAhead: 0)
        try connection.execute(
            """
            ALTER TABLE metrics.routing_metrics_default ADD CONSTRAINT \(PartitionAttachment.constraintName)
            CHECK (time < '2026-01-01' OR time >= '2026-01-02') NOT VALID
            """)
        let warnings = try manager.status().warnings
        #expect(warnings.contains { $0.contains(PartitionAttachment.constraintName) && $0.contains("2026-01-01") })
        #expect(try manager.standingWarnings().count == 1)
        // Another one is making partitions, and needs it.
        let other = try DatabaseConnection(connection.location)
        #expect(try Leadership.partitions.isHeld(by: other))
        #expect(try manager.removeUnfinishedPartitions().isEmpty)
        try Leadership.partitions.stepDown(other)
        #expect(try manager.removeUnfinishedPartitions() == ["metrics.routing_metrics_default"])
        #expect(try manager.standingWarnings().isEmpty)
        #expect(try manager.removeUnfinishedPartitions().isEmpty)
    }

    @Test func aRowOfARangeThatIsBeingMadeIsTriedAgainAndNoDeadLetter() throws {
        let connection = try DatabaseConnection(TestServers.database(.plain))
        let now = wallClockMicroseconds()
        try SchemaManager(connection, now: { now }).apply(daysAhead: 0)
        // As a process leaves it that is killed between the constraint and the partition.
        try connection.execute(
            """
            ALTER TABLE metrics.routing_metrics_default ADD CONSTRAINT \(PartitionAttachment.constraintName)
            CHECK (time < now() - interval '30 days') NOT VALID
            """)
        let batch = try SampleBatch(sequence: 1, days: [3], kind: .routing)
        let error = try databaseError { () throws(DatabaseError) in
            do { _ = try batch.store(connection) } catch let error as DatabaseError { throw error } catch {
                Issue.record(error)
            }
        }
        #expect(!error.isAboutRows, "\(error)")
        #expect(try connection.query("SELECT count(*) FROM spillway.dead_letters") == [["0"]])
        let report = try SchemaManager(connection, now: { now }).ensurePartitionsAhead(days: 1)
        #expect(report.warnings.isEmpty && report.created.count == 9, "\(report)")
        #expect(try batch.store(connection) == StoredBatch())
    }
}
