// Starts on what an earlier run, a restart of the machine or an operator left.

import Foundation
import LinuxSystem
import Postgres
import TestSupport
import Testing

@testable import EmbeddedPostgres

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

    @Test(arguments: ["in use", "init", "", "none\n"]) func staleLockFilesDoNotBlock(number: String) throws {
        let server = try stopped("stale-\(number.utf8.count)")
        let stranger = try EmbeddedFixture.stranger(user: server.directory.owner.user)
        defer { stranger.signal(SIGKILL) }
        let written = number == "in use" ? "\(stranger.id)" : number == "init" ? "1" : number
        try EmbeddedFixture.writeStaleLocks(server, number: written)
        if written.isEmpty {
            try EmbeddedFixture.write(
                "", to: server.directory.data + "/postmaster.pid", owner: server.directory.owner.user)
        }
        try server.start()
        defer { server.stop() }
        #expect(try rows(server) == [["42"]])
        #expect(try stranger.wait(timeoutMilliseconds: 0) == nil, "another process was ended")
        try EmbeddedFixture.end(stranger)
    }

    /// The file is not all that keeps two servers apart: a process of the killed one may still write.
    @Test func aStaleLockFileStaysWhileAServerProcessRuns() throws {
        let server = try stopped("busy")
        try server.start()
        defer { server.stop() }
        let connection = try DatabaseConnection(server.location)
        let text = try #require(try connection.query("SELECT pg_backend_pid()")[0][0])
        let backend = try #require(Int32(text))
        kill(backend, SIGSTOP)
        let woken = try later(milliseconds: 3_000) { kill(backend, SIGCONT) }
        defer { woken.join() }
        kill(try #require(server.processID), SIGKILL)
        while server.isAlive { usleep(10_000) }
        server.stop()
        let stranger = try EmbeddedFixture.stranger(user: server.directory.owner.user)
        defer { stranger.signal(SIGKILL) }
        try EmbeddedFixture.writeStaleLocks(server, number: "\(stranger.id)")
        let begin = monotonicNanoseconds()
        try server.start()
        #expect(monotonicNanoseconds() - begin > 1_000_000_000)
        #expect(try rows(server) == [["42"]])
        try EmbeddedFixture.end(stranger)
    }

    @Test func aMissingDatabaseIsNotReplacedAtAStart() throws {
        let directory = try stopped("missing").directory
        try FileManager.default.moveItem(atPath: directory.data, toPath: directory.path + ".data")
        let server = try EmbeddedFixture.server("missing", programs: plain)
        let error = try EmbeddedFixture.refusal { try server.start() }
        #expect(error.contains("restore") && error.contains(directory.path) && !error.contains("\n"))
        #expect(access(directory.data, F_OK) != 0)
        // An empty folder, as under a mount that is missing.
        try FileManager.default.createDirectory(atPath: directory.data, withIntermediateDirectories: false)
        let empty = try EmbeddedFixture.refusal { _ = try EmbeddedFixture.server("missing", programs: plain) }
        #expect(empty.contains("PG_VERSION") && empty.contains("mount") && !empty.contains("\n"))
        rmdir(directory.data)
        try FileManager.default.moveItem(atPath: directory.path + ".data", toPath: directory.data)
        try server.start()
        defer { server.stop() }
        #expect(try rows(server) == [["42"]])
    }

    @Test(arguments: [false, true]) func aMissingDatabaseIsNotReplacedAtARevival(isWhole: Bool) throws {
        let server = try stopped("revival-\(isWhole)")
        try server.start()
        defer { server.stop() }
        let lost = isWhole ? server.directory.path : server.directory.data
        let aside = server.directory.path + ".aside"
        try FileManager.default.moveItem(atPath: lost, toPath: aside)
        kill(try #require(server.processID), SIGKILL)
        while server.isAlive { usleep(10_000) }
        server.stop()
        let error = try EmbeddedFixture.refusal { try server.start() }
        #expect(error.contains("restore") && !error.contains("\n"))
        #expect(access(lost, F_OK) != 0)
        try FileManager.default.moveItem(atPath: aside, toPath: lost)
        try server.start()
        #expect(try rows(server) == [["42"]])
    }

    @Test func anEmptyDatabaseIsCreatedOnceTheOperatorAsksForIt() throws {
        let directory = try stopped("anew").directory
        try FileManager.default.removeItem(atPath: directory.data)
        try FileManager.default.removeItem(atPath: directory.port)
        let lost = try EmbeddedFixture.server("anew", programs: plain)
        let error = try EmbeddedFixture.refusal { try lost.start() }
        #expect(error.contains(directory.marker))
        try FileManager.default.removeItem(atPath: directory.marker)
        let server = try EmbeddedFixture.server("anew", programs: plain)
        try server.start()
        defer { server.stop() }
        #expect(try DatabaseConnection(server.location).query("SELECT to_regclass('t')") == [[nil]])
    }

    /// As a mount that is missing leaves it: nothing at all, or an empty folder.
    @Test(arguments: [false, true]) func aMissingMountIsNoEmptyDatabase(hasFolder: Bool) throws {
        let server = try stopped("mounted-\(hasFolder)")
        let path = server.directory.path
        try FileManager.default.moveItem(atPath: path, toPath: path + ".aside")
        if hasFolder { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false) }
        // Another process than the one that created it.
        let next = try EmbeddedFixture.server("mounted-\(hasFolder)", programs: plain)
        let error = try EmbeddedFixture.refusal { try next.start() }
        #expect(error.contains("mount it") && !error.contains("\n"))
        #expect(readableFolderNames(path).isEmpty)
        if hasFolder { try FileManager.default.removeItem(atPath: path) }
        try FileManager.default.moveItem(atPath: path + ".aside", toPath: path)
        try next.start()
        defer { next.stop() }
        #expect(try rows(next) == [["42"]])
    }

    @Test func aDamagedVersionAndAPathOfTwoNamesAreRefused() throws {
        let server = try stopped("versionless")
        try Data().write(to: URL(fileURLWithPath: server.directory.data + "/PG_VERSION"))
        let damaged = try EmbeddedFixture.refusal { _ = try EmbeddedFixture.server("versionless", programs: plain) }
        #expect(damaged.contains("PG_VERSION holds no version") && !damaged.contains("\n"), "\(damaged)")
        let comma = try EmbeddedFixture.refusal { try EmbeddedFixture.server("a,b", programs: plain).start() }
        #expect(comma.contains("commas"), "\(comma)")
    }

    /// The lines of the stop before it are not the cause.
    @Test func aFailedStartShowsItsOwnLinesAlone() throws {
        let server = try stopped("own-lines")
        try FileManager.default.removeItem(atPath: server.directory.data + "/pg_hba.conf")
        let error = try EmbeddedFixture.refusal { try server.start() }
        #expect(error.contains("pg_hba.conf") && !error.contains("shutdown request"), "\(error)")
    }

    @Test func aLostLockFileIsCreatedAnew() throws {
        let server = try stopped("unlocked")
        try FileManager.default.removeItem(atPath: server.directory.lock)
        try server.start()
        defer { server.stop() }
        #expect(try rows(server) == [["42"]])
        // The directory is still taken: the second collector would end the first one's server.
        try FileManager.default.removeItem(atPath: server.directory.lock)
        let second = try EmbeddedFixture.server("unlocked", programs: plain)
        let error = try EmbeddedFixture.refusal { try second.start() }
        #expect(error.contains("is used by another collector"))
        #expect(server.isAlive)
    }

    /// An initdb whose collector was killed removes what it created, also when the next collector has already begun.
    @Test func aKilledFirstStartHarmsNotTheNext() async throws {
        let server = try EmbeddedFixture.server("first", programs: plain)
        let path = server.directory.path
        // In a folder that the server's user may write to.
        let flag = path + ".flag/stopped"
        let flagFolder = path + ".flag"
        try FileManager.default.createDirectory(
            atPath: flagFolder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o777])
        try checkedCall("chmod", object: flagFolder) { Int(chmod(flagFolder, 0o777)) }
        let programs = try EmbeddedFixture.programsWithStoppingInitdb(plain.folder, flag: flag)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, programs = programs as String, flag = flag as String] in
            let watch = try later(milliseconds: 0) {
                while access(flag, F_OK) != 0 { usleep(1_000) }
                kill(getpid(), SIGKILL)
            }
            let server = try EmbeddedServer(
                directory: path, programs: .host(binDirectory: programs), environment: [:], isDurable: false,
                logger: quietLogger)
            try server.start()
            watch.join()
        }
        let orphans = EmbeddedFixture.processes(named: "initdb", with: path)
        #expect(!orphans.isEmpty)
        let woken = try later(milliseconds: 300) {
            for pid in orphans { kill(pid, SIGINT) }
            for pid in orphans { kill(pid, SIGCONT) }
        }
        defer { woken.join() }
        try server.start()
        defer { server.stop() }
        #expect(try DatabaseConnection(server.location).query("SELECT 42") == [["42"]])
    }

    /// The catalog of a database that had TimescaleDB, under a server of the same version that has not.
    @Test func aServerWithoutTheDatabasesLibraryIsRefused() throws {
        let server = try stopped("library")
        try server.start()
        try DatabaseConnection(server.location).execute(
            """
            SET allow_system_table_mods = on;
            INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
            VALUES (99999, 'timescaledb', 10, 11, false, '2.19.3')
            """)
        server.stop()
        let error = try EmbeddedFixture.refusal { try server.start() }
        #expect(error.contains("TimescaleDB 2.19.3") && error.contains("restore") && !error.contains("\n"))
        #expect(!server.isAlive)
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
