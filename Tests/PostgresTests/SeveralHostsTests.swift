// Several servers in one location: each has its chance, whatever the others do.

import Foundation
import LinuxSystem
import TestSupport
import Testing

@testable import Postgres

@Suite struct SeveralHostsTests {
    /// A database of the same name on both of the tests' servers, the first of which takes no writes there.
    private func readOnlyAndWritable() throws -> (both: DatabaseLocation, readOnly: DatabaseLocation, writable: Int) {
        let servers = try TestFlavour.local.map { try TestServers.server($0) }
        let name = "hosts_\(UInt32.random(in: 0 ... .max))"
        for (server, isReadOnly) in zip(servers, [true, false]) {
            let connection = try DatabaseConnection(server.location.with(database: "postgres"))
            try connection.execute("CREATE DATABASE \(name)")
            try connection.execute("ALTER DATABASE \(name) SET default_transaction_read_only = \(isReadOnly)")
        }
        let hosts = try servers.map { try #require($0.location.value(of: "host")) }
        let text = { (hosts: [String], ports: [UInt16]) in
            "host=\(hosts.joined(separator: ",")) port=\(ports.map(String.init).joined(separator: ",")) user=postgres "
                + "dbname=\(name) sslmode=disable"
        }
        return (
            try DatabaseLocation(text(hosts, servers.map(\.port))),
            try DatabaseLocation(text([hosts[0]], [servers[0].port])), Int(servers[1].port)
        )
    }

    private func port(_ connection: DatabaseConnection) throws -> Int {
        try #require(try connection.query("SHOW port").first?[0].flatMap { Int($0) })
    }

    private func behind(_ port: UInt16) throws -> (location: DatabaseLocation, password: String) {
        let server = try TestServers.server(.plain)
        let password = try String(contentsOfFile: server.passwordFile, encoding: .utf8).filter { !$0.isWhitespace }
        return (
            try DatabaseLocation(
                "host=127.0.0.1,127.0.0.1 port=\(port),\(server.port) user=postgres password=\(password) "
                    + "dbname=postgres"), password
        )
    }

    private func connectsBehind(_ port: UInt16, withinMilliseconds limit: UInt64) throws {
        let start = monotonicNanoseconds()
        var options = ConnectionOptions()
        options.connectTimeoutMilliseconds = 1_000
        let connection = try DatabaseConnection(behind(port).location, options: options)
        #expect(try self.port(connection) == Int(TestServers.server(.plain).port))
        #expect(monotonicNanoseconds() - start < limit * 1_000_000)
    }

    @Test func aHostThatSaysNothingIsLeftForTheNext() throws {
        let silent = try SilentServer()
        try connectsBehind(silent.port, withinMilliseconds: 5_000)
    }

    @Test func aHostThatSwallowsPacketsIsLeftForTheNext() throws {
        let swallower = try PacketSwallower()
        try connectsBehind(swallower.port, withinMilliseconds: 5_000)
    }

    @Test func aHostThatHangsUpIsLeftForTheNext() throws {
        let server = try HangUpServer()
        try connectsBehind(server.port, withinMilliseconds: 5_000)
    }

    @Test func aPortWhereNobodyListensIsLeftForTheNext() throws {
        try connectsBehind(1, withinMilliseconds: 5_000)
    }

    @Test func theLocationsOwnTimeoutHoldsForEachHost() throws {
        let (first, second) = (try SilentServer(), try SilentServer())
        let location = try DatabaseLocation(
            "postgresql://u:canary4@127.0.0.1:\(first.port),127.0.0.1:\(second.port)/d?connect_timeout=2")
        let start = monotonicNanoseconds()
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(location) }
        let milliseconds = (monotonicNanoseconds() - start) / 1_000_000
        #expect(milliseconds >= 3_900 && milliseconds < 9_000, "\(milliseconds)")
        #expect(error.isTransient)
        for server in [first, second] {
            #expect(error.description.contains("127.0.0.1:\(server.port): no answer within 2000 ms"), "\(error)")
        }
        #expect(!error.description.contains("canary4") && !error.description.contains("\n"))
    }

