// A password that is nowhere but where it belongs: given in every way there is, it shows up in no log, no answer and no process
// list, while all goes well, while it is wrong and while the database is away.

import Foundation
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct PasswordTests {
    /// How a password is given.
    enum Way: CaseIterable {
        case url, query, keywords, ownVariable, libpqVariable, passwordFile, serviceFile, configurationFile
        /// Others could read it when the program starts.
        var isArgument: Bool { [.url, .query, .keywords].contains(self) }
    }

    /// What the collector gets.
    private struct Given {
        var arguments: [String] = []
        var environment: [String: String] = [:]
    }

    private static func given(_ way: Way, port: UInt16, password: String) throws -> Given {
        let plain = "postgresql://keeper@127.0.0.1:\(port)/secret"
        let url = "postgresql://keeper:\(password)@127.0.0.1:\(port)/secret"
        func file(_ text: String) throws -> String {
            let path = try Programs.temporaryFile("secret").path
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            chmod(path, 0o600)
            return path
        }
        switch way {
        case .url: return Given(arguments: ["--database", url])
        case .query: return Given(arguments: ["--database", plain + "?sslmode=disable&password=\(password)"])
        case .keywords:
            return Given(arguments: [
                "--database", "host=127.0.0.1 port=\(port) dbname=secret user=keeper password = '\(password)'",
            ])
        case .ownVariable:
            return Given(environment: [
                "TIMESCALEDB_HOST": "127.0.0.1", "TIMESCALEDB_PORT": "\(port)", "TIMESCALEDB_DATABASE": "secret",
                "TIMESCALEDB_USERNAME": "keeper", "TIMESCALEDB_PASSWORD": password,
            ])
        case .libpqVariable: return Given(arguments: ["--database", plain], environment: ["PGPASSWORD": password])
        case .passwordFile:
            let path = try file("127.0.0.1:\(port):secret:keeper:\(password)\n")
            return Given(arguments: ["--database", plain], environment: ["PGPASSFILE": path])
        case .serviceFile:
            let path = try file(
                "[metrics]\nhost=127.0.0.1\nport=\(port)\ndbname=secret\nuser=keeper\npassword=\(password)\n")
            return Given(arguments: ["--database", "service=metrics"], environment: ["PGSERVICEFILE": path])
        case .configurationFile: return Given(arguments: ["--config", try file("database = \"\(url)\"\n")])
        }
    }

    private static func newPassword() -> String { "Kanarie\(UInt64.random(in: 1 ... .max))" }

    private static func commandLine(_ process: Int32) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/cmdline")), as: UTF8.self)
    }

    /// A server that wants a password over TCP, with a database of that user's own.
    private static func server(_ password: String) throws -> HostPostgres {
        let server = try HostPostgres()
        try server.start()
        let owner = try DatabaseConnection(server.location())
        try owner.execute("CREATE ROLE keeper LOGIN PASSWORD '\(password)'")
        try owner.execute("CREATE DATABASE secret OWNER keeper")
        try server.setAccessRules(["host all postgres 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256"])
        return server
    }

    @Test func noLogAnswerOrProcessListShowsThePassword() throws {
        let password = Self.newPassword()
        let server = try Self.server(password)
        defer { server.stop(SIGQUIT) }
        var stored = 0
        for way in Way.allCases {
            let given = try Self.given(way, port: server.port, password: password)
            let collector = try CollectorProcess(
                given.arguments + ["--log-level", "trace", "--flush-interval", "20"], environment: given.environment)
            let commandLine = try Self.commandLine(collector.processID)
            #expect(commandLine.contains("serve") && commandLine.contains("--log-level"))
            #expect(!commandLine.contains(password), "\(way)")

            var seen = [collector.readyLine, commandLine]
            func look() throws {
                for path in ["/stats", "/metrics", "/readyz", "/healthz"] { seen.append(try collector.get(path).body) }
            }
            func send() throws {
                let sent = try Programs.run([
                    "send", "--to", "tcp://\(try collector.address("tcp"))", "--generate", "routing", "--count", "100",
                ])
                #expect(sent.status == 0, "\(sent.errors)")
            }
            try send()
            _ = try collector.waitForStats { $0["records_committed"] == 100 }
            try look()
            server.stop(SIGQUIT)
            try send()
            _ = try collector.waitForStats {
                $0["records_in_spill"] == 100 && $0.warnings.contains { $0.contains("the database is unavailable") }
            }
            try look()
            try server.start()
            _ = try collector.waitForStats { $0["records_committed"] == 200 }
            stored += 200
            try look()
            #expect(collector.stop() == 0)
            seen.append(collector.logText)
            #expect(collector.logText.contains("the database"), "the outage left no word in the log")
            #expect(collector.logText.contains("a password in an argument") == way.isArgument, "\(way)")
            for text in seen { #expect(!text.contains(password), "\(way): \(text)") }
        }
        let rows = try DatabaseConnection(server.location(database: "secret")).query(
            "SELECT count(*) FROM metrics.routing_metrics")
        #expect(rows == [["\(stored)"]])
    }

    @Test func aWrongPasswordIsNotShownEither() throws {
        let server = try Self.server(Self.newPassword())
        defer { server.stop(SIGQUIT) }
        let wrong = Self.newPassword()
        for way in Way.allCases {
            let given = try Self.given(way, port: server.port, password: wrong)
            let ports = ["--udp", "none", "--tcp", "none", "--http", "none", "--spill-directory", "none"]
            let refused = try Programs.run(
                ["serve", "--log-level", "trace"] + ports + given.arguments, environment: given.environment)
            #expect(refused.status == 69, "\(way): \(refused.errors)")
            #expect(refused.errors.contains("password authentication failed"), "\(way): \(refused.errors)")
            let printed = try Programs.run(
                ["serve", "--print-configuration"] + given.arguments, environment: given.environment)
            #expect(printed.status == 0 && printed.text.contains("127.0.0.1"), "\(way): \(printed.errors)")
            for text in [refused.errors, refused.text, printed.errors, printed.text] {
                #expect(!text.contains(wrong), "\(way): \(text)")
            }
        }
    }

    @Test(arguments: [
        ["serve", "URL"], ["serve", "--databse", "URL"], ["schema", "status", "--database", "URL", "URL"],
        ["schema", "status", "--database", "URL&x"], ["serve", "--database", "URL", "--lanes", "0"],
    ])
    func aMistakeInTheArgumentsDoesNotShowThePassword(arguments: [String]) throws {
        let password = Self.newPassword()
        let url = "postgresql://keeper:\(password)@127.0.0.1:1/secret?password=\(password)"
        let result = try Programs.run(arguments.map { $0.replacing("URL", with: url) })
        #expect(result.status != 0)
        #expect(!result.errors.isEmpty && !result.errors.contains(password), "\(result.errors)")
        #expect(!result.text.contains(password))
    }

    @Test func aConfigurationFileForOthersIsWarnedOf() throws {
        let path = try Programs.temporaryFile("conf").path
        try Data("http = none\ndatabase = postgresql://u:geheim@127.0.0.1:1/d\n".utf8).write(
            to: URL(fileURLWithPath: path))
        for (mode, isWarned) in [(mode_t(0o640), true), (0o600, false)] {
            chmod(path, mode)
            let collector = try CollectorProcess(["--config", path])
            #expect(collector.stop() == 0)
            #expect(collector.logText.contains("chmod 600 \(path)") == isWarned, "\(collector.logText)")
            #expect(!collector.logText.contains("geheim"))
        }
    }
}
