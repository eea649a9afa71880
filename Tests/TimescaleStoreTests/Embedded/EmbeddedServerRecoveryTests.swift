// Starts on what an earlier run, a restart of the machine or an operator left.

import Foundation
import LinuxSystem
import TestSupport
import Testing

@testable import TimescaleStore

@Suite(.serialized) struct EmbeddedServerRecoveryTests {
    private let plain: EmbeddedServer.Programs

    init() throws { plain = try TestServers.programs(.plain) }

    /// A server that holds the table t with 42, stopped.
    private func stopped(_ name: String) throws -> EmbeddedServer {
        let server = try EmbeddedFixture.server(name, programs: plain)
        try server.start()
        defer { server.stop() }
        try DatabaseConnection(server.location).execute("CREATE TABLE t AS SELECT 42 AS a")
        return server
    }

    private func rows(_ server: EmbeddedServer) throws -> [[String?]] {
        try DatabaseConnection(server.location).query("SELECT a FROM t")
    }

    @Test func dataKeepsItsVersionWhenANewerOneIsInstalled() throws {
        _ = try TestServers.programs(.timescale)
        let path = try stopped("newer").directory.path
        let server = try EmbeddedFixture.server("newer", programs: nil)
        #expect(server.directory.path == path && server.programs == plain)
        try server.start()
        defer { server.stop() }
        #expect(try rows(server) == [["42"]])
    }

    @Test func aMissingTimescaleFolderIsNamed() throws {
        let server = try EmbeddedFixture.server("rootless", programs: TestServers.programs(.timescale))
        try server.start()
        server.stop()
        let missing = "\(server.directory.path)-no-root"
        let error = try EmbeddedFixture.refusal {
            let server = try EmbeddedFixture.server(
                "rootless", programs: nil, environment: ["SPILLWAY_TIMESCALEDB_ROOT": missing])
            try server.start()
        }
        #expect(error.contains(missing) && !error.contains("\n"))
    }
}
