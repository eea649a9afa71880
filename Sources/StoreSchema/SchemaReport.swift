// What a database holds of the schema.

/// The state of the schema, and what `apply` did to it.
public struct SchemaReport: Equatable, Sendable {
    /// How a kind's table is stored.
    public enum Layout: String, Sendable {
        case missing
        case hypertable
        /// Native partitions.
        case partitioned
        /// One table that is neither: somebody else made it. Works, but nothing drops its old rows cheaply.
        case ordinary
        /// Something else has its name, for example a view: `apply` leaves that alone, and the kind's records wait.
        case occupied
    }

    /// A kind's table.
    public struct Table: Equatable, Sendable {
        /// With its schema, for example `metrics.routing_metrics`.
        public let name: String
        public let layout: Layout
        /// From the server's statistics: off by the rows of the last moments, and 0 for a while after a crash.
        public let rowsEstimated: Int64
        /// With its schema; nil without native partitions, and where it is missing.
        public let defaultPartition: String?
        /// Rows of days without a partition, counted up to `defaultRowsCounted`; nil without native partitions.
        public let defaultPartitionRows: Int64?
        /// Days after today that have their partition without a gap; nil without native partitions.
        public let partitionsAhead: Int?
        /// Columns of the kind that the table does not have.
        public let missingColumns: [String]
        /// Nil where nobody decided or this user may not know.
        public let policy: TablePolicy?
    }

    /// Where the counting of a default partition stops.
    public static let defaultRowsCounted: Int64 = 100_000

    public package(set) var server: ServerIdentity
    /// The highest migration in the database; nil when there is none.
    public package(set) var version: Int?
    /// The oldest schema version whose programs can work with this database; nil when it has none.
    public package(set) var versionNeeded: Int?
    /// The schema version that this program makes.
    public let versionOfProgram: Int
    public package(set) var tables: [Table]
    /// False: nobody wants TimescaleDB here, whatever the server offers.
    public package(set) var usesTimescale = true
    /// Of the collector's own tables, those that are not there.
    public package(set) var missingCollectorTables: [String]
    /// What `apply` or `ensurePartitionsAhead` made, one line each.
    public package(set) var changes: [String] = []
    /// How many of them, at the end, are chunks and partitions made ahead: nothing that an operator has to know of.
    public package(set) var madeAhead = 0
    /// One line each.
    public var warnings: [String] = []
    /// Default partitions with the constraint of a change that was interrupted, one line each.
    package var refusingPartitions: [String] = []
    /// Those of the warnings that are about names which other objects have.
    package var nameWarnings: [String] = []
    /// What could be better, one line each.
    public package(set) var advice: [String] = []
    /// What was dropped or pruned last, newest first, one line each.
    public package(set) var maintenance: [String] = []

    /// Whether the program can write all kinds.
    public var isComplete: Bool {
        guard let version, let versionNeeded else { return false }
        return version >= versionOfProgram && versionNeeded <= versionOfProgram && missingCollectorTables.isEmpty
            && !tables.contains {
                $0.layout == .missing || !$0.missingColumns.isEmpty
                    || $0.layout == .partitioned && $0.defaultPartition == nil
            }
    }
}
