// `spillway schema`: what the tables are, whether they are there, and making them.

import ArgumentParser
import TimescaleStore

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print, apply or check the database's schema.",
        subcommands: [Print.self, Apply.self, Status.self])

    struct Print: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the SQL that makes the schema, for psql.",
            discussion: "For the flavour given, or for that of the database given.")

        private static let flavours = Flavour.allCases.map(\.rawValue).joined(separator: ", ")

        @Option(help: "One of \(Print.flavours). Without it and a database: \(Flavour.timescaleApache.rawValue).")
        var flavour: String?
        @OptionGroup var location: DatabaseArguments

        func run() throws {
            Swift.print(SchemaSQL.script(try chosenFlavour()), terminator: "")
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
            do throws(DatabaseError) {
                return try ServerIdentity.detect(connection).flavour
            } catch {
                throw CommandError(.unavailable, "\(error)")
            }
        }
    }

    struct Apply: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make what is missing of the schema. Safe to repeat, and for several at once.")

        @OptionGroup var location: DatabaseArguments
        @Option(help: "Days for which partitions are made ahead, on plain PostgreSQL.") var daysAhead = 3
        @Flag(help: "Print the report as JSON.") var json = false

        func run() throws {
            let connection = try location.connect(as: "spillway schema")
            do throws(DatabaseError) {
                let report = try SchemaManager(connection).apply(daysAhead: daysAhead)
                Swift.print(json ? report.json : report.text, terminator: "")
            } catch {
                throw CommandError(.unavailable, "\(error)")
            }
        }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the server, the schema's version and the tables. Exit 65 when something is missing.")

        @OptionGroup var location: DatabaseArguments
        @Flag(help: "Print the report as JSON.") var json = false

        func run() throws {
            let connection = try location.connect(as: "spillway schema")
            let report: SchemaReport
            do throws(DatabaseError) {
                report = try SchemaManager(connection).status()
            } catch {
                throw CommandError(.unavailable, "\(error)")
            }
            Swift.print(json ? report.json : report.text, terminator: "")
            guard report.isComplete else {
                throw CommandError(.badData, "the schema is not complete; 'spillway schema apply' makes it so")
            }
        }
    }
}
