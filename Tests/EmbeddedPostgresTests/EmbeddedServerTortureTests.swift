// The embedded server through kills at random points of its first start, start, revival and stop, with stale files, changed versions
// and missing folders. Every start succeeds, or says in one line why not and what to do, and succeeds once that is done. What was
// acknowledged is there afterwards, in the same database: the data is never replaced.

import Foundation
import LinuxSystem
import Postgres
import TestSupport
import Testing

@testable import EmbeddedPostgres

@Suite(.serialized) struct EmbeddedServerTortureTests {
    private static let rounds = ProcessInfo.processInfo.environment["SPILLWAY_TORTURE"] == "1" ? 100 : 6

    /// SPILLWAY_SEED names a seed, else it is printed.
    @Test(.timeLimit(.minutes(30))) func everyStartSucceedsOrNamesItsObstacle() async throws {
        let seed =
            ProcessInfo.processInfo.environment["SPILLWAY_SEED"].flatMap { UInt64($0) } ?? .random(in: 0 ... .max)
        print("embedded server, \(Self.rounds) rounds: seed \(seed)")
        var generator = EmbeddedRandom(seed: seed)
        var subjects: [TortureSubject] = []
        for round in 0..<Self.rounds {
            // Both kinds of servers; a third of the rounds begin with an empty directory.
            let isPlain = round % 2 == 0
            var subject = subjects.last { $0.isPlain == isPlain }
            if subject == nil || Int.random(in: 0..<3, using: &generator) == 0 {
                subject = try TortureSubject(isPlain: isPlain, number: round)
            }
            guard let subject else { continue }
            subjects.append(subject)
            let (path, milliseconds) = (subject.path, UInt32.random(in: 0...2_500, using: &generator))
            let choice = UInt64.random(in: 0 ... .max, using: &generator)
            await #expect(processExitsWith: .signal(SIGKILL), "seed \(seed), round \(round)") {
                [
                    path = path as String, isPlain = isPlain as Bool, milliseconds = milliseconds as UInt32,
                    choice = choice as UInt64
                ] in
                try TortureSubject.liveUntilKilled(
                    path: path, isPlain: isPlain, milliseconds: milliseconds, choice: choice)
            }
            let obstacle = TortureObstacle.allCases.randomElement(using: &generator) ?? .none
            let what = "seed \(seed), round \(round), killed after \(milliseconds) ms, \(obstacle)"
            do {
                let outcome = try subject.recover(from: obstacle)
                print(
                    "  round \(round): killed after \(milliseconds) ms, \(subject.isPlain ? "plain" : "timescale"), \(obstacle): \(outcome)"
                )
            } catch {
                Issue.record("\(what): \(error)")
                return
            }
        }
        #expect(subjects.contains { $0.hasRows }, "seed \(seed): no round stored a row")
    }
}

/// What is in the way of a start.
enum TortureObstacle: CaseIterable {
    case none, numberInUse, emptyLockFile, noLock, noPort, noSocket, noPassword, unfinishedData
    case otherVersion, otherPrograms, noPrograms, noData, emptyData
}

/// A directory that lives through several rounds.
final class TortureSubject {
    let path: String
    let isPlain: Bool
    private(set) var hasRows = false
    private var witness: String { path + ".rows" }
    private var data: String { path + "/data" }

    init(isPlain: Bool, number: Int) throws {
        path = try "\(TestServers.folder.get())/torture\(number)"
        self.isPlain = isPlain
    }

    private static func server(_ path: String, isPlain: Bool) throws -> EmbeddedServer {
        try EmbeddedServer(
            directory: path, programs: TestServers.programs(isPlain ? .plain : .timescale), environment: [:],
            isDurable: false, logger: silentLogger)
    }

