// The overview tells what the database itself tells by other ways, and does with few rights.

import LinuxSystem
import MetricKinds
import TestSupport
import Testing
import Text

@testable import StoreSchema
@testable import StoreQueries
@testable import Postgres

@Suite struct OverviewTests {
    private static let day: Int64 = 86_400_000_000

    /// Three days of retrievals, with large texts.
    private static func store(_ flavour: TestFlavour) throws -> QueriedStore {
        let store = try QueriedStore(flavour)
        for (days, count) in [(0, 10), (1, 20), (2, 30)] {
            try store.owner.execute(
                """
                INSERT INTO metrics.rag_metrics (time, query_text)
                SELECT \(QueriedStore.literal(sunday + Int64(days) * day))::timestamptz + n * interval '1 second',
                    (SELECT string_agg(md5((m + n)::text), '') FROM generate_series(1, 200) m)
                FROM generate_series(1, \(count)) n
                """)
        }
        return store
    }

    @Test(arguments: TestFlavour.allCases) func rowsTimesAndSizesAreThoseOfTheTables(_ flavour: TestFlavour) throws {
        let store = try Self.store(flavour)
        let overview = try store.queries.overview(countsRows: true)
        #expect(overview.server.flavour == flavour.flavour)
        #expect(overview.schemaVersion == SchemaSQL.version && overview.hidden.isEmpty)
        #expect((overview.jobs != nil) == (flavour == .community))
        #expect(overview.kinds.map(\.name) == MetricKind.allCases.map { "metrics.\($0.tableName)" })
        #expect(overview.kinds.allSatisfy { $0.layout == (flavour == .plain ? .partitioned : .hypertable) })
        let table = try #require(overview.kinds.first { $0.name == "metrics.rag_metrics" })
        #expect(table.rows == 60 && table.rowsAreExact)
        #expect(table.compression?.chunks == (flavour == .community ? 0 : nil))
        #expect(table.earliest == sunday + 1_000_000 && table.latest == sunday + 2 * Self.day + 30_000_000)
        let empty = try #require(overview.kinds.first { $0.name == "metrics.memory_metrics" })
        #expect(empty.rows == 0 && empty.rowsAreExact && empty.earliest == nil && empty.latest == nil)

        // Through other functions than the overview's own.
        let size =
            flavour == .plain
            ? "SELECT sum(pg_total_relation_size(relid)), count(*) FILTER (WHERE isleaf) FROM pg_partition_tree($1)"
            : "SELECT hypertable_size($1), (SELECT count(*) FROM show_chunks($1))"
        let row = try store.owner.query(size, ["metrics.rag_metrics"])[0]
        #expect(row == ["\(table.size.total)", "\(table.parts ?? -1)"])
        #expect(table.size.toast > 200_000 && table.size.index > 0 && table.size.table > 0)

        #expect(overview.collector.map(\.name) == Migration.collectorTableNames.sorted().map { "spillway.\($0)" })
        let versions = try #require(overview.collector.first { $0.name == "spillway.schema_version" })
        #expect(versions.rows == Int64(SchemaSQL.version) && versions.rowsAreExact && versions.parts == nil)
        #expect(versions.size.total > 0)
    }

    @Test(.enabled(if: TestServers.communityURL != nil)) func compressedChunksAreCountedWithWhatTheyTake() throws {
        let store = try Self.store(.community)
        try store.owner.execute(
            """
            INSERT INTO metrics.rag_metrics (time, query_id)
            SELECT \(QueriedStore.literal(sunday + 1_000_000))::timestamptz + n * interval '5 seconds', 'q' || n
            FROM generate_series(1, 20000) n
            """)
        let before = try #require(try store.queries.overview().kinds.first { $0.name == "metrics.rag_metrics" })
        try store.owner.execute(
            """
            SELECT compress_chunk(c) FROM show_chunks('metrics.rag_metrics', older_than => \
            \(QueriedStore.literal(sunday + 2 * Self.day))::timestamptz) c
            """)
        try store.owner.execute("ANALYZE metrics.rag_metrics")
        let overview = try store.queries.overview(countsRows: true)
        let table = try #require(overview.kinds.first { $0.name == "metrics.rag_metrics" })
        #expect(table.rows == 20_060 && table.parts == before.parts && table.earliest == sunday + 1_000_000)
        #expect(table.compression?.chunks == 2)
        let ratio = try #require(table.compression?.ratio)
        #expect(ratio > 1 && table.size.total < before.size.total)
        #expect(try store.owner.query("SELECT hypertable_size('metrics.rag_metrics')") == [["\(table.size.total)"]])
        let jobs = try #require(overview.jobs)
        #expect(jobs.contains { $0.table == "metrics.rag_metrics" && $0.isScheduled })
    }

