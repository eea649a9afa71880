// The power goes. A real collector's writes, syncs, commits and answers are recorded; at random moments of the recording the
// disk keeps what was synced and a random part of the rest. What a client had been told by then is in the database or is found
// in what is left, and recovery works on all of it.

import Delivery
import Foundation
import FrameCodec
import SpillLog
import Testing
import TestSupport

@Suite(.serialized, .timeLimit(.minutes(30))) struct PowerLossTests {
    /// What came of looking at many states.
    private struct Outcome {
        var states = 0
        var told: UInt64 = 0
        var segments = 0
        var violations: [String] = []
    }

    @Test func whateverWasNotSyncedMayBeGoneAndNothingAcknowledgedIs() throws {
        var generator = Torture.generator("power losses")
        let spill = try Programs.temporaryFolder("spill")
        let trace = try record(into: spill)
        let states = Torture.count(2_000, 20_000)
        let outcome = try check(trace.events, spill, states: states, without: nil, &generator)
        print(
            "power losses \(outcome.states) over \(trace.events.count) recorded steps, frames told of and found "
                + "\(outcome.told), segments recovered \(outcome.segments), violations \(outcome.violations.count)")
        #expect(outcome.violations.isEmpty, "\(outcome.violations.prefix(3))")
        #expect(outcome.told > UInt64(states))
        // A check that cannot fail proves nothing: without one kind of sync it must find something.
        for omission in RecordedDisk.Omission.allCases {
            let broken = try check(trace.events, spill, states: states / 4, without: omission, &generator)
            print("without \(omission): violations \(broken.violations.count) of \(broken.states)")
            #expect(!broken.violations.isEmpty, "\(omission)")
        }
    }

    /// Runs a collector under load until its spill is replayed and removed.
    private func record(into spill: String) throws -> SystemCallTrace {
        let location = try TestServers.database(.plain)
        let port = try Torture.freePort()
        let file = try Programs.temporaryFile("strace").path
        let collector = try CollectorProcess(
            [
                "--database", TestServers.url(location), "--tcp", "127.0.0.1:\(port)", "--spill-directory", spill,
                "--flush-interval", "10", "--batch-records", "300", "--journal",
            ],
            tracer: [
                "strace", "-f", "-qq", "-o", file, "-X", "raw", "-xx", "-s", "4194304", "-e", "signal=none", "-e",
                "trace=\(SystemCallTrace.calls)",
            ])
        let count = 9_000
        // Pauses, in which segments are ended and removed.
        for round in 0..<3 {
            let sender = try Torture.sender(port, count: count / 3, rate: 6_000, ["--seed", "\(round)"])
            #expect(Torture.wait(sender, seconds: 60))
            _ = try collector.waitForStats { $0["records_in_spill"] == 0 }
            usleep(1_700_000)
        }
        #expect(collector.stop() == 0, "\(collector.logText)")
        #expect(try Torture.rows(location).all == count)
        return try SystemCallTrace(file, spillFolder: spill)
    }

    private func check(
        _ events: [TracedEvent], _ spill: String, states: Int, without omission: RecordedDisk.Omission?,
        _ generator: inout SeededGenerator
    ) throws -> Outcome {
        let moments = (0..<states).map { _ in Int.random(in: 0..<events.count, using: &generator) }.sorted()
        var disk = RecordedDisk()
        var told: [SessionKey: SequenceRanges] = [:]
        var committed: [SessionKey: SequenceRanges] = [:]
        var outcome = Outcome()
        var next = moments.startIndex
        for (index, event) in events.enumerated() {
            disk.apply(event, without: omission)
            switch event {
            case .told(let frames): told.add(frames)
            case .committed(let frames): committed.add(frames)
            default: break
            }
            while next < moments.endIndex, moments[next] == index {
                next += 1
                outcome.states += 1
                var found = committed
                outcome.segments += try recover(disk.afterPowerLoss(&generator), &found)
                for (key, sequences) in told {
                    outcome.told += sequences.count
                    let missing = sequences.ranges.filter { !(found[key] ?? SequenceRanges()).contains($0) }
                    if !missing.isEmpty { outcome.violations.append("behind step \(index): \(key) \(missing)") }
                }
            }
        }
        return outcome
    }

    /// Recovers from a state, twice, as a collector that starts would.
    private func recover(_ state: [String: [UInt8]], _ found: inout [SessionKey: SequenceRanges]) throws -> Int {
        let folder = FileManager.default.temporaryDirectory.appending(path: "power-\(UUID().uuidString)").path
        defer { do { try FileManager.default.removeItem(atPath: folder) } catch { print("\(error)") } }
        let directory = try SpillDirectory.open(folder)
        for (name, bytes) in state {
            let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
            try #require(
                FileManager.default.createFile(
                    atPath: folder + "/" + name, contents: Data(bytes), attributes: attributes))
        }
        let recovery = try SpillRecovery(fileSystem: directory.fileSystem)
        let reader = SpillReader(fileSystem: directory.fileSystem)
        for batch in recovery.segments.flatMap({ $0.batches + $0.copies }) {
            let target = UnsafeMutableRawBufferPointer.allocate(byteCount: batch.summary.byteCount, alignment: 16)
            defer { target.deallocate() }
            do throws(SpillError) { try reader.read(batch, into: target) } catch { continue }
            found.add(batch.summary.sessions)
        }
        let again = try SpillRecovery(fileSystem: directory.fileSystem)
        #expect(again.batches == recovery.batches)
        return recovery.segments.count
    }
}

extension [SessionKey: SequenceRanges] {
    fileprivate mutating func add(_ frames: [SessionFrames]) {
        for frames in frames { self[frames.key, default: SequenceRanges()].formUnion(frames.sequences) }
    }
}
