// `spillway schema`: what the tables are, whether they are there, and making them.

import ArgumentParser
import Collector
import LinuxSystem
import Postgres
import StoreSchema
import StoreWriter

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print, apply or check the database's schema, and print the rights on it.",
        subcommands: [Print.self, Apply.self, Status.self, Grants.self])

    struct Print: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the SQL that makes the schema, for psql.",
            discussion: "For the flavour given, or for that of the database given.")

        private static let flavours = Flavour.allCases.map(\.rawValue).joined(separator: ", ")

        @Option(help: "One of \(Print.flavours). Without it and a database: \(Flavour.timescaleApache.rawValue).")
        var flavour: String?
        @OptionGroup var location: DatabaseArguments

        func run() throws {
            try writeOutput(SchemaSQL.script(try chosenFlavour()))
        }

        private func chosenFlavour() throws -> Flavour {
            if let flavour {
                guard let found = Flavour(rawValue: flavour) else {
                    throw CommandError(.usage, "--flavour \(flavour): it is one of \(Self.flavours)")
                }
                return found
            }
            guard location.database != nil else { return .timescaleApache }
            let connection = try location.connect(as: "spillway schema")
            return try talking { () throws(DatabaseError) in try ServerIdentity.detect(connection).flavour }
        }
    }

    struct Apply: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make what is missing of the schema. Safe to repeat, and for several at once.")

        @OptionGroup var location: DatabaseArguments
        @Option(help: ArgumentHelp(stringLiteral: Setting.daysAhead.help)) var daysAhead = "3d"
        @Option(help: ArgumentHelp(stringLiteral: Setting.timescaledb.help)) var timescaledb = "auto"
        @Option(help: ArgumentHelp(stringLiteral: Setting.retention.help)) var retention: [String] = []
        @Option(help: ArgumentHelp(stringLiteral: Setting.compression.help)) var compression: [String] = []
        @Option(help: ArgumentHelp(stringLiteral: Setting.chunkInterval.help)) var chunkInterval: [String] = []
        @Option(help: ArgumentHelp(stringLiteral: Setting.index.help)) var index: [String] = []
        @Flag(help: "Print the statements that would be run, and run none.") var dryRun = false
        @Flag(help: "Print the report as JSON.") var json = false

        func run() throws {
            guard ["auto", "off"].contains(timescaledb) else {
                throw CommandError(.usage, "--timescaledb \(timescaledb): it must be auto or off")
            }
            let changes = try policyChanges()
            let daysAhead = try quantity(daysAhead, .days, in: 1...366, option: "--days-ahead")
            let indexes = try index.map { (text) throws(CommandError) in
                do throws(PolicyError) { return try FieldIndex(text) } catch {
                    throw CommandError(.usage, "--index \(error)")
                }
            }
            let connection = try location.connect(as: "spillway schema", isForWriting: true)
            let manager = SchemaManager(connection, usesTimescale: timescaledb != "off")
            if dryRun {
                let script = try talking { () throws(DatabaseError) in
                    try manager.dryRun(daysAhead: daysAhead, changes: changes)
                }
                try writeOutput(script.isEmpty ? "-- nothing to do\n" : script)
                return
            }
            let (status, created) = try talking { () throws(DatabaseError) in
                (try manager.apply(daysAhead: daysAhead, changes: changes), try manager.createIndexes(indexes))
            }
            for line in created { report("created \(line)") }
            try writeOutput(json ? status.json : status.text)
        }

        private func policyChanges() throws(CommandError) -> PolicyChanges {
            var changes = PolicyChanges()
            for (subject, values) in [
                (PolicyChanges.Subject.retention, retention), (.compression, compression),
                (.chunkInterval, chunkInterval),
            ] {
                do throws(PolicyError) {
                    try changes.add(subject, values.flatMap { $0.split(separator: ",").map(String.init) })
                } catch {
                    throw CommandError(.usage, "--\(subject.rawValue) \(error)")
                }
            }
            return changes
        }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the server, the schema's version and the tables. Exit 65 when something is missing.")

        @OptionGroup var location: DatabaseArguments
        @Flag(help: "Print the report as JSON.") var json = false

        func run() throws {
            let connection = try location.connect(as: "spillway schema")
            var report = try talking { () throws(DatabaseError) in
                try SchemaManager(connection).inspect(TableTrial.refusal)
            }
            report.warnings += CollectorWarnings.of(
                connection.location, environment: processEnvironment(), without: report.warnings)
            try writeOutput(json ? report.json : report.text)
            guard report.isComplete else {
                throw CommandError(.badData, "the schema is not complete; 'spillway schema apply' makes it so")
            }
        }
    }
}
