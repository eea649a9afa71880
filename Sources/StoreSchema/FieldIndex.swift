// Indexes that an operator wants besides the one on time, for a field that rows are looked for by.

import MetricKinds
import Postgres

/// An index on a field of a kind, `routing=query_id`.
public struct FieldIndex: Equatable, Sendable, CustomStringConvertible {
    public let kind: MetricKind
    public let column: MetricColumn

    /// - Throws: what is wrong with the text.
    public init(_ text: String) throws(PolicyError) {
        guard let equals = text.firstIndex(of: "=") else {
            throw PolicyError("'\(text)': an index is KIND=FIELD, for example routing=query_id")
        }
        let name = String(text[..<equals])
        guard let kind = MetricKind(name: name) else {
            let known = MetricKind.allCases.map(\.name).joined(separator: ", ")
            throw PolicyError("'\(text)': there is no kind '\(name)'; there are \(known)")
        }
        let field = String(text[text.index(after: equals)...])
        guard let index = kind.columnIndex(named: field) else {
            let known = kind.columns.map(\.name).joined(separator: ", ")
            throw PolicyError("'\(text)': \(kind.name) has no field '\(field)'; it has \(known)")
        }
        self.kind = kind
        column = kind.columns[index]
    }

    public var description: String { "\(kind.name)=\(column.name)" }

    /// The server chooses the name, since the obvious one may be taken. The time after the field: newest rows of a value first.
    package var statement: String { "CREATE INDEX ON \(SchemaSQL.table(kind)) (\(column.name), time)" }
}

extension SchemaManager {
    /// Creates the indexes that are missing: a valid index whose first column is the field will do, whoever made it. While one is
    /// built, writes to its table wait.
    ///
    /// - Returns: what was created, one line each.
    /// - Throws: 42501 for a user that does not own the table.
    public func createIndexes(_ indexes: [FieldIndex]) throws(DatabaseError) -> [String] {
        var created: [String] = []
        for index in indexes {
            let isCreated = try connection.inTransaction { () throws(DatabaseError) -> Bool in
                try connection.execute("SELECT pg_advisory_xact_lock(\(SchemaSQL.advisoryLock))")
                let rows = try connection.query(
                    """
                    SELECT EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a
                        ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                        WHERE i.indrelid = pg_catalog.to_regclass($1) AND a.attname = $2 AND i.indisvalid AND i.indpred IS NULL)
                    """, [SchemaSQL.table(index.kind), index.column.name],
                    operation: "looking for the index on \(index)")
                guard rows.first?.first == "f" else { return false }
                try connection.execute(index.statement, operation: "creating the index on \(index)")
                return true
            }
            if isCreated { created.append("index on \(index.column.name) of \(SchemaSQL.table(index.kind))") }
        }
        return created
    }
}
