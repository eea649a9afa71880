// Two servers with streaming replication, of which each can take over from the other.
//
// Replication is synchronous: a COMMIT is answered when the standby has it. Otherwise a primary that dies takes commits with it
// that were acknowledged already, and no client can know. The setting that says so, `synchronous_standby_names`, is made on the
// primary behind the base backup, so that the standby does not have it: a new primary that waited for the dead one would hang at
// its first COMMIT. Whoever administers a failover has to see to that; here it is set again when there is a standby again.

import Foundation
import Postgres
import TestSupport
import Testing

final class ReplicatedPair {
    static let database = "failover"
    private static let standbyName = "standby"
    private static let waitSeconds = 30.0

    private(set) var primary: HostPostgres
    /// Nil between a failover and the return of the server that was lost.
    private(set) var standby: HostPostgres?
    /// Both, in an order that never changes: what `--database` takes.
    let url: String

    init() throws {
        primary = try HostPostgres()
        try primary.start()
        _ = try primary.makeDatabase(Self.database)
        let second = try HostPostgres(standbyOf: primary, name: Self.standbyName)
        try second.start()
        standby = second
        url = "postgresql://postgres@127.0.0.1:\(primary.port),127.0.0.1:\(second.port)/\(Self.database)"
        try waitForStandby()
    }

    func stop() {
        standby?.stop(SIGQUIT)
        primary.stop(SIGQUIT)
    }

    /// The database on the server that takes writes.
    var location: DatabaseLocation { get throws { try primary.location(database: Self.database) } }

    /// The primary is gone in the middle of what it did.
    ///
    /// - Returns: the port that is free now.
    func killPrimary() -> UInt16 {
        primary.stop(SIGKILL)
        return primary.port
    }

    /// The standby takes over.
    func promoteStandby() throws {
        primary = try #require(standby)
        standby = nil
        try primary.promote()
    }

    /// A standby of the new primary stands where the lost server was.
    func returnAsStandby(_ port: UInt16) throws {
        let server = try HostPostgres(standbyOf: primary, name: Self.standbyName, port: port)
        try server.start()
        standby = server
        try waitForStandby()
    }

    private func waitForStandby() throws {
        let connection = try DatabaseConnection(primary.location())
        try connection.execute("ALTER SYSTEM SET synchronous_standby_names = '\(Self.standbyName)'")
        try connection.execute("SELECT pg_reload_conf()")
        let deadline = Date().addingTimeInterval(Self.waitSeconds)
        while try connection.query("SELECT sync_state FROM pg_stat_replication") != [["sync"]] {
            guard Date() < deadline else { throw CollectorFailure(description: "no standby: \(primary.logText)") }
            usleep(50_000)
        }
    }
}
