// Brings a database to the program's schema, in one transaction under an advisory lock, since several collectors may
// start at once. Where nothing is to be done it needs no right but to read the catalog and `spillway.schema_version`.

import LinuxSystem
import MetricKinds
import Postgres
import Text

/// Makes and inspects the schema over a connection that is not in a transaction.
public struct SchemaManager {
    package let connection: DatabaseConnection
    package let now: () -> Int64
    /// What this program knows.
    package let migrations: [Migration]
    /// False: new tables get native partitions, whatever the server offers.
    package let usesTimescale: Bool

    /// - Parameters:
    ///   - usesTimescale: false for a database that stays plain PostgreSQL although its server has TimescaleDB. The setting
    ///     `spillway.timescaledb = off` of the server, the database or the role says the same.
    ///   - now: microseconds since the Unix epoch; tests set it.
    public init(
        _ connection: DatabaseConnection, usesTimescale: Bool = true,
        now: @escaping () -> Int64 = wallClockMicroseconds
    ) {
        self.init(connection, usesTimescale: usesTimescale, now: now, migrations: Migration.all)
    }

    /// As an earlier or later program would: tests do.
    package init(
        _ connection: DatabaseConnection, usesTimescale: Bool = true,
        now: @escaping () -> Int64 = wallClockMicroseconds, migrations: [Migration]
    ) {
        precondition(!migrations.isEmpty && migrations.map(\.number) == Array(1...migrations.count))
        self.connection = connection
        self.now = now
        self.migrations = migrations
        self.usesTimescale = usesTimescale
    }

    /// Whether new tables may be hypertables.
    package func mayUseTimescale() throws(DatabaseError) -> Bool {
        guard usesTimescale else { return false }
        let rows = try connection.query(
            "SELECT pg_catalog.current_setting('spillway.timescaledb', true)",
            operation: "asking whether TimescaleDB is wanted")
        return rows.first?.first != "off"
    }

    package var today: UTCDay { UTCDay(microseconds: now()) }

    /// Makes what is missing. May be repeated, and run by several programs at once.
    ///
    /// - Parameters:
    ///   - changes: policies that the operator wants other than the database has them.
    ///   - compressesChunks: see `ensurePartitionsAhead`.
    /// - Returns: the state afterwards, with what was made and what the operator should know.
    /// - Throws: `.schemaTooNew` for a database of a later program that this one cannot work with; `.server` with 42501
    ///   where rights are missing for something that has to be made.
    @discardableResult
    public func apply(
        daysAhead: Int = SchemaSQL.defaultDaysAhead, changes: PolicyChanges = PolicyChanges(),
        compressesChunks: Bool = false
    ) throws(DatabaseError) -> SchemaReport {
        var report = try status()
        var warnings: [String] = []
        var done: [String] = []
        // Without anything to do no lock is taken and no right is needed.
        if try missing(report, daysAhead: daysAhead) != SchemaPlan() {
            if report.usesTimescale, let warning = try createExtension() { warnings.append(warning) }
            done += try carryOut { () throws(DatabaseError) in
                let report = try status()
                return try missing(report, daysAhead: daysAhead, policies: changes)
            }
            report = try status()
        }
        if try policies(report, changes) != SchemaPlan() {
            do throws(DatabaseError) {
                done += try carryOut { () throws(DatabaseError) in try policies(try status(), changes) }
            } catch {
                // Somebody else's decisions, which this user may not carry out: storing needs none of it.
                guard changes.isEmpty, error.sqlstate == .insufficientPrivilege, connection.isUsable else {
                    throw error
                }
                warnings.append(
                    "the policies are for the owner of the tables, who runs 'spillway schema apply' for them: \(error)")
            }
            report = try status()
        }
        report.changes = done
        report.warnings += warnings
        let ahead = try ensurePartitionsAhead(days: daysAhead, compressesChunks: compressesChunks)
        if !ahead.created.isEmpty {
            let before = report
            report = try status()
            report.changes = before.changes + ahead.created
            report.madeAhead = ahead.created.count
            report.warnings = before.warnings
        }
        report.warnings += ahead.warnings
        return report
    }

    /// The statements that `apply` would run in its transaction, as a script; empty when there is nothing to do. Changes
    /// nothing. Partitions and chunks made ahead, and the extension, are not among them.
    public func dryRun(
        daysAhead: Int = SchemaSQL.defaultDaysAhead, changes: PolicyChanges = PolicyChanges()
    ) throws(DatabaseError) -> String {
        let report = try status()
        var plan = try missing(report, daysAhead: daysAhead, policies: changes)
        if plan == SchemaPlan() { plan = try policies(report, changes) }
        return plan.changes.map { "-- \($0)\n" }.joined() + plan.statements.map { "\n\($0);\n" }.joined()
    }

    private func refuseNewer(_ report: SchemaReport) throws(DatabaseError) {
        guard let found = report.version, let needs = report.versionNeeded, needs > report.versionOfProgram else {
            return
        }
        throw DatabaseError(
            .schemaTooNew(found: found, known: report.versionOfProgram), location: connection.location.description,
            operation: "checking the schema")
    }

    private func takeLock() throws(DatabaseError) {
        try connection.execute("SELECT pg_advisory_xact_lock(\(SchemaSQL.advisoryLock))")
    }

    /// For as long as a statement of a plan waits, writers wait behind it.
    private static let lockTimeout = "5s"

    /// Runs a plan in a transaction of its own, under the lock of the schema.
    ///
    /// - Parameter plan: made once the lock is held, since another program may have done it meanwhile.
    /// - Returns: what was done, in words.
    private func carryOut(_ plan: () throws(DatabaseError) -> SchemaPlan) throws(DatabaseError) -> [String] {
        try connection.inTransaction { () throws(DatabaseError) -> [String] in
            try takeLock()
            let plan = try plan()
            try connection.execute("SET LOCAL lock_timeout = '\(Self.lockTimeout)'")
            for statement in plan.statements { try connection.execute(statement) }
            return plan.changes
        }
    }