    /// A collector's life in short: starts, stores, loses its server and revives it, stops, and again. Every row is noted in a
    /// file once it is committed.
    static func liveUntilKilled(path: String, isPlain: Bool, milliseconds: UInt32, choice: UInt64) throws {
        let killer = try later(milliseconds: milliseconds) { kill(getpid(), SIGKILL) }
        var generator = EmbeddedRandom(seed: choice)
        do {
            while true {
                let server = try Self.server(path, isPlain: isPlain)
                try server.start()
                try store(server, path: path)
                if Bool.random(using: &generator), let process = server.processID {
                    kill(process, Bool.random(using: &generator) ? SIGKILL : SIGQUIT)
                    while server.isAlive { usleep(1_000) }
                    server.stop()
                    try server.start()
                    try store(server, path: path)
                }
                server.stop()
            }
        } catch {
            // For the test, which fails with it.
            try "\(error)".write(toFile: path + ".error", atomically: true, encoding: .utf8)
            killer.join()
        }
    }

    private static func store(_ server: EmbeddedServer, path: String) throws {
        let connection = try DatabaseConnection(server.location)
        let name = "\(getpid())-\(monotonicNanoseconds())"
        try connection.execute("CREATE TABLE IF NOT EXISTS t (name text)")
        if server.programs.isTimescale {
            try connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        }
        try connection.execute("INSERT INTO t VALUES ('\(name)')")
        let file = try Files.open(path + ".rows", O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
        defer { close(file) }
        let line = Array("\(name)\n".utf8)
        try Files.call("write", path) { write(file, line, line.count) }
    }

    /// Puts the obstacle in place, expects what it should cause, removes it, and checks the data.
    func recover(from obstacle: TortureObstacle) throws -> String {
        if access(path + ".error", F_OK) == 0 {
            throw MissingServer(description: try String(contentsOfFile: path + ".error", encoding: .utf8))
        }
        let identity = try identity()
        let isUnlike = try arrange(obstacle)
        var outcome = isUnlike == nil ? "started" : ""
        if let isUnlike {
            let reason = try EmbeddedFixture.refusal { try isUnlike.start() }
            let saysWhatToDo = ["restore", "install", "name another"].contains { reason.contains($0) }
            guard saysWhatToDo, reason.contains(path), !reason.contains("\n") else {
                throw MissingServer(description: "not one line with what to do: \(reason)")
            }
            outcome = "refused, then started"
            try isUnlike.undo()
        }
        let server = try Self.server(path, isPlain: isPlain)
        try server.start()
        defer { server.stop() }
        if let identity, try self.identity() != identity {
            throw MissingServer(description: "the data was replaced")
        }
        try checkRows(server)
        try Self.store(server, path: path)
        hasRows = true
        for stranger in strangers { try EmbeddedFixture.end(stranger) }
        strangers = []
        return outcome
    }

    private var strangers: [ChildProcess] = []

    /// A start that must be refused, and how it becomes possible.
    struct Refused {
        let start: () throws -> Void
        let undo: () throws -> Void
    }

    private func checkRows(_ server: EmbeddedServer) throws {
        guard access(witness, F_OK) == 0 else { return }
        let connection = try DatabaseConnection(server.location)
        let found = Set(try connection.query("SELECT name FROM t").compactMap { $0[0] })
        let stored = try String(contentsOfFile: witness, encoding: .utf8).split(separator: "\n").map(String.init)
        let lost = stored.filter { !found.contains($0) }
        guard lost.isEmpty else { throw MissingServer(description: "\(lost.count) of \(stored.count) rows are lost") }
    }

    /// The number that initdb gave the database; nil without data.
    private func identity() throws -> Data? {
        guard access(data, F_OK) == 0 else { return nil }
        return try Data(contentsOf: URL(fileURLWithPath: data + "/global/pg_control")).prefix(8)
    }
}

extension TortureSubject {
    /// Nil where the start must succeed as things are.
    private func arrange(_ obstacle: TortureObstacle) throws -> Refused? {
        let hasData = access(data, F_OK) == 0
        let hasRun = hasData && access(path + "/port", F_OK) == 0
        switch obstacle {
        case .none: return nil
        case .numberInUse, .emptyLockFile:
            // The server of the killed collector may still be ending: then its file is replaced while it runs.
            if hasRun { try replaceLockFiles(isEmpty: obstacle == .emptyLockFile) }
        case .noLock: if access(path + "/password", F_OK) == 0 { try remove("lock") }
        case .noPort: if hasData { try remove("port") }
        case .noSocket: try remove("socket")
        case .noPassword: try remove("password")
        case .unfinishedData:
            guard access(path, F_OK) == 0 else { return nil }
            try FileManager.default.createDirectory(
                atPath: path + "/data.new-1/base", withIntermediateDirectories: true)
        case .otherVersion where hasData: return try otherVersion()
        case .otherPrograms where hasData: return try otherPrograms()
        case .noPrograms where hasData && !isPlain: return withoutTimescale()
        case .noData where hasRun: return try withoutData(isEmpty: false)
        case .emptyData where hasRun: return try withoutData(isEmpty: true)
        default: break
        }
        return nil
    }

