// Which of the three kinds of database this is, and what that makes of the tables.

import Postgres

/// What the server offers.
public enum Flavour: String, Sendable, CaseIterable {
    /// TimescaleDB under the Timescale licence: compression, policies and continuous aggregates as well.
    case timescaleCommunity = "timescaledb-community"
    /// TimescaleDB under the Apache licence: hypertables and `time_bucket`; the rest answers SQLSTATE 0A000.
    case timescaleApache = "timescaledb-apache"
    /// PostgreSQL by itself: native partitions.
    case plain = "postgresql"

    public var hasHypertables: Bool { self != .plain }
}

/// A server's flavour and versions.
public struct ServerIdentity: Equatable, Sendable, CustomStringConvertible {
    public let flavour: Flavour
    /// For example `15.18 (Debian 15.18-0+deb12u1)`.
    public let postgresVersion: String
    /// For example `2.19.3`; nil without TimescaleDB.
    public let timescaleVersion: String?
    /// The schema of TimescaleDB's functions, quoted where SQL needs it.
    package let timescaleSchema: String?

    /// Whether TimescaleDB is there in this version or a later one.
    package func isTimescale(atLeast major: Int, _ minor: Int) -> Bool {
        let numbers = (timescaleVersion ?? "").split { !("0"..."9").contains($0) }.prefix(2).compactMap { Int($0) }
        guard numbers.count == 2 else { return false }
        return (numbers[0], numbers[1]) >= (major, minor)
    }

    /// Whether a COPY can go into the columnstore without the rows being stored as such before.
    public var compressesDirectly: Bool { flavour == .timescaleCommunity && isTimescale(atLeast: 2, 21) }

    public var description: String {
        let base = "PostgreSQL \(postgresVersion)"
        guard let timescaleVersion else { return base }
        return "\(base), TimescaleDB \(timescaleVersion) (\(flavour == .timescaleApache ? "Apache" : "Community"))"
    }
}

extension ServerIdentity {
    /// Asks the server. Changes nothing.
    public static func detect(_ connection: DatabaseConnection) throws(DatabaseError) -> ServerIdentity {
        let rows = try connection.query(
            """
            SELECT current_setting('server_version'), e.extversion, quote_ident(n.nspname)
            FROM (SELECT 1) one
            LEFT JOIN pg_catalog.pg_extension e ON e.extname = 'timescaledb'
            LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
            """, operation: "looking for TimescaleDB")
        let postgres = rows.first?[0] ?? "unknown"
        guard connection.serverVersionNumber >= DatabaseConnection.oldestServerVersion else {
            throw DatabaseError(
                .unexpectedReply(reason: "version \(postgres), and PostgreSQL 15 is the oldest that will do: upgrade"),
                location: connection.location.description, operation: "asking for the version")
        }
        guard let version = rows.first?[1], let schema = rows.first?[2] else {
            return ServerIdentity(
                flavour: .plain, postgresVersion: postgres, timescaleVersion: nil, timescaleSchema: nil)
        }
        let license = try connection.query("SHOW timescaledb.license").first?.first ?? nil
        return ServerIdentity(
            flavour: license == "apache" ? .timescaleApache : .timescaleCommunity, postgresVersion: postgres,
            timescaleVersion: version, timescaleSchema: schema)
    }
}
