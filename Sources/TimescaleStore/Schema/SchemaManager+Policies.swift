// The policies as the database keeps them, and the state of its hypertables.

import MetricKinds

extension SchemaManager {
    /// What was decided for each table; the standard where nothing was, and nil where this user may not read it or a later
    /// migration is to make it.
    func policies() throws(DatabaseError) -> [MetricKind: TablePolicy]? {
        let readable = try connection.query(
            """
            SELECT pg_catalog.has_table_privilege(c.oid, 'SELECT') FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'spillway' AND c.relname = 'table_policies'
                AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
            """, operation: "looking for the policies")
        guard readable.first?.first == "t" else { return nil }
        let rows = try connection.query(
            """
            SELECT table_name, \(Self.hours("chunk_interval")), \(Self.hours("compress_after")),
                \(Self.hours("drop_after"))
            FROM spillway.table_policies
            """, operation: "reading the policies")
        var found = Dictionary(uniqueKeysWithValues: MetricKind.allCases.map { ($0, TablePolicy.standard($0)) })
        for row in rows {
            guard let kind = MetricKind.allCases.first(where: { $0.tableName == row[0] }),
                let chunk = Self.interval(row[1])
            else { continue }
            found[kind] = TablePolicy(
                chunkInterval: chunk, compressAfter: Self.interval(row[2]), dropAfter: Self.interval(row[3]))
        }
        return found
    }

    private static func hours(_ interval: String) -> String { "ceil(extract(epoch FROM \(interval)) / 3600)::bigint" }

    /// Whole hours, rounded up: somebody may have given TimescaleDB's job minutes.
    private static func interval(_ text: String?) -> StoreInterval? {
        text.flatMap { Int($0) }.map { StoreInterval(hours: min(max($0, 1), StoreInterval.hoursMax)) }
    }

    /// The settings of the kinds' hypertables; empty without TimescaleDB.
    func hypertableStates(_ server: ServerIdentity) throws(DatabaseError) -> [MetricKind: HypertableState] {
        guard server.flavour.hasHypertables else { return [:] }
        func job(_ name: String, _ key: String) -> String {
            """
            (SELECT min(\(Self.hours("(j.config ->> '\(key)')::interval")))
                FROM timescaledb_information.jobs j WHERE j.hypertable_schema = h.hypertable_schema
                AND j.hypertable_name = h.hypertable_name AND j.proc_name = '\(name)')
            """
        }
        let rows = try connection.query(
            """
            SELECT h.hypertable_name, \(Self.hours("d.time_interval")), h.compression_enabled,
                \(job("policy_compression", "compress_after")), \(job("policy_retention", "drop_after"))
            FROM timescaledb_information.hypertables h
            JOIN timescaledb_information.dimensions d ON d.hypertable_schema = h.hypertable_schema
                AND d.hypertable_name = h.hypertable_name AND d.dimension_number = 1
            WHERE h.hypertable_schema = '\(MetricKind.schemaName)'
            """, operation: "reading the settings of the hypertables")
        var states: [MetricKind: HypertableState] = [:]
        for row in rows {
            guard let kind = MetricKind.allCases.first(where: { $0.tableName == row[0] }) else { continue }
            states[kind] = HypertableState(
                chunkInterval: Self.interval(row[1]), isCompressing: row[2] == "t",
                compressAfter: Self.interval(row[3]), dropAfter: Self.interval(row[4]))
        }
        return states
    }

    /// What keeps the tables from following their policies.
    ///
    /// - Parameter changes: what the operator wants other than it is.
    func planPolicies(
        _ report: SchemaReport, _ changes: PolicyChanges, into plan: inout SchemaPlan
    ) throws(DatabaseError) {
        let kept = try policies()
        // Whoever may not read what was decided changes nothing of it, unless told to: then the database says no.
        guard kept != nil || report.missingCollectorTables.contains("spillway.table_policies") || !changes.isEmpty
        else {
            return
        }
        let states = try hypertableStates(report.server)
        let functions = HypertableFunctions(report.server)
        let isCommunity = report.server.flavour == .timescaleCommunity
        for kind in MetricKind.allCases {
            let before = kept?[kind] ?? .standard(kind)
            let wanted = changes.apply(to: before, of: kind)
            if wanted != before {
                plan.add(
                    """
                    INSERT INTO spillway.table_policies (table_name, chunk_interval, compress_after, drop_after)
                    VALUES \(SchemaSQL.policyRow(kind, wanted))
                    ON CONFLICT (table_name) DO UPDATE SET chunk_interval = excluded.chunk_interval,
                        compress_after = excluded.compress_after, drop_after = excluded.drop_after,
                        changed_at = now()
                    """,
                    "policy of \(SchemaSQL.table(kind)): \(wanted)")
            }
            let layout = report.tables.first { $0.name == SchemaSQL.table(kind) }?.layout
            switch layout {
            case .hypertable:
                let state = states[kind] ?? HypertableState()
                state.plan(wanted, kind, functions, hasJobs: isCommunity, into: &plan)
            case .missing where layoutFlavour(report).hasHypertables:
                let state = HypertableState(chunkInterval: TablePolicy.standard(kind).chunkInterval)
                state.plan(wanted, kind, functions, hasJobs: isCommunity, into: &plan)
            default: break
            }
        }
    }
}

extension TablePolicy: CustomStringConvertible {
    public var description: String {
        "chunks of \(chunkInterval), compressed \(compressAfter.map { "after \($0)" } ?? "never"), "
            + "dropped \(dropAfter.map { "after \($0)" } ?? "never")"
    }
}
