// What lies in a spill directory: to look at, to check, to print, and to store without a collector.

import ArgumentParser
import Collector
import Drain
import EmbeddedPostgres
import LinuxSystem
import Postgres
import SpillLog
import SpillwayClient
import StoreSchema
import StoreWriter

/// `spillway spill`
struct SpillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spill",
        abstract: "Look into a spill directory, check it, print it, or store what it holds.",
        discussion: """
            EXAMPLES:
              spillway spill list --spill-directory /var/lib/spillway/spill
              spillway spill verify --spill-directory /mnt/old/spill
              spillway spill replay --spill-directory /mnt/old/spill --database postgresql://metrics@db.example/metrics
            """,
        subcommands: [List.self, Verify.self, Cat.self, Replay.self])

    struct Directory: ParsableArguments {
        @Option(help: "The spill's directory.") var spillDirectory: String

        /// Looks through the directory without changing it: a collector may be using it.
        func look(verifiesSealedBodies: Bool) throws(CommandError) -> (SpillDirectory, SpillRecovery) {
            do throws(SpillError) {
                let directory = try SpillDirectory.read(spillDirectory)
                var line = SpillProgressLine()
                let recovery = try SpillRecovery(
                    fileSystem: directory.fileSystem, isReadOnly: true, verifiesSealedBodies: verifiesSealedBodies,
                    onSessions: { _, _ in }
                ) { line.show("segment", $0.segmentsDone, of: $0.segments) }
                line.clear()
                return (directory, recovery)
            } catch {
                throw CommandError(error)
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show segments, batches, records, ages and damage. A collector may be running.",
            discussion: """
                Segments are open while they are written, ended when they were closed in order, and damaged. Of an ended segment \
                only the headers are read: 'spill verify' reads every byte.
                """)

        @OptionGroup var directory: Directory
        @Flag(help: "Print it as JSON.") var json = false

        func run() throws {
            let (opened, recovery) = try directory.look(verifiesSealedBodies: false)
            let report = SpillReport(recovery, opened, nowMicroseconds: wallClockMicroseconds())
            try writeOutput(json ? report.json : report.text)
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read and check every byte, and say whether all is sound. Exit 65 when something is damaged.",
            discussion: "A segment that a collector is writing right now may seem to end in the middle of a batch.")

        @OptionGroup var directory: Directory
        @Flag(help: "Print it as JSON.") var json = false

        func run() throws {
            let (opened, recovery) = try directory.look(verifiesSealedBodies: true)
            var report = SpillReport(recovery, opened, nowMicroseconds: wallClockMicroseconds())
            let reader = ReplayReader(opened)
            for batch in recovery.segments.flatMap(\.batches) {
                do throws(SpillError) { try reader.read(batch) } catch { report.add("\(error)") }
            }
            try writeOutput(json ? report.json : report.text + report.verdict + "\n")
            guard report.isSound else { throw CommandError(.badData, "the spill has damage") }
        }
    }

    struct Cat: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the records as JSON lines, oldest batch first. Exit 65 when something is damaged.")

        @OptionGroup var directory: Directory
        @Flag(help: "Print the frames as they are instead.") var frames = false

        func run() throws {
            let (opened, recovery) = try directory.look(verifiesSealedBodies: true)
            let reader = ReplayReader(opened)
            var output = try ByteOutput(path: nil)
            var printer = FrameLinePrinter()
            var damage = recovery.segments.reduce(0) { $0 + $1.damage.count }
            for batch in recovery.segments.flatMap(\.batches) {
                do throws(SpillError) {
                    try reader.read(batch)
                } catch {
                    report("\(error)")
                    damage += 1
                    continue
                }
                var faults: [String] = []
                try reader.withFrames { (bytes) throws(CommandError) in
                    if frames { return try output.write(bytes.bytes) }
                    faults = try printer.print(bytes, to: &output)
                }
                for fault in faults { report("batch \(batch.summary.identity): \(fault)") }
                damage += faults.count
            }
            try output.flush()
            guard damage == 0 else {
                throw CommandError(
                    .badData, "\(counted(damage, "place")) could not be read: see 'spillway spill verify'")
            }
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Store what the directory holds, each record once, and remove it. Safe to repeat.",
            discussion:
                "For a directory whose collector is gone: one that runs replays by itself, and owns its directory.")

        @OptionGroup var directory: Directory
        @OptionGroup var location: DatabaseArguments
        @Option(help: ArgumentHelp(stringLiteral: Setting.acceptPast.help))
        var acceptPast = Setting.acceptPast.defaultText ?? "off"
        @Option(help: ArgumentHelp(stringLiteral: Setting.acceptFuture.help))
        var acceptFuture = Setting.acceptFuture.defaultText ?? "off"
        @Flag(help: "Print what was done as JSON.") var json = false

        private func distance(_ text: String, _ setting: Setting) throws(CommandError) -> Int64? {
            guard let distance = TimeDistance(text) else {
                throw CommandError(.usage, "\(setting.flag) \(text): it must be \(TimeDistance.allowed)")
            }
            return distance.microseconds
        }

        /// A spill that names another database than the one that was found goes there only if that is said.
        private func checkOwner(_ opened: SpillDirectory, _ found: DatabaseLocation) throws(CommandError) {
            guard location.database == nil, let owner = opened.database, owner != "discard",
                target(of: owner) != found.targetDescription
            else { return }
            throw CommandError(
                .usage,
                "the spill holds batches for \(owner), and the database found here is \(found.targetDescription): give "
                    + "--database with the one that they are to go to")
        }

        /// Where the owner of a spill is now.
        private func target(of owner: String) -> String {
            guard owner.hasPrefix("embedded:") else { return owner }
            do throws(EmbeddedServerError) {
                return try EmbeddedServer.lastLocation(directory: String(owner.dropFirst("embedded:".count)))
                    .targetDescription
            } catch {
                return owner
            }
        }

        func run() throws {
            let bounds = TimeBounds(
                past: try distance(acceptPast, .acceptPast), future: try distance(acceptFuture, .acceptFuture))
            let opened: SpillDirectory
            do throws(SpillError) {
                // Looked at first: a directory that is not there is not made.
                _ = try SpillDirectory.read(directory.spillDirectory)
                opened = try SpillDirectory.open(directory.spillDirectory)
            } catch {
                throw CommandError(error)
            }
            let connection = try location.connect(as: "spillway spill replay", isForWriting: true)
            try checkOwner(opened, connection.location)
            var line = SpillProgressLine()
            let outcome: SpillImportProgress
            do {
                try SchemaManager(connection).apply()
                outcome = try SpillImport(opened, connection, bounds: bounds).run {
                    line.show("batch", $0.batchesDone, of: $0.batches)
                }
                line.clear()
            } catch let error as DatabaseError {
                line.clear()
                throw CommandError(.unavailable, "\(error); what is stored is stored: repeat the command for the rest")
            } catch let error as SpillError {
                line.clear()
                throw CommandError(error)
            }
            let quarantine = opened.quarantine
            let kept = json || quarantine.files == 0 ? "" : "\n" + quarantine.text
            try writeOutput(line: (json ? outcome.json : outcome.text) + kept)
            guard outcome.segmentsLeftAlone == 0 else {
                throw CommandError(
                    .inputOutput,
                    "\(counted(outcome.segmentsLeftAlone, "segment")) could not be read and remain in "
                        + "\(directory.spillDirectory): keep it, and repeat the command")
            }
            guard outcome.batchesDamaged == 0 else {
                throw CommandError(
                    .badData,
                    "\(counted(outcome.batchesDamaged, "damaged batch")) in \(directory.spillDirectory)/quarantine; the rest is stored"
                )
            }
        }
    }
}

extension CommandError {
    init(_ error: SpillError) {
        switch error {
        case .directoryNotUsable, .directoryInUse: self.init(.cannotCreate, "\(error)")
        case .quotaReached, .system, .segmentDisturbed: self.init(.inputOutput, "\(error)")
        case .damaged: self.init(.badData, "\(error)")
        }
    }
}
