// Names that the program would choose and that other objects have: an operator has renamed a table, whose partitions and indexes
// keep their names, or detached a partition. The program takes another name then (`TakenNames`), and says so here.

import MetricKinds
import Postgres

extension SchemaManager {
    private static let namesShownMax = 3

    /// One line for each table some of whose usual names belong to other objects. Changes nothing.
    package func takenNameWarnings(_ report: SchemaReport) throws(DatabaseError) -> [String] {
        var usual: [MetricKind: [String]] = [:]
        for kind in MetricKind.allCases {
            guard let table = report.tables.first(where: { $0.name == SchemaSQL.table(kind) }) else { continue }
            if table.layout == .partitioned {
                usual[kind, default: []].append(SchemaSQL.defaultPartitionName(kind))
                usual[kind, default: []] += (0...SchemaSQL.defaultDaysAhead).map {
                    SchemaSQL.partitionName(kind, today.advanced(by: $0))
                }
            }
            if table.layout == .partitioned || table.layout == .hypertable {
                usual[kind, default: []].append(SchemaSQL.timeIndexName(kind))
            }
        }
        let owners = try owners(of: usual.values.flatMap(\.self))
        return MetricKind.allCases.compactMap { kind in
            let table = SchemaSQL.table(kind)
            let taken = (usual[kind] ?? []).filter { owners[$0].map { $0 != table } ?? false }
            guard let first = taken.first, let owner = owners[first] else { return nil }
            let shown = taken.prefix(Self.namesShownMax).map { "\(MetricKind.schemaName).\($0)" }
            let more = taken.count > shown.count ? " and \(taken.count - shown.count) more" : ""
            let place = owner.isEmpty ? "objects that are not part of \(table)" : owner
            return
                "the names \(shown.joined(separator: ", "))\(more) belong to \(place), so \(table) uses names with a "
                + "number at their end: rename those objects if the usual names matter"
        }
    }

    /// The tables that objects of these names belong to, as partitions or indexes; empty for one that is by itself.
    private func owners(of names: [String]) throws(DatabaseError) -> [String: String] {
        let rows = try connection.query(
            """
            SELECT c.relname, (
                SELECT format('%I.%I', pn.nspname, p.relname) FROM pg_catalog.pg_class p
                JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
                WHERE p.oid = coalesce(
                    (SELECT x.indrelid FROM pg_catalog.pg_index x WHERE x.indexrelid = c.oid),
                    (SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition)))
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = '\(MetricKind.schemaName)' AND c.relname = ANY ($1::text[])
            """, [PostgreSQLArray.text(names)], operation: "checking the names of partitions and indexes")
        var owners: [String: String] = [:]
        for row in rows {
            if let name = row[0] { owners[name] = row[1] ?? "" }
        }
        return owners
    }
}
