// Commands without any setting find the database of the collector that runs on the machine, and say which one they use.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct FoundDatabaseTests {
    /// A state directory of its own: the machine's may have other collectors.
    private static func environment() throws -> [String: String] {
        ["XDG_STATE_HOME": try Programs.temporaryFolder("state")]
    }

    private static func send(_ count: Int, to collector: CollectorProcess) throws {
        let address = "tcp://\(try collector.address("tcp"))"
        let sent = try Programs.run(
            ["send", "--to", address, "--acknowledged", "--generate", "routing", "--count", "\(count)"])
        #expect(sent.status == 0, "\(sent.errors)")
    }

    @Test func everyCommandUsesTheConfiguredDatabaseOfTheRunningCollector() throws {
        let environment = try Self.environment()
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess(["--database", TestServers.url(location)], environment: environment)
        try Self.send(300, to: collector)
        for command in [
            ["query", "routing", "--aggregate", "count", "--format", "csv"], ["database"], ["schema", "status"],
            ["dead-letters", "list"], ["cleanup", "--older-than", "36500d", "--dry-run"], ["schema", "apply"],
        ] {
            let result = try Programs.run(command, environment: environment)
            #expect(result.status == 0, "\(command): \(result.errors)")
            #expect(
                result.errors.contains(
                    "using the database of the collector with process id \(collector.processID): \(location)"),
                "\(command): \(result.errors)")
            if command[0] == "query" { #expect(result.text == "count\n300\n") }
        }
        // Output for programs has nothing of it.
        let json = try Programs.run(["query", "routing", "--format", "json", "--limit", "1"], environment: environment)
        #expect(json.text.hasPrefix("{") && json.text.split(separator: "\n").count == 1)
        // What is named goes first, and needs no word.
        let named = try Programs.run(["database", "--database", TestServers.url(location)], environment: environment)
        #expect(named.status == 0 && named.errors.isEmpty, "\(named.errors)")
        let variable = try Programs.run(
            ["database"], environment: environment.merging(["SPILLWAY_DATABASE": TestServers.url(location)]) { $1 })
        #expect(variable.status == 0 && variable.errors.isEmpty, "\(variable.errors)")
        #expect(collector.stop() == 0)

        let afterwards = try Programs.run(["query", "routing"], environment: environment)
        #expect(afterwards.status == 64 && afterwards.errors.contains("which database?"), "\(afterwards.errors)")
        #expect(afterwards.errors.contains("spillway serve"))
    }

    @Test func theEmbeddedDatabaseIsFoundAndNamed() throws {
        let environment = try Self.environment()
        let folder = try TestServers.folder.get() + "/found-\(getpid())"
        let collector = try CollectorProcess(["--database", "embedded:\(folder)"], environment: environment)
        try Self.send(50, to: collector)
        for arguments in [[], ["--database", "embedded:\(folder)"]] {
            let result = try Programs.run(
                ["query", "routing", "--aggregate", "count", "--format", "csv"] + arguments, environment: environment)
            #expect(result.status == 0 && result.text == "count\n50\n", "\(result.errors)")
            #expect(result.errors.contains("host=\(folder)/socket") == arguments.isEmpty, "\(result.errors)")
        }
        #expect(collector.stop() == 0)
        try FileManager.default.removeItem(atPath: folder)
        let gone = try Programs.run(["database", "--database", "embedded:\(folder)"], environment: environment)
        #expect(
            gone.status == 69 && gone.errors.contains("spillway serve --database embedded:\(folder)"), "\(gone.errors)")
    }

    @Test func aPasswordIsNotPassedOn() throws {
        let environment = try Self.environment()
        let location = try TestServers.database(.plain)
        let url = TestServers.url(location) + "&password=canary-secret"
        let collector = try CollectorProcess(
            ["--config", try Self.configuration("database = \"\(url)\"")], environment: environment)
        let stats = try collector.get("/stats").body
        #expect(stats.contains("\"database_address\": \"") && !stats.contains("canary"))
        let folder = try #require(environment["XDG_STATE_HOME"]) + "/spillway/collectors"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.count == 1)
        for name in names {
            #expect(!(try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)).contains("canary"))
        }
        #expect(collector.stop() == 0)
    }

    private static func configuration(_ text: String) throws -> String {
        let file = try Programs.temporaryFile("conf")
        try Data((text + "\n").utf8).write(to: file)
        chmod(file.path, 0o600)
        return file.path
    }

    @Test func severalCollectorsAreAQuestionAndOneThatDiscardsHasNoDatabase() throws {
        let environment = try Self.environment()
        let discarding = try CollectorProcess(["--database", "discard"], environment: environment)
        let none = try Programs.run(["database"], environment: environment)
        #expect(none.status == 64 && none.errors.contains("drops its records"), "\(none.errors)")
        let locations = [try TestServers.database(.plain), try TestServers.database(.plain)]
        let first = try CollectorProcess(["--database", TestServers.url(locations[0])], environment: environment)
        #expect(try Programs.run(["database"], environment: environment).status == 0)
        let second = try CollectorProcess(["--database", TestServers.url(locations[1])], environment: environment)
        let several = try Programs.run(["database"], environment: environment)
        #expect(several.status == 64, "\(several.errors)")
        for (collector, location) in zip([first, second], locations) {
            #expect(several.errors.contains("process id \(collector.processID): \(location)"), "\(several.errors)")
        }
        // One that is killed is found no more.
        _ = second.stop(SIGKILL)
        #expect(try Programs.run(["database"], environment: environment).status == 0)
        #expect(discarding.stop() == 0 && first.stop() == 0)
    }

    @Test func aMisspeltVariableStopsEveryCommand() throws {
        for command in [
            ["serve", "--database", "discard"], ["query", "routing"], ["schema", "status"], ["stats"], ["encode"],
            ["send", "--to", "udp://127.0.0.1:9", "--generate", "routing", "--count", "1"],
            ["spill", "list", "--spill-directory", "/nowhere"],
        ] {
            let result = try Programs.run(command, environment: ["SPILLWAY_DATABSE": "postgresql://h/d"])
            #expect(result.status == 78, "\(command) \(result.errors)")
            #expect(
                result.errors.contains("SPILLWAY_DATABSE") && result.errors.contains("did you mean SPILLWAY_DATABASE?"))
        }
    }
}
