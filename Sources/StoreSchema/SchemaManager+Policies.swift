// The policies as the database keeps them, and the state of its hypertables.

import MetricKinds
import Postgres

extension SchemaManager {
    /// What was decided for each table, without those for which nothing was; nil where this user may not read it or a later
    /// migration is to make it.
    package func policies() throws(DatabaseError) -> [MetricKind: TablePolicy]? {
        try keptPolicies()?.mapValues(\.policy)
    }

    /// A policy as the database has it.
    package struct KeptPolicy {
        var policy: TablePolicy
        /// TimescaleDB's jobs were made to follow it. What they say now is the operator's word then.
        var isApplied = false
    }

    private func keptPolicies() throws(DatabaseError) -> [MetricKind: KeptPolicy]? {
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
                \(Self.hours("drop_after")), is_applied
            FROM spillway.table_policies
            """, operation: "reading the policies")
        var found: [MetricKind: KeptPolicy] = [:]
        for row in rows {
            guard let kind = MetricKind.allCases.first(where: { $0.tableName == row[0] }),
                let chunk = Self.interval(row[1])
            else { continue }
            found[kind] = KeptPolicy(
                policy: TablePolicy(
                    chunkInterval: chunk, compressAfter: Self.interval(row[2]), dropAfter: Self.interval(row[3])),
                isApplied: row[4] == "t")
        }
        return found
    }

    private static func hours(_ interval: String) -> String { "ceil(extract(epoch FROM \(interval)) / 3600)::bigint" }

    /// What a collector's settings say and the database does not keep: another collector, or an operator, has decided otherwise
    /// since, and the database holds. One line.
    public func policyConflicts(with changes: PolicyChanges) throws(DatabaseError) -> [String] {
        guard !changes.isEmpty, let kept = try policies() else { return [] }
        let differing = SchemaSQL.kindsByTable.compactMap { kind -> String? in
            guard let policy = kept[kind] else { return nil }
            let wanted = changes.apply(to: policy, of: kind)
            return wanted == policy ? nil : "\(SchemaSQL.table(kind)): \(policy); the settings: \(wanted)"
        }
        guard let first = differing.first else { return [] }
        let more = differing.count > 1 ? " and \(differing.count - 1) more tables" : ""
        return [
            "this collector's settings are not what the database keeps, which holds (\(first)\(more)): let all collectors of "
                + "the database have the same settings, or set it with 'spillway schema apply'"
        ]
    }

    /// A warning where this machine's clock and the database's are far apart.
    public func clockWarning(localMicroseconds: Int64) throws(DatabaseError) -> String? {
        try DatabaseClock.earlier(of: localMicroseconds, connection).warning.map {
            "\($0): correct them; the times of records are judged by this machine's"
        }
    }

    /// Whole hours, rounded up: somebody may have given TimescaleDB's job minutes.
    private static func interval(_ text: String?) -> StoreInterval? {
        // Nobody means to drop everything at once.
        text.flatMap { Int($0) }.flatMap { $0 > 0 ? StoreInterval(hours: min($0, StoreInterval.hoursMax)) : nil }
    }

    /// The settings of the kinds' hypertables; empty without TimescaleDB.
    package func hypertableStates(_ server: ServerIdentity) throws(DatabaseError) -> [MetricKind: HypertableState] {
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

    /// Adds what keeps the tables from following their policies.
    ///
    /// What an operator does to a table with TimescaleDB's own functions counts as a decision: it is taken over, not undone.
    ///
    /// - Parameter changes: what the operator wants other than it is.
    package func planPolicies(
        _ report: SchemaReport, _ changes: PolicyChanges, into plan: inout SchemaPlan
    ) throws(DatabaseError) {
        let kept = try keptPolicies()
        let isNew = report.missingCollectorTables.contains("spillway.table_policies")
        // Whoever may not read what was decided changes nothing of it, unless told to: then the database says no.
        guard kept != nil || isNew || !changes.isEmpty else { return }
        let states = try hypertableStates(report.server)
        let isCommunity = report.server.flavour == .timescaleCommunity
        for kind in MetricKind.allCases {
            let name = SchemaSQL.table(kind)
            let layout = report.tables.first { $0.name == name }?.layout ?? .missing
            guard layout != .occupied else { continue }
            var before = kept?[kind] ?? KeptPolicy(policy: .standard(kind))
            let isKept = kept?[kind] != nil
            if !isKept, layout != .missing {
                // As the migration has it for tables from before there were policies: nobody decided to drop a row.
                before = KeptPolicy(policy: TablePolicy(), isApplied: true)
            }
            let state = states[kind]
            var actual = before.policy
            if let state, layout == .hypertable {
                actual.chunkInterval = state.chunkInterval ?? actual.chunkInterval
                if isCommunity, before.isApplied {
                    (actual.compressAfter, actual.dropAfter) = (state.compressAfter, state.dropAfter)
                }
            }
            let wanted = changes.apply(to: actual, of: kind)
            let isHypertable =
                layout == .hypertable || layout == .missing && layoutFlavour(report).hasHypertables
            let hasJobs = isCommunity && isHypertable
            if wanted != before.policy || hasJobs && !before.isApplied || kept != nil && !isKept {
                plan.add(
                    SchemaSQL.setPolicy(kind, wanted, isApplied: hasJobs || before.isApplied && wanted == actual),
                    wanted == before.policy
                        ? nil : "policy of \(name): \(isHypertable ? "\(wanted)" : wanted.withoutHypertables)")
            }
            guard isHypertable else { continue }
            let from = state ?? HypertableState(chunkInterval: TablePolicy.standard(kind).chunkInterval)
            from.plan(wanted, kind, HypertableFunctions(report.server), hasJobs: isCommunity, into: &plan)
        }
    }
}

extension TablePolicy: CustomStringConvertible {
    public var description: String {
        "chunks of \(chunkInterval), compressed \(compressAfter.map { "after \($0)" } ?? "never"), "
            + dropped
    }

    private var dropped: String { "dropped \(dropAfter.map { "after \($0)" } ?? "never")" }

    /// As far as a table without TimescaleDB can follow it.
    package var withoutHypertables: String {
        let chunks =
            chunkInterval == StoreInterval(hours: 24)
            ? "" : " (chunks of \(chunkInterval) need TimescaleDB, and count once it is there)"
        return "partitions of a day\(chunks), \(dropped)"
    }
}
