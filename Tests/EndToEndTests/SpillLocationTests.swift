// Where the spill is by default, and what happens to records that were spilled for another database or at an earlier place:
// they are found, reported, and imported by the command that the report names.

import Foundation
import FrameCodec
import Postgres
import SpillwayClient
import TestSupport
import Testing
import Text

@Suite(.serialized, .timeLimit(.minutes(10))) struct SpillLocationTests {
    private static let nowhere = "postgresql://postgres@127.0.0.1:1/none"

    /// A state directory of its own.
    private static func state() throws -> (folder: String, environment: [String: String]) {
        let folder = try Programs.temporaryFolder("state")
        return (folder + "/spillway", ["XDG_STATE_HOME": folder])
    }

    private static func send(_ count: Int, to collector: CollectorProcess) throws {
        let sent = try Programs.run([
            "send", "--to", "tcp://\(try collector.address("tcp"))", "--acknowledged", "--generate", "routing",
            "--count",
            "\(count)",
        ])
        #expect(sent.status == 0, "\(sent.errors)")
    }

    @Test func anotherDatabaseGetsNothingOfItAndTheOperatorHearsWhereItIs() throws {
        let (state, environment) = try Self.state()
        let location = try TestServers.database(.plain)
        let url = TestServers.url(location)
        let first = try CollectorProcess(
            ["--database", Self.nowhere, "--shutdown-deadline", "1"], environment: environment, usesDefaultSpill: true)
        #expect(first.readyLine.hasSuffix("spill=\(state)/spill"), "\(first.readyLine)")
        try Self.send(2_000, to: first)
        #expect(first.stop() == 0)

        let second = try CollectorProcess(["--database", url], environment: environment, usesDefaultSpill: true)
        #expect(second.readyLine.hasSuffix("spill=\(state)/spill"))
        let aside = state + "/spill/other-1"
        let stats = try second.stats()
        let warning = try #require(stats.warnings.first { $0.contains(aside) }, "\(stats.warnings)")
        #expect(warning.contains("2000 records for postgresql://127.0.0.1:1/none"))
        #expect(warning.contains("spillway spill replay --spill-directory \(aside) --database URL"))
        #expect(second.logText.contains(aside))
        #expect(try second.get("/readyz").body.contains(aside))
        #expect(try second.get("/stats").body.contains("\"spill_directory\": \"\(state)/spill\""))
        #expect(stats.gauges["stranded_spill_records"] == 2_000)
        #expect(stats["records_recovered"] == 0)
        let schema = try DatabaseConnection(location)
        #expect(try schema.query("SELECT count(*) FROM metrics.routing_metrics") == [["0"]])

        // Not into whatever database is found here.
        let unnamed = try Programs.run(["spill", "replay", "--spill-directory", aside], environment: environment)
        #expect(unnamed.status == 64)
        #expect(
            unnamed.errors.contains("the spill holds batches for postgresql://127.0.0.1:1/none"), "\(unnamed.errors)")
        #expect(try Torture.rows(location).all == 0)
        // The operator meant this database after all, and imports while the collector runs.
        let replay = try Programs.run(["spill", "replay", "--spill-directory", aside, "--database", url])
        #expect(replay.status == 0, "\(replay.errors)")
        #expect(try Torture.rows(location).all == 2_000)
        let after = try second.stats()
        #expect(!after.warnings.contains { $0.contains(aside) } && after.gauges["stranded_spill_records"] == 0)
        #expect(second.stop() == 0, "\(second.logText)")
    }

    @Test func theSameDatabaseUnderAnotherUserKeepsItsSpill() throws {
        let (_, environment) = try Self.state()
        let first = try CollectorProcess(
            ["--database", Self.nowhere, "--shutdown-deadline", "1"], environment: environment, usesDefaultSpill: true)
        try Self.send(100, to: first)
        #expect(first.stop() == 0)
        let second = try CollectorProcess(
            [
                "--database", "postgresql://somebody:secret@127.0.0.1:1/none?sslmode=disable", "--shutdown-deadline",
                "1",
            ],
            environment: environment, usesDefaultSpill: true)
        #expect(try second.stats()["records_in_spill"] == 100)
        #expect(second.stop() == 0)
    }

    @Test func aSpillAtAnEarlierPlaceIsReportedAndThatOfThisDatabaseIsTakenOver() throws {
        let (state, environment) = try Self.state()
        let location = try TestServers.database(.plain)
        let url = TestServers.url(location)
        // What earlier versions named after the database's address, without a record of the database.
        let own = state + "/spill-" + hexadecimal(SourceIdentity.hash(try DatabaseLocation(url).description))
        let other = state + "/spill-0123456789abcdef"
        for (folder, count) in [(own, 300), (other, 40)] {
            let earlier = try CollectorProcess([
                "--database", Self.nowhere, "--spill-directory", folder, "--shutdown-deadline", "1",
            ])
            try Self.send(count, to: earlier)
            #expect(earlier.stop() == 0)
            #expect(unlink(folder + "/database") == 0)
        }
        let collector = try CollectorProcess(["--database", url], environment: environment, usesDefaultSpill: true)
        _ = try collector.waitForStats { $0["records_in_spill"] == 0 && $0["records_committed"] == 300 }
        let stats = try collector.stats()
        #expect(stats.warnings.contains { $0.contains(other) && $0.contains("40 records") }, "\(stats.warnings)")
        #expect(!stats.warnings.contains { $0.contains(own) })
        #expect(collector.stop() == 0, "\(collector.logText)")
        #expect(try Torture.rows(location).all == 300)
    }

    @Test func recordsOfAnotherDatabaseAreNeverDiscarded() throws {
        let folder = try Programs.temporaryFolder("spill")
        let first = try CollectorProcess([
            "--database", Self.nowhere, "--spill-directory", folder, "--shutdown-deadline", "1",
        ])
        try Self.send(100, to: first)
        #expect(first.stop() == 0)
        let discarding = try CollectorProcess(["--database", "discard", "--spill-directory", folder])
        #expect(try discarding.stats().warnings.contains { $0.contains(folder + "/other-1") })
        #expect(discarding.stop() == 0)
        let listing = try Programs.run(["spill", "cat", "--spill-directory", folder + "/other-1"])
        #expect(listing.text.split(separator: "\n").count == 100, "\(listing.errors)")
    }
}
