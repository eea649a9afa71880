// Brings a database to the program's schema, in one transaction under an advisory lock, since several collectors may
// start at once. Where nothing is to be done it needs no right but to read the catalog and `spillway.schema_version`.

import LinuxSystem
import MetricKinds

/// Makes and inspects the schema over a connection that is not in a transaction.
public struct SchemaManager {
    let connection: DatabaseConnection
    let now: () -> Int64

    /// - Parameter now: microseconds since the Unix epoch; tests set it.
    public init(_ connection: DatabaseConnection, now: @escaping () -> Int64 = wallClockMicroseconds) {
        self.connection = connection
        self.now = now
    }

    var today: UTCDay { UTCDay(microseconds: now()) }

    /// Makes what is missing. May be repeated, and run by several programs at once.
    ///
    /// - Returns: the state afterwards, with what was made and what the operator should know.
    /// - Throws: `.schemaTooNew` for a database of a later program; `.server` with 42501 where rights are missing for
    ///   something that has to be made.
    @discardableResult
    public func apply(daysAhead: Int = SchemaSQL.defaultDaysAhead) throws(DatabaseError) -> SchemaReport {
        var report = try status()
        try refuseNewer(report)
        if !report.isComplete {
            var changes: [String] = []
            var warnings: [String] = []
            if let warning = try createExtension() { warnings.append(warning) }
            changes += try connection.inTransaction { () throws(DatabaseError) in try migrate(daysAhead: daysAhead) }
            report = try status()
            report.changes = changes
            report.warnings += warnings
        }
        let ahead = try ensurePartitionsAhead(days: daysAhead)
        if !ahead.created.isEmpty {
            let before = report
            report = try status()
            report.changes = before.changes + ahead.created
            report.warnings = before.warnings
        }
        report.warnings += ahead.warnings
        return report
    }

    private func refuseNewer(_ report: SchemaReport) throws(DatabaseError) {
        guard let found = report.version, found > SchemaSQL.version else { return }
        throw DatabaseError(
            .schemaTooNew(found: found, known: SchemaSQL.version), location: connection.location.description,
            operation: "checking the schema")
    }

    private func takeLock() throws(DatabaseError) {
        try connection.execute("SELECT pg_advisory_xact_lock(\(SchemaSQL.advisoryLock))")
    }

    /// What is missing, once the lock is held: another program may have made it meanwhile.
    private func migrate(daysAhead: Int) throws(DatabaseError) -> [String] {
        try takeLock()
        let report = try status()
        try refuseNewer(report)
        guard !report.isComplete else { return [] }

        var changes: [String] = []
        // CREATE SCHEMA IF NOT EXISTS wants the right to create one even where it is there.
        let present = try connection.query("SELECT nspname FROM pg_catalog.pg_namespace").compactMap { $0[0] }
        for schema in SchemaSQL.schemas where !present.contains(schema) {
            try connection.execute(SchemaSQL.createSchema(schema))
            changes.append("schema \(schema)")
        }
        let target = SchemaSQL.Target(
            flavour: layoutFlavour(report), timescaleSchema: report.server.timescaleSchema, today: today,
            daysAhead: daysAhead,
            // The others may be in use, and a repeated CREATE INDEX locks its table.
            kinds: MetricKind.allCases.filter { kind in
                report.tables.contains { $0.name == SchemaSQL.table(kind) && $0.layout == .missing }
            })
        for migration in SchemaSQL.migrations {
            for statement in migration.statements(target) { try connection.execute(statement) }
            try connection.execute(SchemaSQL.recordVersion(migration))
        }
        changes += report.missingCollectorTables.map { "table \($0)" }
        changes += report.tables.filter { $0.layout == .missing }.map { "table \($0.name)" }
        if report.version != SchemaSQL.version { changes.append("schema version \(SchemaSQL.version)") }
        return changes
    }

    /// Tables that have native partitions keep them when TimescaleDB comes later: a partitioned table cannot become a
    /// hypertable, and two layouts side by side would be worse than one.
    func layoutFlavour(_ report: SchemaReport) -> Flavour {
        report.tables.contains { $0.layout == .partitioned } ? .plain : report.server.flavour
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
                    WHERE n.nspname = '\(MetricKind.schemaName)' AND c.relkind = 'p')
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
                try connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            }
            return nil
        } catch {
            guard error.sqlstate == .insufficientPrivilege else { throw error }
            return "TimescaleDB is offered but this user may not create it, so the tables get native partitions: "
                + "let a superuser run CREATE EXTENSION timescaledb first to have hypertables"
        }
    }
}
