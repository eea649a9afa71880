// The ledger becomes small and forgets no batch.

import Delivery
import LinuxSystem
import TestSupport
import Testing

@testable import StoreSchema
@testable import Maintenance
@testable import Postgres

@Suite struct LedgerPruningTests {
    private static func made(_ flavour: TestFlavour) throws -> DatabaseConnection {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try SchemaManager(connection).apply()
        return connection
    }

    @Test(arguments: TestFlavour.allCases) func oldBatchesBecomeRangesThatStillRefuseThem(_ flavour: TestFlavour) throws
    {
        let connection = try Self.made(flavour)
        // Epoch 1 without 500 and 501, epoch 2 whole, epoch 3 of today.
        try connection.execute(
            """
            INSERT INTO spillway.batches (epoch, sequence, records, committed_at)
            SELECT e, s, 10, now() - (4 - e) * interval '1 day' + interval '1 hour' FROM generate_series(1, 3) e,
                generate_series(1, 1000) s WHERE NOT (e = 1 AND s IN (500, 501))
            """)
        let pruning = LedgerPruning(connection)
        #expect(try pruning.moveBatches() == 1_998)
        #expect(try pruning.moveBatches() == 0)
        #expect(try connection.query("SELECT count(*) FROM spillway.batches") == [["1000"]])
        let ranges = "SELECT epoch, first, behind FROM spillway.batch_ranges ORDER BY 1, 2"
        #expect(try connection.query(ranges) == [["1", "1", "500"], ["1", "502", "1001"], ["2", "1", "1001"]])
        for (epoch, sequence, isStored) in [
            (1, 1, true), (1, 499, true), (1, 500, false), (1, 502, true), (1, 1_000, true), (1, 1_001, false),
            (2, 7, true), (3, 7, true), (3, 1_001, false), (4, 1, false),
        ] {
            let batch = try SampleBatch(epoch: Int64(epoch), sequence: Int64(sequence), days: [0], kind: .rag)
            let stored = try batch.store(connection)
            #expect(stored.wasStoredBefore == isStored, "epoch \(epoch), batch \(sequence)")
        }
        #expect(try connection.query("SELECT count(*) FROM metrics.rag_metrics") == [["4"]])
        // What came meanwhile joins the ranges that are there.
        try connection.execute("UPDATE spillway.batches SET committed_at = now() - interval '2 days'")
        #expect(try pruning.moveBatches() == 1_004)
        #expect(
            try connection.query(ranges) == [
                ["1", "1", "501"], ["1", "502", "1002"], ["2", "1", "1001"], ["3", "1", "1002"], ["4", "1", "2"],
            ])
    }

    @Test func theMoveWaitsForTheBatchesThatAreOnTheirWay() throws {
        let location = try TestServers.database(.plain)
        let connection = try DatabaseConnection(location)
        try SchemaManager(connection).apply()
        try connection.execute(
            "INSERT INTO spillway.batches (epoch, sequence, records, committed_at) VALUES (1, 1, 1, now() - interval '2 days')"
        )
        let writer = try DatabaseConnection(location)
        try writer.execute("BEGIN; INSERT INTO spillway.batches (epoch, sequence, records) VALUES (1, 2, 1)")
        let error = try databaseError { () throws(DatabaseError) in _ = try LedgerPruning(connection).moveBatches() }
        #expect(error.sqlstate == .lockNotAvailable && !connection.isInTransaction)
        try writer.commit()
        #expect(try LedgerPruning(connection).moveBatches() == 1)
    }

    /// A server whose clock is behind dates what it stores into the past: put right, it must not look silent.
    @Test func framesStoredByAClockThatIsBehindAreNotForgotten() throws {
        let connection = try Self.made(.plain)
        try connection.execute(
            """
            CREATE SCHEMA behind;
            CREATE FUNCTION behind.now() RETURNS timestamptz LANGUAGE sql AS
                $$ SELECT pg_catalog.now() - interval '100 days' $$;
            SET search_path = behind, pg_catalog
            """)
        let batch = try SampleBatch(sequence: 1, times: [wallClockMicroseconds()], kind: .rag, firstFrame: 1)
        #expect(try batch.store(connection) == StoredBatch())
        try connection.execute("RESET search_path")
        var sweep = SessionSweep()
        let report = try sweep.nextPage(connection, localMicroseconds: wallClockMicroseconds())
        #expect(report.rowsRead == 1 && report.rowsForgotten == 0)
    }

    @Test(arguments: TestFlavour.allCases) func onlySilentSessionsAreForgotten(_ flavour: TestFlavour) throws {
        let connection = try Self.made(flavour)
        try connection.execute(
            """
            INSERT INTO spillway.session_frames (source, session, first, behind, committed_at) VALUES
                (1, 1, 1, 5, now() - interval '200 days'), (1, 1, 5, 9, now() - interval '1 day'),
                (1, 2, 1, 5, now() - interval '91 days'), (1, 2, 8, 9, now() - interval '100 days'),
                (2, 2, 1, 5, now() - interval '89 days')
            """)
        var sweep = SessionSweep()
        // A server whose clock has jumped ahead forgets nothing that is young by this machine's.
        let past = wallClockMicroseconds() - 30 * 86_400_000_000
        let careful = try sweep.nextPage(connection, localMicroseconds: past)
        #expect(careful.rowsForgotten == 0 && careful.warnings.count == 1 && careful.isAtEnd)
        let future = wallClockMicroseconds() + 90 * 86_400_000_000
        #expect(try sweep.nextPage(connection, localMicroseconds: future).rowsForgotten == 2)
        let left = try connection.query("SELECT source, session, first FROM spillway.session_frames ORDER BY 1, 2, 3")
        // The ranges of the session that is not silent touch, and are one.
        #expect(left == [["1", "1", "1"], ["2", "2", "1"]])
        let report = try Housekeeping(SchemaManager(connection)).run()
        #expect(report == HousekeepingReport())
    }
}