    @Test func aServerThatRefusesTheUserEndsIt() throws {
        let server = try TestServers.server(.plain)
        let silent = try SilentServer()
        let location = try DatabaseLocation(
            "postgresql://postgres:wrong@127.0.0.1:\(server.port),127.0.0.1:\(silent.port)/postgres")
        let start = monotonicNanoseconds()
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(location) }
        #expect(error.sqlstate == .invalidPassword && !error.isTransient)
        #expect(monotonicNanoseconds() - start < 2_000_000_000, "the second server was asked too")
    }

    @Test func whoeverWritesPassesOverAServerThatTakesNoWrites() throws {
        let (both, readOnly, writable) = try readOnlyAndWritable()
        let writer = try DatabaseConnection(both, options: ConnectionOptions(isForWriting: true))
        #expect(try port(writer) == writable)
        let reader = try DatabaseConnection(both)
        #expect(try port(reader) != writable)

        let error = try databaseError { () throws(DatabaseError) in
            _ = try DatabaseConnection(readOnly, options: ConnectionOptions(isForWriting: true))
        }
        #expect(error.isTransient)
        #expect(error.description.contains("read-only") && error.description.contains("HOST,HOST"), "\(error)")
    }

    @Test func aSessionWhoseServerTurnsReadOnlyIsClosedWhenItIsThereToWrite() throws {
        let location = try TestServers.database(.plain)
        try DatabaseConnection(location).execute("CREATE TABLE t (a int)")
        for isForWriting in [true, false] {
            let connection = try DatabaseConnection(location, options: ConnectionOptions(isForWriting: isForWriting))
            try connection.checkThatItTakesWrites()
            try connection.execute("SET default_transaction_read_only = on")
            let error = try databaseError { () throws(DatabaseError) in
                try connection.execute("INSERT INTO t VALUES (1)")
            }
            #expect(error.sqlstate == .readOnlySQLTransaction && error.isTransient)
            #expect(connection.isUsable == !isForWriting)
        }
        let asked = try DatabaseConnection(location)
        try asked.execute("SET default_transaction_read_only = on")
        let error = try databaseError { () throws(DatabaseError) in try asked.checkThatItTakesWrites() }
        #expect(error.sqlstate == .readOnlySQLTransaction && error.isTransient && !asked.isUsable)
    }

    private func attempts(_ text: String, isForWriting: Bool = false) throws -> ConnectionAttempts {
        try ConnectionAttempts(DatabaseLocation(text), ConnectionOptions(isForWriting: isForWriting))
    }

    @Test func eachHostIsAnAttemptInItsOrder() throws {
        let plan = try attempts("postgresql://10.0.0.1:1,10.0.0.2:2,[::1]:3/d")
        #expect(plan.attempts.map(\.name) == ["10.0.0.1:1", "10.0.0.2:2", "[::1]:3"])
        #expect(plan.attempts.map { $0.keywords["hostaddr"] } == ["10.0.0.1", "10.0.0.2", "::1"])
        #expect(plan.milliseconds == 3_333)
        #expect(try attempts("host=/a,/b port=7 user=u").attempts.map { $0.keywords["host"] } == ["/a", "/b"])
        #expect(try attempts("host=db.example hostaddr=10.0.0.1").attempts.map(\.name) == [nil])
        // Six hosts have two seconds each.
        #expect(try attempts("host=/a,/b,/c,/d,/e,/f").milliseconds == 2_000)
        #expect(try attempts("host=/a connect_timeout=1").milliseconds == 2_000)
        #expect(try attempts("host=/a connect_timeout=60").milliseconds == 60_000)
    }

    @Test(arguments: [
        ("", false, ["any", "any"]), ("", true, ["read-write", "read-write"]),
        ("target_session_attrs=standby", true, ["standby", "standby"]),
        ("target_session_attrs=prefer-standby", false, ["standby", "standby", "any", "any"]),
    ])
    func theKindOfServerIsTheLocationsUnlessItIsForWriting(given: String, isForWriting: Bool, rounds: [String]) throws {
        let plan = try attempts("host=/a,/b \(given)", isForWriting: isForWriting)
        #expect(plan.attempts.map { $0.keywords["target_session_attrs"] } == rounds)
    }

    @Test func listsThatDoNotMatchAreExplainedByLibpq() throws {
        let location = try DatabaseLocation("host=/a,/b,/c port=1,2 user=u dbname=d")
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(location) }
        #expect(error.description.contains("could not match 2 port numbers to 3 hosts"), "\(error)")
    }
}
