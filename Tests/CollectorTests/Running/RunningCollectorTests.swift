// What a collector says of itself to other commands, and that only one that runs is found.

import Foundation
import Postgres
import Testing

@testable import Collector

@Suite struct RunningCollectorTests {
    @Test func itIsFoundWhileItRunsAndNotAfterwards() throws {
        let state = FileManager.default.temporaryDirectory.appending(path: "spillway-state-\(UUID().uuidString)").path
        defer { unlinkAll(state) }
        let environment = ["XDG_STATE_HOME": state]
        let collector = RunningCollector(
            processID: getpid(), database: "host='/x y' dbname='d'", addresses: ["udp 127.0.0.1:1", "http 127.0.0.1:2"])
        do {
            let record = try RunningRecord(collector, environment: environment)
            #expect(RunningCollector.all(environment: environment).contains(collector))
            withExtendedLifetime(record) {}
        }
        #expect(!RunningCollector.all(environment: environment).contains(collector))
        #expect(RunningCollector.fileNames(in: "\(state)/spillway/collectors").isEmpty)
        // One that was killed leaves its file without the lock: the next start removes it.
        let leftover = "\(state)/spillway/collectors/1-dead"
        try Data(collector.text.utf8).write(to: URL(fileURLWithPath: leftover))
        #expect(!RunningCollector.all(environment: environment).contains(collector))
        _ = try RunningRecord(collector, environment: environment)
        #expect(access(leftover, F_OK) != 0)
    }

    @Test func noPasswordIsInIt() throws {
        let location = try DatabaseLocation(
            "postgresql://me:canary@db.example:6543/d'x?sslmode=require&sslpassword=canary")
        let text = location.keywordsWithoutSecrets
        #expect(!text.contains("canary"))
        let again = try DatabaseLocation(text)
        #expect("\(again)" == "\(location)".replacing(":***", with: "") && text.contains("sslmode='require'"))
    }

    private func unlinkAll(_ folder: String) {
        do { try FileManager.default.removeItem(atPath: folder) } catch { print("cannot remove \(folder): \(error)") }
    }
}