    @Test(arguments: TestFlavour.allCases) func estimatesAreMarkedAsSuch(_ flavour: TestFlavour) throws {
        let store = try Self.store(flavour)
        try store.owner.execute("ANALYZE metrics.rag_metrics")
        let overview = try store.queries.overview()
        let table = try #require(overview.kinds.first { $0.name == "metrics.rag_metrics" })
        #expect(table.rows == 60 && !table.rowsAreExact)
        #expect(table.earliest == sunday + 1_000_000)
    }

    @Test(arguments: TestFlavour.allCases) func anEmptyDatabaseIsSaidToBeEmpty(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        let overview = try StoreQueries(connection).overview(countsRows: true)
        #expect(overview.kinds.count == 9 && overview.kinds.allSatisfy { $0.layout == .missing && $0.size.total == 0 })
        #expect(overview.collector.isEmpty && overview.schemaVersion == nil && overview.hidden.isEmpty)
    }

    @Test(arguments: TestFlavour.local) func aRoleThatMayOnlySelectSeesWhatItMay(_ flavour: TestFlavour) throws {
        let store = try Self.store(flavour)
        let name = "reader_\(store.location.database ?? "")"
        try store.owner.execute(
            """
            CREATE ROLE \(name) LOGIN;
            GRANT USAGE ON SCHEMA metrics TO \(name);
            GRANT SELECT ON ALL TABLES IN SCHEMA metrics TO \(name);
            REVOKE SELECT ON metrics.memory_metrics FROM \(name)
            """)
        let queries = try StoreQueries(try DatabaseConnection(store.location.with(user: name)))
        let overview = try queries.overview(countsRows: true)
        let table = try #require(overview.kinds.first { $0.name == "metrics.rag_metrics" })
        #expect(table.rows == 60 && table.rowsAreExact && table.earliest == sunday + 1_000_000 && table.size.total > 0)
        #expect(overview.schemaVersion == nil && overview.collector.count == Migration.collectorTableNames.count)
        #expect(overview.collector.allSatisfy { !$0.rowsAreExact && $0.size.total > 0 })
        let hidden =
            ["the first and the last time of metrics.memory_metrics", "the number of rows of metrics.memory_metrics"]
            + Migration.collectorTableNames.map { "the number of rows of spillway.\($0)" }
            + ["the schema's version, in spillway.schema_version"]
        #expect(overview.hidden.sorted() == hidden.sorted().map { $0 + ": this user may not read it" })

        let scope = try QueryScope(.rag, from: sunday, to: sunday + Self.day)
        let pages = try queries.records(RecordQuery(scope))
        var found = 0
        try pages.forEach { _ in
            found += 1
            return true
        }
        #expect(found == 10)
        let day = try FixedInterval("1 day")
        let buckets = try queries.aggregates(
            AggregateQuery(QueryScope(.rag), bucket: day, measures: [Measure(.count)]))
        #expect(buckets.map(\.values) == [[.integer(30)], [.integer(20)], [.integer(10)]])
        let refused = try databaseError { () throws(DatabaseError) in
            try queries.connection.execute("DELETE FROM metrics.rag_metrics")
        }
        #expect(refused.sqlstate == .insufficientPrivilege)
    }

    @Test(arguments: TestFlavour.allCases) func theFirstAndTheLastTimeComeFromIndexes(_ flavour: TestFlavour) throws {
        let store = try Self.store(flavour)
        try store.owner.execute(
            """
            INSERT INTO metrics.rag_metrics (time)
            SELECT \(QueriedStore.literal(sunday))::timestamptz + n * interval '5 seconds' FROM generate_series(1, 50000) n
            """)
        try store.owner.execute("ANALYZE metrics.rag_metrics")
        let plan = try store.owner.query("EXPLAIN " + StoreQueries.timesSQL("metrics.rag_metrics")).compactMap(\.first)
        let text = plan.compactMap { $0 }.joined(separator: "\n")
        // Nothing else in the plan reads more than one row of a chunk.
        #expect(text.contains("Index Only Scan") && text.contains("Limit"), "\(text)")
        #expect(!text.contains("Sort  "), "\(text)")
    }
}
