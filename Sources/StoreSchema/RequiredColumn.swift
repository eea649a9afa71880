// The columns that the rows of a kind are made for, and their types.

import MetricKinds

/// A column that a kind's rows have.
package struct RequiredColumn: Equatable {
    package let name: String
    /// The type's name in the server's words.
    package let type: String
    /// The ids of the types whose binary form is the one that is sent. Types of `pg_catalog` keep their ids for ever.
    package let typeIDs: Set<UInt32>

    /// In the order of the rows.
    package static func all(_ kind: MetricKind) -> [RequiredColumn] {
        [RequiredColumn(name: "time", type: "timestamp with time zone", typeIDs: [1184])]
            + kind.columns.map { column in
                RequiredColumn(
                    name: column.name, type: column.type.sqlName.lowercased(), typeIDs: typeIDs(column.type))
            }
            + ["tags", "metadata"].map { RequiredColumn(name: $0, type: "jsonb", typeIDs: [3802]) }
    }

    /// What makes a column of another type into this one.
    package func correction(of kind: MetricKind) -> String {
        "ALTER TABLE \(SchemaSQL.table(kind)) ALTER COLUMN \(name) TYPE \(type) USING \(name)::\(type)"
    }

    private static func typeIDs(_ type: ColumnType) -> Set<UInt32> {
        switch type {
        // `varchar` has the form of `text`.
        case .text: [25, 1043]
        case .bool: [16]
        case .int32: [23]
        case .int64: [20]
        case .float32: [700]
        case .float64: [701]
        }
    }
}