    /// What there is to make, with the policies of it; empty when the schema is complete.
    private func missing(
        _ report: SchemaReport, daysAhead: Int, policies changes: PolicyChanges = PolicyChanges()
    ) throws(DatabaseError) -> SchemaPlan {
        try refuseNewer(report)
        var plan = SchemaPlan()
        guard !report.isComplete else { return plan }
        try planMissing(report, daysAhead: daysAhead, into: &plan)
        try planPolicies(report, changes, into: &plan)
        return plan
    }

    private func policies(_ report: SchemaReport, _ changes: PolicyChanges) throws(DatabaseError) -> SchemaPlan {
        var plan = SchemaPlan()
        try planPolicies(report, changes, into: &plan)
        return plan
    }

    private func planMissing(
        _ report: SchemaReport, daysAhead: Int, into plan: inout SchemaPlan
    ) throws(DatabaseError) {
        // CREATE SCHEMA IF NOT EXISTS wants the right to create one even where it is there.
        let present = try connection.query("SELECT nspname FROM pg_catalog.pg_namespace").compactMap { $0[0] }
        for schema in SchemaSQL.schemas where !present.contains(schema) {
            plan.add(SchemaSQL.createSchema(schema), "schema \(schema)")
        }
        // What every lane locks first: nobody is in the middle of a batch, and holds what is changed here, then.
        if report.version != nil, !report.missingCollectorTables.contains("spillway.batches") {
            let hasParts = !report.missingCollectorTables.contains("spillway.batch_parts")
            plan.add(
                "LOCK TABLE spillway.batches\(hasParts ? ", spillway.batch_parts" : "") IN SHARE ROW EXCLUSIVE MODE")
        }
        let missing = report.tables.filter { $0.layout == .missing }.map(\.name)
        let target = SchemaSQL.Target(
            flavour: layoutFlavour(report), timescaleSchema: report.server.timescaleSchema, today: today,
            daysAhead: daysAhead,
            // The others may be in use, and a repeated CREATE INDEX locks its table.
            kinds: MetricKind.allCases.filter { missing.contains(SchemaSQL.table($0)) },
            names: try TakenNames(connection))
        // A table that was dropped is made again by the steps that made it, which leave the others as they are.
        let isRepair = !missing.isEmpty || !report.missingCollectorTables.isEmpty
        for migration in migrations where isRepair || migration.number > report.version ?? 0 {
            for statement in migration.statements(target) { plan.add(statement) }
            let isNew = (report.version ?? 0) < migration.number
            plan.add(migration.record, isNew ? "migration \(migration.number): \(migration.name)" : nil)
        }
        for name in report.missingCollectorTables + missing { plan.note("table \(name)") }
        if let version = report.version, version < 3, missing.count < MetricKind.allCases.count {
            plan.note("the tables keep their rows as they did: --retention 90d lets go of older ones")
        }
        for kind in MetricKind.allCases {
            guard let table = report.tables.first(where: { $0.name == SchemaSQL.table(kind) }) else { continue }
            if table.layout == .partitioned, table.defaultPartition == nil {
                // Without it rows of other days would be refused.
                plan.add(SchemaSQL.defaultPartition(kind, target.names), "default partition of \(table.name)")
            }
            for column in RequiredColumn.all(kind) where table.missingColumns.contains(column.name) {
                plan.add(
                    SchemaSQL.addColumn(kind, column), "column \(column.name) of \(SchemaSQL.table(kind))")
                plan.add(ColumnComments.statement(kind, column))
            }
        }
    }

    /// Tables that have native partitions keep them when TimescaleDB comes later: a partitioned table cannot become a
    /// hypertable, and two layouts side by side would be worse than one. Neither do hypertables become native partitions.
    package func layoutFlavour(_ report: SchemaReport) -> Flavour {
        if report.tables.contains(where: { $0.layout == .partitioned }) { return .plain }
        guard report.usesTimescale || report.tables.contains(where: { $0.layout == .hypertable }) else { return .plain }
        return report.server.flavour
    }

    /// Creates TimescaleDB's extension where the server offers it and this user may.
    ///
    /// - Returns: a warning when the database stays plain although it need not.
    private func createExtension() throws(DatabaseError) -> String? {
        // The loader's settings exist when it was preloaded. Without it CREATE EXTENSION ends the session.
        let rows = try connection.query(
            """
            SELECT EXISTS (SELECT FROM pg_catalog.pg_settings WHERE name = 'timescaledb.disable_load'),
                EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = '\(MetricKind.schemaName)' AND c.relkind = 'p'),
                pg_catalog.current_schema()
            FROM pg_catalog.pg_available_extensions
            WHERE name = 'timescaledb' AND installed_version IS NULL
            """, operation: "looking for TimescaleDB")
        guard let row = rows.first, row[1] == "f" else { return nil }
        guard row[0] == "t" else {
            return "TimescaleDB is installed but not loaded, so the tables get native partitions: "
                + "add timescaledb to shared_preload_libraries and restart the server to have hypertables"
        }
        do {
            try connection.inTransaction { () throws(DatabaseError) in
                try takeLock()
                // Into the first schema of the search path, where that has one.
                let schema = row[2] == nil ? " SCHEMA public" : ""
                try connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb\(schema)")
            }
            return nil
        } catch {
            guard error.sqlstate == .insufficientPrivilege else { throw error }
            return "TimescaleDB is offered but this user may not create it, so the tables get native partitions: "
                + "let a superuser run CREATE EXTENSION timescaledb first to have hypertables"
        }
    }
}
