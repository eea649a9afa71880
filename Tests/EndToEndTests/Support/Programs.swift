// The program under test, run as its users run it.

import Foundation
import Testing

/// What a finished program left.
struct Finished {
    let status: Int32
    let output: Data
    let errors: String

    var text: String { String(decoding: output, as: UTF8.self) }
}

/// A program that was started and not waited for.
final class Running {
    fileprivate let process = Process()

    var processID: Int32 { process.processIdentifier }

    /// - Returns: its exit status.
    func waitForEnd() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    deinit { if process.isRunning { kill(processID, SIGKILL) } }
}

enum Programs {
    /// The program that was built with the tests.
    static let spillway: URL = {
        let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        return folder.appending(path: "spillway")
    }()

    /// Runs the program to its end.
    ///
    /// - Parameters:
    ///   - input: what it reads on standard input; nil is /dev/null.
    ///   - handle: where its standard output goes instead of a file.
    ///   - program: another program.
    static func run(
        _ arguments: [String], input: URL? = nil, output: URL? = nil, handle: FileHandle? = nil,
        environment: [String: String] = [:], program: URL = spillway
    ) throws -> Finished {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.environment = cleanEnvironment(environment)
        process.standardInput = try input.map { try FileHandle(forReadingFrom: $0) } ?? FileHandle.nullDevice
        let outputFile = try output ?? temporaryFile("out")
        let errorFile = try temporaryFile("err")
        process.standardOutput = try handle ?? FileHandle(forWritingTo: outputFile)
        process.standardError = try FileHandle(forWritingTo: errorFile)
        defer {
            unlink(errorFile.path)
            if output == nil { unlink(outputFile.path) }
        }
        try process.run()
        process.waitUntilExit()
        return Finished(
            status: process.terminationStatus, output: output == nil ? try Data(contentsOf: outputFile) : Data(),
            errors: String(decoding: try Data(contentsOf: errorFile), as: UTF8.self))
    }

    /// Starts the program; what it prints is thrown away.
    static func start(_ arguments: [String]) throws -> Running {
        let running = Running()
        running.process.executableURL = spillway
        running.process.arguments = arguments
        running.process.environment = cleanEnvironment([:])
        running.process.standardInput = FileHandle.nullDevice
        running.process.standardOutput = FileHandle.nullDevice
        running.process.standardError = FileHandle.nullDevice
        try running.process.run()
        return running
    }

    /// Without the variables of this process that configure a collector or name a database.
    static func cleanEnvironment(_ added: [String: String]) -> [String: String] {
        let names = ["SPILLWAY_", "TIMESCALEDB_", "PG", "ENABLE_SYSTEM_METRICS"]
        let kept = ProcessInfo.processInfo.environment.filter { entry in
            entry.key == "SPILLWAY_TIMESCALEDB_ROOT" || !names.contains { entry.key.hasPrefix($0) }
        }
        // Commands look there for running collectors, and those of the machine are not the tests'.
        return kept.merging(["XDG_STATE_HOME": folder.appending(path: "state").path]) { $1 }.merging(added) { $1 }
    }

    /// The files of this test process: removed at its end, whatever the tests' outcome.
    private static let folder: URL = {
        let url = FileManager.default.temporaryDirectory.appending(path: "spillway-tests-\(getpid())")
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        } catch {
            print("cannot make \(url.path): \(error)")
        }
        atexit {
            do {
                try FileManager.default.removeItem(at: Programs.folder)
            } catch {
                print("cannot remove \(Programs.folder.path): \(error)")
            }
        }
        return url
    }()

    /// The path of a folder of its own, which is not there yet.
    static func temporaryFolder(_ suffix: String) throws -> String {
        try temporaryFile("made").deletingLastPathComponent().appending(path: "\(UUID().uuidString).\(suffix)").path
    }

    /// An empty file of its own.
    static func temporaryFile(_ suffix: String) throws -> URL {
        let url = folder.appending(path: "\(UUID().uuidString).\(suffix)")
        guard FileManager.default.createFile(atPath: url.path, contents: nil) else {
            throw CocoaError(.fileWriteUnknown)
        }
        return url
    }
}
