// What an operator decides for a table is kept in the database and done by whoever can.

import LinuxSystem
import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreWriter
@testable import Maintenance
@testable import Postgres

@Suite struct PolicyTests {
    @Test(arguments: [
        ("90d", 2_160), ("12h", 12), ("2w", 336), ("1h", 1), ("0d", nil), ("-1d", nil), ("d", nil), ("90", nil),
        ("1.5d", nil),
        ("9999999999999999999d", nil), ("36526d", nil), ("36525d", 876_600), ("", nil), ("１d", nil), ("+1d", nil),
    ])
    func intervalsAreWholeHours(_ text: String, _ hours: Int?) {
        #expect(StoreInterval(text)?.hours == hours)
    }

    @Test func changesNameWhatIsWrong() throws {
        var changes = PolicyChanges()
        try changes.add(.retention, ["30d", "system=7d", "point=off"])
        let routing = changes.apply(to: .standard(.routing), of: .routing)
        #expect(routing == TablePolicy(compressAfter: .days(30), dropAfter: .days(30)))
        #expect(changes.apply(to: .standard(.system), of: .system).dropAfter == .days(7))
        #expect(changes.apply(to: .standard(.point), of: .point).dropAfter == nil)
        for (values, reason) in [
            (["routin=7d"], "there is no kind 'routin'; there are routing, memory"),
            (["7"], "'7' is not a length of time"),
            (["7d", "8d"], "'8d' is a second value for all tables"), (["rag=1d", "rag=2d"], "second value for rag"),
        ] {
            var changes = PolicyChanges()
            let error = #expect(throws: PolicyError.self) { try changes.add(.retention, values) }
            #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
        }
        #expect(throws: PolicyError.self) { try changes.add(.chunkInterval, ["off"]) }
    }

    @Test(arguments: TestFlavour.allCases)
    func aDecisionIsKeptAndNotUndoneByWhoMakesNone(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        let manager = SchemaManager(connection)
        try manager.apply()
        var changes = PolicyChanges()
        try changes.add(.retention, ["routing=30d", "point=off"])
        try changes.add(.compression, ["15d", "memory=45d", "system=3d", "rag=off"])
        try changes.add(.chunkInterval, ["point=6h"])
        let script = try manager.dryRun(changes: changes)
        #expect(script.contains("spillway.table_policies"))
        #expect(try manager.policies()?[.routing] == .standard(.routing))
        let changed = try manager.apply(changes: changes)
        #expect(changed.changes.contains { $0.hasPrefix("policy of metrics.routing_metrics") })
        let expected: [MetricKind: TablePolicy] = [
            .routing: TablePolicy(compressAfter: .days(15), dropAfter: .days(30)),
            .memory: TablePolicy(compressAfter: .days(45), dropAfter: .days(90)),
            .system: TablePolicy(compressAfter: .days(3), dropAfter: .days(90)),
            .rag: TablePolicy(compressAfter: nil, dropAfter: .days(90)),
            .point: TablePolicy(chunkInterval: StoreInterval(hours: 6), compressAfter: .days(15), dropAfter: nil),
        ]
        // Another collector starts, without any wish.
        let later = try manager.apply()
        #expect(later.changes.isEmpty)
        let policies = try #require(try manager.policies())
        for (kind, policy) in expected {
            #expect(policies[kind] == policy, "\(kind)")
            guard flavour != .plain else { continue }
            let state = try #require(try manager.hypertableStates(later.server)[kind])
            #expect(state.chunkInterval == policy.chunkInterval)
            guard flavour == .community else {
                #expect(state == HypertableState(chunkInterval: policy.chunkInterval))
                continue
            }
            #expect(state.compressAfter == policy.compressAfter && state.dropAfter == policy.dropAfter, "\(kind)")
            #expect(state.isCompressing)
        }
        #expect(later.tables.first { $0.name == "metrics.routing_metrics" }?.policy == expected[.routing])
    }

    @Test(arguments: TestFlavour.allCases)
    func tablesFromBeforeThereWerePoliciesKeepTheirRows(_ flavour: TestFlavour) throws {
        let connection = try DatabaseConnection(TestServers.database(flavour))
        try MigrationTests.makeEarlier(connection, 2)
        try connection.execute("INSERT INTO metrics.rag_metrics (time) VALUES ('2001-01-01 00:00+00')")
        if flavour == .community {
            try connection.execute("SELECT add_retention_policy('metrics.routing_metrics', INTERVAL '365 days')")
        }
        let manager = SchemaManager(connection)
        let report = try manager.apply()
        #expect(report.isComplete && report.changes.contains { $0.contains("keep their rows") }, "\(report.changes)")
        let policies = try #require(try manager.policies())
        for kind in MetricKind.allCases {
            let days = flavour == .community && kind == .routing ? 365 : 0
            #expect(policies[kind] == TablePolicy(dropAfter: days == 0 ? nil : .days(days)), "\(kind)")
        }
        #expect(try Housekeeping(manager).run() == HousekeepingReport())
        #expect(try connection.query("SELECT count(*) FROM metrics.rag_metrics") == [["1"]])
        #expect(try manager.apply().changes.isEmpty)
        if flavour == .community {
            let jobs = try connection.query(
                "SELECT count(*) FROM timescaledb_information.jobs WHERE hypertable_schema = 'metrics'")
            #expect(jobs == [["1"]])
        }
    }

