// More than the database takes: hours of outage in small, and a database that is slow. What is measured is printed; what must
// hold is checked.

import FrameCodec
import Foundation
import MetricKinds
import Postgres
import SpillwayClient
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(60))) struct OverloadTests {
    private static func send(_ collector: CollectorProcess, count: Int, seed: Int, rate: Int? = nil) throws -> Double {
        let result = try Programs.run(
            [
                "send", "--to", "tcp://\(try collector.address("tcp"))", "--generate", "routing", "--count",
                "\(count)", "--seed", "\(seed)", "--json",
            ] + (rate.map { ["--rate", "\($0)"] } ?? []))
        guard result.status == 0,
            let object = try JSONSerialization.jsonObject(with: result.output) as? [String: Any],
            let rate = object["records_per_second"] as? Double
        else { throw CollectorFailure(description: "send: \(result.status) \(result.errors)") }
        return rate
    }

    /// As by default on two cores, of which the bounds here speak.
    private static let machine = ["--lanes", "2", "--udp-threads", "1", "--ring-bytes", "\(32 << 20)"]

    private static func residentKilobytes(_ collector: CollectorProcess) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(collector.processID)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return try #require(line?.split(separator: " ").dropFirst().first.flatMap { Int($0) })
    }

    /// The formula of the README, in kB: the program itself, the ring and a quarter of it, a thread for datagrams, each batch in
    /// memory with room for one more frame, and for each lane its rows and a replayed batch, compressed and not.
    private static func boundKilobytes(lanes: Int, ringBytes: Int = 32 << 20, batchBytes: Int = 8 << 20) -> Int {
        let slots = 2 * lanes + 6
        let lane = 80 << 20 + 2 * batchBytes
        return (70 << 20 + ringBytes * 5 / 4 + 4 << 20 + slots * (batchBytes + 1 << 20) + lanes * lane) >> 10
    }

    @Test func anOutageIsSpilledAndReplayedWholeAndOnce() throws {
        let count = Torture.count(1_000_000, 10_000_000)
        // The rate into nothing, and the rate straight into the database.
        let discarding = try CollectorProcess(["--database", "discard"] + Self.machine)
        let discardRate = try Self.send(discarding, count: count, seed: 1)
        #expect(discarding.stop() == 0)
        let server = try TestServers.ownServer(.timescale)
        defer { server.stop() }
        let url = TestServers.url(server.location)
        let direct = try CollectorProcess(["--database", url, "--spill-directory", "none"] + Self.machine)
        let directStart = Date()
        _ = try Self.send(direct, count: count, seed: 2)
        _ = try direct.waitForStats(seconds: 600) { $0["records_committed"] >= count }
        let directRate = Double(count) / Date().timeIntervalSince(directStart)
        #expect(direct.stop() == 0)
        try DatabaseConnection(server.location).execute("TRUNCATE metrics.routing_metrics")

        let spill = try Programs.temporaryFolder("spill")
        let arguments = ["--database", url, "--spill-directory", spill] + Self.machine
        let collector = try CollectorProcess(arguments)
        server.stop()
        let spillRate = try Self.send(collector, count: count, seed: 3)
        let full = try collector.waitForStats(seconds: 60) { $0["records_in_spill"] == count }
        try server.start()
        _ = try collector.waitForStats(seconds: 60) { $0["records_replayed"] > 0 }
        let replayStart = Date()
        let before = try collector.stats()["records_replayed"]
        let stats = try collector.waitForStats(seconds: 900) { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        let replayRate = Double(count - before) / Date().timeIntervalSince(replayStart)
        let bytes = full["spill_bytes"]
        let megabytes = try Self.residentKilobytes(collector) / 1_024
        print(
            "outage of \(count) records: into discard \(Int(discardRate)) records/s, into the spill \(Int(spillRate)) "
                + "(\(Int(spillRate / discardRate * 100)) %), \(bytes / max(count, 1)) bytes a record on disk; direct "
                + "drain \(Int(directRate)) records/s, replay \(Int(replayRate)) "
                + "(\(Int(replayRate / directRate * 100)) %); at most \(megabytes) MB resident")
        #expect(stats["records_damaged"] == 0)
        #expect(try Torture.rows(server.location).all == count)
        #expect(try Self.residentKilobytes(collector) < Self.boundKilobytes(lanes: 2))
        usleep(2_500_000)
        #expect(collector.stop() == 0, "\(collector.logText)")
        let left = try FileManager.default.contentsOfDirectory(atPath: spill)
        #expect(Set(left) == ["database", "lock"], "the spill is not empty: \(left)")
        // A restart sends nothing again.
        let again = try CollectorProcess(arguments)
        usleep(1_000_000)
        #expect(try again.stats()["records_received"] == 0)
        #expect(again.stop() == 0)
        #expect(try Torture.rows(server.location).all == count)
    }

    /// Frames of one kind whose rows are sixteen times as large: each record has a tag that the frame holds once.
    private static func sendExpanding(_ kind: MetricKind, frames count: Int, round: Int, to address: String) throws {
        let identity = SourceIdentity(name: "expanding")
        var sender = AcknowledgedSender(to: try CollectorAddress("tcp://\(address)"), identity: identity)
        let text = String(repeating: "prompt \(kind.name) ", count: 60_000 / (8 + kind.name.count))
        var encoder = FrameEncoder(frameBytesTarget: 200_000)
        for number in 0..<count {
            for index in 0..<14 {
                var record = AnyRecord(kind: kind, time: 1_790_000_000_000_000 + Int64(round * 1_000 + number))
                record.tags = Tags([Tags.Pair(key: "\(index)", value: text)])
                #expect(try encoder.append(record))
            }
            let sequence = UInt64(number + 1)
            let frame = try #require(
                encoder.finish(identity.frame(sequence: sequence)) { frame in frame.withUnsafeBytes { Array($0) } })
            try sender.send(frame.span.bytes, sequence: sequence, recordCount: 14)
        }
        try sender.waitUntilAcknowledged()
        let receipt = try sender.finish()
        #expect(receipt?.framesRefused == 0)
    }

    @Test func textsThatExpandLeaveMemoryWithinTheFormula() throws {
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess(["--database", TestServers.url(location)] + Self.machine)
        let deadline = Date() + (Torture.isLong ? 600 : 0)
        var sent = 0
        var round = 0
        repeat {
            round += 1
            for kind in MetricKind.allCases {
                // A batch and more of each kind, one after the other.
                let frames = Torture.count(60, 300)
                try Self.sendExpanding(kind, frames: frames, round: round, to: try collector.address("tcp"))
                sent += 14 * frames
            }
            _ = try collector.waitForStats(seconds: 300) { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
            let tables = MetricKind.allCases.map { "metrics.\($0.tableName)" }.joined(separator: ", ")
            if Torture.isLong { try DatabaseConnection(location).execute("TRUNCATE \(tables)") }
        } while Date() < deadline
        let stats = try collector.stats()
        let megabytes = try Self.residentKilobytes(collector) / 1_024
        print(
            "expanding texts: \(sent) records of all kinds in \(round) rounds, at most \(megabytes) MB resident, the formula is "
                + "\(Self.boundKilobytes(lanes: 2) / 1_024) MB")
        #expect(stats["records_committed"] == sent)
        #expect(try Self.residentKilobytes(collector) < Self.boundKilobytes(lanes: 2))
        #expect(collector.stop() == 0)
    }

    @Test func aSlowDatabaseLeavesMemoryBoundedAndTheBooksBalanced() throws {
        let location = try TestServers.database(.plain)
        let collector = try CollectorProcess(["--database", TestServers.url(location)] + Self.machine)
        try DatabaseConnection(location).execute(
            """
            CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.8); RETURN NULL; END';
            CREATE TRIGGER slow BEFORE INSERT ON metrics.routing_metrics FOR EACH STATEMENT EXECUTE FUNCTION public.slow()
            """)
        // What the slowed database takes, and then twice as much.
        let calibration = 6.0
        var sent = Torture.count(2_000_000, 6_000_000)
        _ = try Self.send(collector, count: sent, seed: 100)
        let before = try collector.stats()["records_committed"]
        usleep(UInt32(calibration * 1e6))
        let capacity = Int(Double(try collector.stats()["records_committed"] - before) / calibration)
        try #require(capacity > 1_000)
        let seconds = Torture.count(15, 600)
        let start = Date()
        let atStart = sent
        // By one sender: between two the collector would have a rest.
        _ = try Self.send(collector, count: 2 * capacity * seconds, seed: 101, rate: 2 * capacity)
        sent += 2 * capacity * seconds
        let arrivalRate = Double(sent - atStart) / Date().timeIntervalSince(start)
        let during = try collector.stats()
        let udp = try Programs.run([
            "send", "--to", "udp://\(try collector.address("udp"))", "--generate", "memory", "--count", "500000",
        ])
        #expect(udp.status == 0)
        try DatabaseConnection(location).execute("DROP TRIGGER slow ON metrics.routing_metrics")
        let stats = try collector.waitForStats(seconds: 1_200) { $0["records_in_spill"] == 0 && $0.unaccounted == 0 }
        let kilobytes = try Self.residentKilobytes(collector)
        print(
            "overload: \(sent) records, for \(seconds) s at \(Int(arrivalRate)) records/s where the slowed database takes "
                + "\(capacity); it had \(during["records_committed"]) when all had come; at most \(kilobytes / 1_024) MB resident, the bound "
                + "is \(Self.boundKilobytes(lanes: 2) / 1_024) MB")
        #expect(during["records_spilled"] > 0)
        #expect(kilobytes < Self.boundKilobytes(lanes: 2))
        #expect(stats["ring_full_drops"] + stats["records_committed"] == stats["records_received"])
        #expect(collector.stop() == 0)
        // By the ledger, which is committed with the rows: to count a hundred million takes too long.
        let rows = try DatabaseConnection(location).query("SELECT sum(records) FROM spillway.batches")[0][0]
        #expect(rows == "\(stats["records_committed"])")
        if !Torture.isLong { #expect(try Torture.rows(location).all == sent) }
    }
}
