// What TimescaleDB does by itself for a hypertable, and the statements that bring it to what a policy says.

import MetricKinds

/// What is to be done to a schema: statements in their order, and in words.
package struct SchemaPlan: Equatable, Sendable {
    private(set) var statements: [String] = []
    private(set) var changes: [String] = []

    package mutating func add(_ statement: String, _ change: String? = nil) {
        statements.append(statement)
        if let change { changes.append(change) }
    }

    package mutating func note(_ change: String) { changes.append(change) }
}

/// How the functions of this TimescaleDB are called.
package struct HypertableFunctions: Sendable {
    /// Schema and dot, or nothing where the search path finds them.
    package let prefix: String
    /// The columnstore's own functions, from version 2.18; before it those of compression.
    package let hasColumnstore: Bool

    package init(schema: String? = nil, hasColumnstore: Bool = true) {
        prefix = schema.map { $0 + "." } ?? ""
        self.hasColumnstore = hasColumnstore
    }

    package init(_ server: ServerIdentity) {
        self.init(schema: server.timescaleSchema, hasColumnstore: server.isTimescale(atLeast: 2, 18))
    }
}

/// A hypertable's settings and jobs.
package struct HypertableState: Equatable, Sendable {
    /// Nil for one that was made just now, with its policy's interval.
    package var chunkInterval: StoreInterval?
    package var isCompressing = false
    package var compressAfter: StoreInterval?
    package var dropAfter: StoreInterval?

    /// Adds what is to be done so that the policy holds. Compression and policies are for the Community edition alone.
    package func plan(
        _ policy: TablePolicy, _ kind: MetricKind, _ functions: HypertableFunctions, hasJobs: Bool = true,
        into plan: inout SchemaPlan
    ) {
        let table = SchemaSQL.table(kind)
        let prefix = functions.prefix
        if let chunkInterval, chunkInterval != policy.chunkInterval {
            plan.add(
                "SELECT \(prefix)set_chunk_time_interval('\(table)', \(policy.chunkInterval.sql))",
                "new chunks of \(table) have \(policy.chunkInterval)")
        }
        guard hasJobs else { return }
        if policy.compressAfter != nil, !isCompressing {
            plan.add(compression(kind, functions))
        }
        if compressAfter != policy.compressAfter {
            if compressAfter != nil {
                plan.add(
                    functions.hasColumnstore
                        ? "CALL \(prefix)remove_columnstore_policy('\(table)', if_exists => true)"
                        : "SELECT \(prefix)remove_compression_policy('\(table)', if_exists => true)",
                    policy.compressAfter == nil ? "\(table) is not compressed any more" : nil)
            }
            if let after = policy.compressAfter {
                plan.add(
                    functions.hasColumnstore
                        ? "CALL \(prefix)add_columnstore_policy('\(table)', after => \(after.sql), if_not_exists => true)"
                        : "SELECT \(prefix)add_compression_policy('\(table)', \(after.sql), if_not_exists => true)",
                    "\(table) is compressed after \(after)")
            }
        }
        if dropAfter != policy.dropAfter {
            if dropAfter != nil {
                plan.add(
                    "SELECT \(prefix)remove_retention_policy('\(table)', if_exists => true)",
                    policy.dropAfter == nil ? "\(table) keeps its rows" : nil)
            }
            if let after = policy.dropAfter {
                plan.add(
                    "SELECT \(prefix)add_retention_policy('\(table)', \(after.sql), if_not_exists => true)",
                    "\(table) drops its rows after \(after)")
            }
        }
    }

    private func compression(_ kind: MetricKind, _ functions: HypertableFunctions) -> String {
        let names =
            functions.hasColumnstore
            ? ("enable_columnstore", "segmentby", "orderby") : ("compress", "compress_segmentby", "compress_orderby")
        return "ALTER TABLE \(SchemaSQL.table(kind)) SET (timescaledb.\(names.0) = true, "
            + "timescaledb.\(names.1) = '\(kind.segmentColumn)', timescaledb.\(names.2) = 'time DESC')"
    }
}
