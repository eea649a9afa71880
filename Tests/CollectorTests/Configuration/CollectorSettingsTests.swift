import Foundation
import Testing

@testable import Collector

/// Flags before the environment, the environment before the file, the file before the defaults.
@Suite struct CollectorSettingsTests {
    private func settings(
        flags: [Setting: [String]] = [:], environment: [String: String] = [:], file: String? = nil
    ) throws -> CollectorSettings {
        var path: String?
        if let file {
            let url = FileManager.default.temporaryDirectory.appending(path: "spillway-\(UUID().uuidString).conf")
            try Data(file.utf8).write(to: url)
            path = url.path
        }
        defer {
            if let path { unlink(path) }
        }
        return try CollectorSettings(ConfigurationResolver(flags: flags, environment: environment, filePath: path))
    }

    private func refusal(
        flags: [Setting: [String]] = [:], environment: [String: String] = [:], file: String? = nil
    ) -> String {
        do {
            _ = try settings(flags: flags, environment: environment, file: file)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test func withoutAnySettingTheDefaultsHold() throws {
        let settings = try settings()
        #expect(settings.udp == ["127.0.0.1:8127"])
        #expect(settings.tcp == ["127.0.0.1:8127"])
        #expect(settings.http == "127.0.0.1:8128")
        #expect(settings.database == .embedded(directory: nil))
        #expect(settings.lanes == MachineDefaults.here.lanes)
        #expect(settings.systemMetrics)
        #expect(settings.report.allSatisfy { $0.origin == "default" })
        #expect(settings.report.count == Setting.allCases.count)
    }

    @Test func aFlagGoesBeforeTheEnvironmentAndThatBeforeTheFile() throws {
        let file = "lanes = 5\n# a comment\nflush-interval = 7 # another\nring-bytes=\"16777216\"\n"
        let environment = ["SPILLWAY_LANES": "4", "SPILLWAY_FLUSH_INTERVAL": "9"]
        let all = try settings(flags: [.lanes: ["3"]], environment: environment, file: file)
        #expect(all.lanes == 3)
        #expect(all.flushMilliseconds == 9)
        #expect(all.ringBytes == 16_777_216)
        #expect(all.report.first { $0.setting == .lanes }?.origin == "flag --lanes")
        #expect(all.report.first { $0.setting == .flushInterval }?.origin == "environment SPILLWAY_FLUSH_INTERVAL")
        #expect(all.report.first { $0.setting == .ringBytes }?.origin.hasSuffix(".conf:4") == true)
    }

    @Test func theNamesThatUsersHaveAlreadyWork() throws {
        let settings = try settings(environment: [
            "TIMESCALEDB_HOST": "db.example", "TIMESCALEDB_PORT": "6543", "TIMESCALEDB_PASSWORD": "canary-secret",
            "ENABLE_SYSTEM_METRICS": "false",
        ])
        guard case .server(let location) = settings.database else {
            Issue.record("\(settings.database)")
            return
        }
        #expect("\(location)".contains("db.example"))
        #expect("\(location)".contains("6543"))
        #expect("\(location)".contains("capibara6_metrics"))
        #expect(!settings.systemMetrics)
    }

    @Test func noSecretIsPrinted() throws {
        let url = "postgresql://user:canary-secret@db.example:5432/metrics"
        for settings in [
            try settings(flags: [.database: [url]]), try settings(environment: ["SPILLWAY_DATABASE": url]),
            try settings(file: "database = \"\(url)\""),
            try settings(environment: ["TIMESCALEDB_HOST": "h", "TIMESCALEDB_PASSWORD": "canary-secret"]),
        ] {
            #expect(!settings.reportText.contains("canary"))
            #expect(!settings.reportJSON.contains("canary"))
            #expect(settings.reportText.contains("db.example") || settings.reportText.contains("@h:"))
        }
        #expect(!refusal(flags: [.database: ["postgresql://user:canary-secret@h:port/x"]]).contains("canary"))
    }

    @Test func listsComeFromRepeatedFlagsOrCommas() throws {
        #expect(try settings(flags: [.udp: ["127.0.0.1:1", "[::1]:2"]]).udp == ["127.0.0.1:1", "[::1]:2"])
        #expect(try settings(environment: ["SPILLWAY_TCP": "127.0.0.1:1, [::1]:2"]).tcp == ["127.0.0.1:1", "[::1]:2"])
        #expect(try settings(flags: [.udp: ["none"]]).udp.isEmpty)
        #expect(try settings(file: "udp = 127.0.0.1:1\nudp = 127.0.0.1:2").udp == ["127.0.0.1:1", "127.0.0.1:2"])
    }

    @Test func theReportIsAConfigurationFileThatGivesTheSameSettings() throws {
        let first = try settings(flags: [.lanes: ["7"], .udp: ["127.0.0.1:1", "[::1]:2"]])
        let second = try settings(file: first.reportText)
        #expect(second.lanes == 7)
        #expect(second.udp == first.udp)
        #expect(second.report.map(\.values) == first.report.map(\.values))
    }

    @Test(arguments: [
        ([Setting.lanes: ["0"]], "lanes = '0' (flag --lanes): it must be a whole number from 1 to 64"),
        ([.lanes: ["many"]], "lanes = 'many'"),
        ([.ringBytes: ["10000000"]], "it must be a power of two"),
        ([.systemMetrics: ["perhaps"]], "it must be true or false"),
        ([.logLevel: ["loud"]], "levels are trace"),
        ([.udp: ["none", "127.0.0.1:1"]], "'none' cannot be combined with addresses"),
    ])
    func aValueThatCannotBeUsedIsNamedWithItsOrigin(_ flags: [Setting: [String]], _ part: String) {
        #expect(refusal(flags: flags).contains(part), "\(refusal(flags: flags))")
    }

    @Test func aSlipInTheFileIsNamedWithItsLine() {
        #expect(refusal(file: "lanes = 2\nlans = 3\n").contains(".conf:2: there is no setting 'lans'"))
        #expect(refusal(file: "lanes\n").contains(".conf:1: a line is 'key = value'"))
        #expect(refusal(file: "lanes = 2\nlanes = 3\n").contains(".conf:2: 'lanes' is given twice"))
        #expect(refusal(file: "\n\nlanes = x\n").contains(".conf:3"))
    }

    @Test func aFileThatIsNotThereIsAnError() {
        #expect(throws: ConfigurationError.self) {
            try CollectorSettings(ConfigurationResolver(flags: [:], environment: [:], filePath: "/nonexistent/x.conf"))
        }
    }

    @Test func everySettingHasItsNamesOnce() {
        #expect(Set(Setting.allCases.map(\.flag)).count == Setting.allCases.count)
        #expect(Set(Setting.allCases.map(\.variable)).count == Setting.allCases.count)
        #expect(Setting.flushInterval.variable == "SPILLWAY_FLUSH_INTERVAL")
    }

    @Test func theDefaultSpillIsInTheStateDirectoryWhateverTheDatabaseIs() throws {
        let state = ["XDG_STATE_HOME": "/state"]
        for url in ["postgresql://a@db1.example/m", "postgresql://b:secret@db2.example:6000/n"] {
            let settings = try settings(flags: [.database: [url]], environment: state)
            #expect(settings.spillPath == "/state/spillway/spill")
            #expect(settings.reportText.contains("spill-directory = /state/spillway/spill "))
        }
        #expect(try settings(environment: state).spillPath == "/state/spillway/spill")
        #expect(try settings(flags: [.database: ["discard"]], environment: state).spillPath == nil)
        #expect(try settings(flags: [.spillDirectory: ["none"]], environment: state).spillPath == nil)
        #expect(try settings(flags: [.spillDirectory: ["/mnt/s"]], environment: state).spillPath == "/mnt/s")
    }

    @Test func aSpillBelongsToAServerAndItsDatabaseAndNotToItsUser() throws {
        func owner(_ url: String) throws -> String { try settings(flags: [.database: [url]]).spillOwner }
        let one = try owner("postgresql://a:secret@db.example/m")
        #expect(try one == owner("postgresql://b@db.example:5432/m?sslmode=require"))
        #expect(try one != owner("postgresql://a:secret@db.example/n"))
        #expect(try one != owner("postgresql://a:secret@db2.example/m"))
        #expect(!one.contains("secret"))
    }

    @Test func aReloadChangesTheLogLevelAndTheRetentionAlone() throws {
        let before = try settings(file: "log-level = info\nretention = 90d\nlanes = 2\n")
        let after = try settings(file: "log-level = debug\nretention = 30d\nlanes = 3\ncompression = 5d\n")
        let changes = before.changes(to: after)
        #expect(changes.map(\.setting) == [.lanes, .retention, .compression, .logLevel])
        #expect(changes.filter(\.isReloadable).map(\.setting) == [.retention, .logLevel])
        #expect(changes.first?.description.hasPrefix("lanes: 2 -> 3 (") == true)
        // What was not applied is reported again, what was is not.
        #expect(before.reloaded(after).changes(to: after).map(\.setting) == [.lanes, .compression])
        #expect(before.changes(to: before).isEmpty)
        #expect(after.policies.only(.retention) != after.policies)
    }
}
