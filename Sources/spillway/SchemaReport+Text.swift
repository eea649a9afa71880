// A schema's report for people and for scripts.

import StoreSchema
import Text

extension SchemaReport {
    /// A table with a line for each kind.
    var text: String {
        var out = "server   \(server)\nversion  \(version.map(String.init) ?? "none") of \(versionOfProgram)\n\n"
        var rows = [["TABLE", "LAYOUT", "ROWS ABOUT", "CHUNKS", "COMPRESSED", "DROPPED", ""]]
        for table in tables {
            var notes: [String] = []
            if let ahead = table.partitionsAhead { notes.append("partitions for \(ahead) days ahead") }
            if let rows = table.defaultPartitionRows, rows > 0 { notes.append("\(rows) rows in the default partition") }
            if !table.missingColumns.isEmpty {
                notes.append("columns missing: \(table.missingColumns.joined(separator: ", "))")
            }
            rows.append([
                table.name, table.layout.rawValue,
                table.layout == .missing ? "-" : grouped(UInt64(max(table.rowsEstimated, 0))),
                chunk(table), compressed(table), table.policy?.dropAfter.map { "after \($0)" } ?? "never",
                notes.joined(separator: ", "),
            ])
        }
        out += textTable(rows, rightAligned: [2])
        for name in missingCollectorTables { out += "\(name)  missing\n" }
        for line in changes { out += "made     \(line)\n" }
        for line in warnings { out += "warning  \(line)\n" }
        for line in advice { out += "advice   \(line)\n" }
        if !maintenance.isEmpty { out += "\nlast maintenance\n" }
        for line in maintenance { out += "  \(line)\n" }
        return out
    }

    private func chunk(_ table: Table) -> String {
        switch table.layout {
        case .hypertable: table.policy.map { "\($0.chunkInterval)" } ?? "-"
        case .partitioned: "1d"
        case .missing, .ordinary, .occupied: "-"
        }
    }

    private func compressed(_ table: Table) -> String {
        guard server.flavour == .timescaleCommunity, table.layout == .hypertable else { return "cannot" }
        return table.policy?.compressAfter.map { "after \($0)" } ?? "never"
    }

    /// One JSON object.
    var json: String {
        var object = JSONObject()
        object.add("server", "\(server)")
        object.add("flavour", server.flavour.rawValue)
        object.add("postgresql_version", server.postgresVersion)
        object.add("timescaledb_version", server.timescaleVersion)
        object.add("version", version.map(Int64.init))
        object.add("version_of_program", Int64(versionOfProgram))
        object.add("complete", isComplete)
        object.add("tables", tables.map { $0.jsonObject })
        object.add("missing", missingCollectorTables)
        object.add("changes", changes)
        object.add("warnings", warnings)
        object.add("advice", advice)
        object.add("maintenance", maintenance)
        return object.text + "\n"
    }
}

extension SchemaReport.Table {
    fileprivate var jsonObject: JSONObject {
        var object = JSONObject()
        object.add("name", name)
        object.add("layout", layout.rawValue)
        object.add("rows_estimated", rowsEstimated)
        object.add("default_partition_rows", defaultPartitionRows)
        object.add("partitions_ahead", partitionsAhead.map(Int64.init))
        object.add("missing_columns", missingColumns)
        object.add("chunk_interval_hours", policy.map { Int64($0.chunkInterval.hours) })
        object.add("compress_after_hours", policy?.compressAfter.map { Int64($0.hours) })
        object.add("drop_after_hours", policy?.dropAfter.map { Int64($0.hours) })
        return object
    }
}
