// Reading the state of the database. Names, sizes and estimates come from the catalog, which everybody may read; what
// needs a right is asked for in a transaction of its own, so that a refusal costs no more than its own answer.

import MetricKinds
import Postgres
import StoreSchema

extension StoreQueries {
    /// What is stored, and how much room it takes.
    ///
    /// - Parameter countsRows: counts every row instead of taking the server's estimates, which reads every table.
    /// - Complexity: without counting, a few index lookups for each chunk.
    public func overview(countsRows: Bool = false) throws(DatabaseError) -> DatabaseOverview {
        var overview = DatabaseOverview(
            server: server, schemaVersion: nil, kinds: [], collector: [], jobs: nil, hidden: [])
        var found = try tables()
        let hypertables = try hypertables()
        for kind in MetricKind.allCases {
            guard var listed = found.removeValue(forKey: SchemaSQL.table(kind)) else {
                overview.kinds.append(Self.missing(SchemaSQL.table(kind)))
                continue
            }
            if hypertables.contains(listed.table.name) { try complete(hypertable: &listed, &overview.hidden) }
            if listed.table.layout == .ordinary { listed.table.parts = nil }
            try readTimes(&listed, &overview.hidden)
            try countRows(&listed, countsRows, &overview.hidden)
            overview.kinds.append(listed.table)
        }
        for var listed in found.values.filter({ $0.table.name.hasPrefix("spillway.") }) {
            listed.table.parts = nil
            try countRows(&listed, countsRows, &overview.hidden)
            overview.collector.append(listed.table)
        }
        overview.collector.sort { $0.name < $1.name }
        overview.schemaVersion = try schemaVersion(overview.collector, &overview.hidden)
        if server.flavour == .timescaleCommunity { overview.jobs = try jobs(&overview.hidden) }
        return overview
    }

    private static func missing(_ name: String) -> DatabaseOverview.Table {
        DatabaseOverview.Table(
            name: name, layout: .missing, rows: 0, size: DatabaseOverview.Size(table: 0, index: 0, toast: 0))
    }

    /// A table and what is needed to ask further.
    struct Listed {
        let id: String
        var table: DatabaseOverview.Table
    }

    /// All tables of both schemas by name. Chunks and partitions alike are children of their table.
    private func tables() throws(DatabaseError) -> [String: Listed] {
        let rows = try reading { () throws(DatabaseError) in
            try connection.query(
                """
                WITH RECURSIVE leaf(root, id) AS (
                    SELECT c.oid, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname IN ('\(SchemaSQL.schemas.joined(separator: "', '"))') AND c.relkind IN ('r', 'p')
                        AND NOT c.relispartition
                    UNION ALL
                    SELECT leaf.root, i.inhrelid FROM leaf JOIN pg_inherits i ON i.inhparent = leaf.id
                ), part AS (
                    SELECT leaf.root, c.oid <> leaf.root AS is_child, c.relkind,
                        CASE WHEN c.relkind = 'r'
                            THEN greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid), 0) ELSE 0 END AS tuples,
                        coalesce(pg_table_size(c.oid), 0) AS heap_and_toast,
                        coalesce(pg_indexes_size(c.oid), 0) AS index,
                        CASE WHEN c.reltoastrelid = 0 THEN 0
                            ELSE coalesce(pg_total_relation_size(c.reltoastrelid), 0) END AS toast
                    FROM leaf JOIN pg_class c ON c.oid = leaf.id
                )
                SELECT n.nspname || '.' || r.relname, r.oid, r.relkind, sum(p.tuples)::bigint,
                    sum(p.heap_and_toast - p.toast)::bigint, sum(p.index)::bigint, sum(p.toast)::bigint,
                    count(*) FILTER (WHERE p.is_child AND p.relkind <> 'p')
                FROM part p JOIN pg_class r ON r.oid = p.root JOIN pg_namespace n ON n.oid = r.relnamespace
                GROUP BY 1, 2, 3
                """, operation: "listing the tables")
        }
        var found: [String: Listed] = [:]
        for row in rows {
            guard let name = row[0], let id = row[1] else { continue }
            let numbers = row[3...7].map { $0.flatMap { Int64($0) } ?? 0 }
            found[name] = Listed(
                id: id,
                table: DatabaseOverview.Table(
                    name: name, layout: row[2] == "p" ? .partitioned : .ordinary, rows: numbers[0],
                    size: DatabaseOverview.Size(table: numbers[1], index: numbers[2], toast: numbers[3]),
                    parts: Int(numbers[4])))
        }
        return found
    }

    private func schemaVersion(
        _ collector: [DatabaseOverview.Table], _ hidden: inout [String]
    ) throws(DatabaseError) -> Int? {
        let name = "spillway.schema_version"
        guard collector.contains(where: { $0.name == name }) else { return nil }
        let rows = try allowed("the schema's version, in \(name)", &hidden) { () throws(DatabaseError) in
            try connection.query("SELECT max(version) FROM \(name)")
        }
        return rows?.first?[0].flatMap { Int($0) }
    }

    // MARK: what needs the right to read a table

    /// Index lookups, one for each chunk or partition at most.
    private func readTimes(_ listed: inout Listed, _ hidden: inout [String]) throws(DatabaseError) {
        let name = listed.table.name
        let rows = try allowed("the first and the last time of \(name)", &hidden) { () throws(DatabaseError) in
            try connection.query(Self.timesSQL(name), operation: "reading the first and the last time of \(name)")
        }
        listed.table.earliest = rows?.first?[0].flatMap { Int64($0) }
        listed.table.latest = rows?.first?[1].flatMap { Int64($0) }
    }

    static func timesSQL(_ table: String) -> String {
        """
        SELECT \(SQLTime.microseconds("min(r.time)")), \(SQLTime.microseconds("max(r.time)"))
        FROM \(table) r HAVING min(r.time) IS NOT NULL
        """
    }

    private func countRows(
        _ listed: inout Listed, _ isWanted: Bool, _ hidden: inout [String]
    ) throws(DatabaseError) {
        guard isWanted else { return }
        let name = listed.table.name
        // Anybody's table may stand in the collector's schema: its name is quoted, part by part.
        let parts = name.split(separator: ".", maxSplits: 1).map { "\"" + $0.replacing("\"", with: "\"\"") + "\"" }
        let table = parts.joined(separator: ".")
        let rows = try allowed("the number of rows of \(name)", &hidden) { () throws(DatabaseError) in
            try connection.query("SELECT count(*) FROM \(table)", operation: "counting \(name)")
        }
        guard let count = rows?.first?[0].flatMap({ Int64($0) }) else { return }
        listed.table.rows = count
        listed.table.rowsAreExact = true
    }

    /// Runs `body`, and notes what it would have told when this user has not the right for it.
    func allowed(
        _ what: String, _ hidden: inout [String], _ body: () throws(DatabaseError) -> [[String?]]
    ) throws(DatabaseError) -> [[String?]]? {
        do {
            return try reading(body)
        } catch {
            guard error.sqlstate == .insufficientPrivilege, connection.isUsable else { throw error }
            hidden.append("\(what): this user may not read it")
            return nil
        }
    }
}
