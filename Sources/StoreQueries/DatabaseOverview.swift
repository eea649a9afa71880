// What is stored, how much of it, and how much room it takes.

import StoreSchema

/// The state of a database. What this user may not see is nil, and `hidden` says so.
public struct DatabaseOverview: Equatable, Sendable {
    /// Bytes on disk, chunks and partitions included.
    public struct Size: Equatable, Sendable {
        /// Rows that lie in the table itself.
        public var table: Int64
        public var index: Int64
        /// Values that are too large for their row, and compressed columns.
        public var toast: Int64
        public var total: Int64 { table + index + toast }
    }

    /// What compression made of the chunks that it was applied to.
    public struct Compression: Equatable, Sendable {
        public let chunks: Int
        /// Nil while no chunk is compressed.
        public let beforeBytes: Int64?
        public let afterBytes: Int64?
        /// Before to after: 10 means that a tenth is left.
        public var ratio: Double? {
            guard let beforeBytes, let afterBytes, afterBytes > 0 else { return nil }
            return Double(beforeBytes) / Double(afterBytes)
        }
    }

    /// A table of a kind, or of the collector's own.
    public struct Table: Equatable, Sendable {
        /// With its schema, for example `metrics.routing_metrics`.
        public let name: String
        public internal(set) var layout: SchemaReport.Layout
        /// By the server's statistics, unless `rowsAreExact`.
        public internal(set) var rows: Int64
        public internal(set) var rowsAreExact = false
        /// The first and the last time, in microseconds since the Unix epoch; nil without rows, without the right to
        /// read, and for tables that have no column `time`.
        public internal(set) var earliest: Int64?
        public internal(set) var latest: Int64?
        public internal(set) var size: Size
        /// Chunks or partitions; nil for a table that is stored in one piece.
        public internal(set) var parts: Int?
        /// Nil where the flavour has no compression.
        public internal(set) var compression: Compression?
    }

    /// Work that TimescaleDB does by itself.
    public struct Job: Equatable, Sendable {
        public let id: Int64
        public let name: String
        /// With its schema; nil for a job of the whole database.
        public let table: String?
        public let intervalSeconds: Double?
        /// Whether it runs at its times; false when somebody paused it.
        public let isScheduled: Bool
        /// `Success` or `Failed`; nil before its first run.
        public let lastStatus: String?
        /// Microseconds since the Unix epoch, as the next.
        public let lastStart: Int64?
        public let nextStart: Int64?
        public let failures: Int64
    }

    public internal(set) var server: ServerIdentity
    /// Of the schema; nil when there is none, or none that may be read.
    public internal(set) var schemaVersion: Int?
    /// Those of the kinds in the order of their ids, missing ones too.
    public internal(set) var kinds: [Table]
    /// Those of schema `spillway`, by name.
    public internal(set) var collector: [Table]
    /// Nil where the flavour has none.
    public internal(set) var jobs: [Job]?
    /// What this user may not see, one line each.
    public internal(set) var hidden: [String]
}
