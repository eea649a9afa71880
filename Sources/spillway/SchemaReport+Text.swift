// A schema's report for people and for scripts.

import TimescaleStore

extension SchemaReport {
    /// A table with a line for each kind.
    var text: String {
        var out = "server   \(server)\nversion  \(version.map(String.init) ?? "none") of \(SchemaSQL.version)\n\n"
        let width = tables.map(\.name.count).max() ?? 0
        for table in tables {
            out += table.name + String(repeating: " ", count: width - table.name.count) + "  \(table.layout.rawValue)"
            out += table.layout == .missing ? "" : ", about \(max(table.rowsEstimated, 0)) rows"
            if let ahead = table.partitionsAhead { out += ", partitions for \(ahead) days ahead" }
            if let rows = table.defaultPartitionRows, rows > 0 { out += ", \(rows) rows in the default partition" }
            out += "\n"
        }
        for name in missingCollectorTables { out += "\(name)  missing\n" }
        for line in changes { out += "made     \(line)\n" }
        for line in warnings { out += "warning  \(line)\n" }
        return out
    }

    /// One JSON object.
    var json: String {
        let rows = tables.map { table in
            """
                {"name": "\(table.name)", "layout": "\(table.layout.rawValue)", "rows_estimated": \(table.rowsEstimated), \
            "default_partition_rows": \(table.defaultPartitionRows.map { "\($0)" } ?? "null"), \
            "partitions_ahead": \(table.partitionsAhead.map { "\($0)" } ?? "null")}
            """
        }
        func list(_ lines: [String]) -> String { "[" + lines.map(quotedJSON).joined(separator: ", ") + "]" }
        return """
            {
              "server": \(quotedJSON("\(server)")),
              "flavour": "\(server.flavour.rawValue)",
              "version": \(version.map { "\($0)" } ?? "null"),
              "version_of_program": \(SchemaSQL.version),
              "complete": \(isComplete),
              "tables": [
            \(rows.joined(separator: ",\n"))
              ],
              "missing": \(list(missingCollectorTables)),
              "changes": \(list(changes)),
              "warnings": \(list(warnings))
            }

            """
    }
}

/// A text as a JSON string. Reports hold what the program and the server say, without control characters.
private func quotedJSON(_ text: String) -> String {
    let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: " ")
    return "\"\(escaped)\""
}