    @Test func chunksOfHoursAreMadeAheadForADay() throws {
        let connection = try DatabaseConnection(TestServers.database(.timescale))
        var changes = PolicyChanges()
        try changes.add(.chunkInterval, ["6h", "rag=1d", "point=1h"])
        let manager = SchemaManager(connection)
        try manager.apply(changes: changes)
        for (table, least, most) in [("metric_points", 24, 26), ("routing_metrics", 5, 6), ("rag_metrics", 2, 2)] {
            let rows = try connection.query(
                "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = $1", [table])
            let count = Int(rows[0][0] ?? "") ?? -1
            #expect((least...most).contains(count), "\(table): \(count)")
        }
        #expect(try manager.ensurePartitionsAhead() == AheadReport())
    }

    @Test func whatAnOperatorDoesToAJobIsTakenOver() throws {
        guard TestServers.communityURL != nil else { return RetentionTests.sayWhatWasSkipped() }
        let connection = try DatabaseConnection(TestServers.database(.community))
        let manager = SchemaManager(connection)
        try manager.apply()
        try connection.execute(
            """
            SELECT remove_retention_policy('metrics.routing_metrics');
            SELECT set_chunk_time_interval('metrics.rag_metrics', INTERVAL '6 hours')
            """)
        let report = try manager.apply()
        #expect(report.changes.count { $0.hasPrefix("policy of") } == 2, "\(report.changes)")
        #expect(try manager.policies()?[.routing]?.dropAfter == nil)
        #expect(try manager.policies()?[.rag]?.chunkInterval == StoreInterval(hours: 6))
        #expect(try manager.apply().changes.isEmpty)
        var changes = PolicyChanges()
        try changes.add(.retention, ["routing=90d"])
        #expect(try !manager.apply(changes: changes).changes.isEmpty)
        #expect(try manager.hypertableStates(ServerIdentity.detect(connection))[.routing]?.dropAfter == .days(90))
    }

    @Test func theOlderFunctionsOfCompressionDoTheSame() throws {
        guard TestServers.communityURL != nil else { return RetentionTests.sayWhatWasSkipped() }
        let connection = try DatabaseConnection(TestServers.database(.community))
        let manager = SchemaManager(connection)
        try manager.apply()
        let server = try ServerIdentity.detect(connection)
        let older = HypertableFunctions(schema: server.timescaleSchema, hasColumnstore: false)
        let wanted = TablePolicy(compressAfter: .days(5), dropAfter: nil)
        for kind in MetricKind.allCases {
            var plan = SchemaPlan()
            let state = try #require(try manager.hypertableStates(server)[kind])
            state.plan(wanted, kind, older, into: &plan)
            #expect(plan.statements.contains { $0.contains("add_compression_policy") })
            for statement in plan.statements { try connection.execute(statement) }
            #expect(
                try manager.hypertableStates(server)[kind]
                    == HypertableState(
                        chunkInterval: .days(1), isCompressing: true, compressAfter: .days(5), dropAfter: nil))
        }
        // A table that was never compressed, through the older words.
        try connection.execute(
            """
            DROP TABLE metrics.rag_metrics CASCADE;
            """)
        try manager.apply()
        let parts = HypertableState(chunkInterval: .days(1))
        var plan = SchemaPlan()
        parts.plan(wanted, .rag, older, into: &plan)
        #expect(plan.statements[0].contains("timescaledb.compress_segmentby = 'rag_type'"))
        try connection.execute("ALTER TABLE metrics.rag_metrics SET (timescaledb.compress = false)")
    }

    @Test func segmentsAreColumnsOfTheirKinds() {
        for kind in MetricKind.allCases {
            #expect(kind.columnIndex(named: kind.segmentColumn) != nil, "\(kind)")
            #expect(kind.segmentColumn != "time")
        }
    }

    @Test(arguments: ["2.17.2": false, "2.18.0": true, "2.28.3": true, "3.0": true, "2.9.1": false, "2.19.3-dev": true])
    func theColumnstoreIsThereFromItsVersionOn(_ version: String, _ expected: Bool) {
        let server = ServerIdentity(
            flavour: .timescaleCommunity, postgresVersion: "15", timescaleVersion: version, timescaleSchema: "public")
        #expect(server.isTimescale(atLeast: 2, 18) == expected)
        #expect(HypertableFunctions(server).hasColumnstore == expected)
    }

    @Test func adviceComesWhenIndexesOutgrowTheBuffers() throws {
        let server = try TestServers.ownServer(.timescale)
        defer { server.stop() }
        let owner = try DatabaseConnection(server.location.with(database: "postgres"))
        try owner.execute("ALTER SYSTEM SET shared_buffers = '16MB'")
        try TestServers.restart(server, immediate: false)
        let connection = try DatabaseConnection(server.location)
        let manager = SchemaManager(connection)
        try manager.apply()
        #expect(try manager.inspect(TableTrial.refusal).advice.isEmpty)
        try connection.execute(
            """
            INSERT INTO metrics.metric_points (time, value)
            SELECT date_trunc('day', now()) + n * interval '1 millisecond', n FROM generate_series(1, 900000) n
            """)
        let advice = try manager.inspect(TableTrial.refusal).advice
        #expect(advice.count == 2, "\(advice)")
        #expect(advice.first?.contains("shared_buffers is 16 MiB") == true)
        #expect(advice.last?.contains("--chunk-interval point=") == true)
    }
}