    private func remove(_ name: String) throws {
        guard access("\(path)/\(name)", F_OK) == 0 else { return }
        try FileManager.default.removeItem(atPath: "\(path)/\(name)")
    }

    private func replaceLockFiles(isEmpty: Bool) throws {
        let server = try Self.server(path, isPlain: isPlain)
        let stranger = try EmbeddedFixture.stranger(user: server.directory.owner.user)
        strangers.append(stranger)
        guard access(server.directory.socket, F_OK) == 0 else { return }
        try EmbeddedFixture.writeStaleLocks(server, number: "\(stranger.id)")
        if isEmpty {
            try EmbeddedFixture.write("", to: data + "/postmaster.pid", owner: server.directory.owner.user)
        }
    }

    private func otherVersion() throws -> Refused {
        let file = data + "/PG_VERSION"
        let before = try String(contentsOfFile: file, encoding: .utf8)
        try "9.6\n".write(toFile: file, atomically: false, encoding: .utf8)
        return Refused(start: { [path, isPlain] in try Self.server(path, isPlain: isPlain).start() }) {
            try before.write(toFile: file, atomically: false, encoding: .utf8)
        }
    }

    /// All of the machine's programs must lead to those of the data; the other ones alone must be refused.
    private func otherPrograms() throws -> Refused {
        let found = try EmbeddedServer(directory: path, environment: [:], isDurable: false, logger: silentLogger)
        let expected = try TestServers.programs(isPlain ? .plain : .timescale)
        guard found.programs == expected else {
            throw MissingServer(description: "\(found.programs) was chosen, \(expected) created the data")
        }
        return Refused(start: { [path, isPlain] in try Self.server(path, isPlain: !isPlain).start() }) {}
    }

    private func withoutTimescale() -> Refused {
        Refused(
            start: { [path] in
                try EmbeddedServer(
                    directory: path, environment: ["SPILLWAY_TIMESCALEDB_ROOT": path + ".root"], isDurable: false,
                    logger: silentLogger
                ).start()
            }, undo: {})
    }

    private func withoutData(isEmpty: Bool) throws -> Refused {
        let (data, aside) = (data, path + ".data")
        try FileManager.default.moveItem(atPath: data, toPath: aside)
        if isEmpty { try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false) }
        return Refused(start: { [path, isPlain] in try Self.server(path, isPlain: isPlain).start() }) {
            if isEmpty { try Files.call("rmdir", data) { Int(rmdir(data)) } }
            try FileManager.default.moveItem(atPath: aside, toPath: data)
        }
    }
}

extension EmbeddedServer.Programs {
    fileprivate var isTimescale: Bool {
        if case .timescaleRoot = self { true } else { false }
    }
}

/// Kills make warnings that say nothing here.
private let silentLogger = {
    var logger = quietLogger
    logger.logLevel = .critical
    return logger
}()

/// SplitMix64.
struct EmbeddedRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
