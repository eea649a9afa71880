// `spillway schema grants`: SQL for roles that do not own the schema.

import ArgumentParser
import StoreSchema

extension SchemaCommand {
    struct Grants: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the SQL that lets a role store, and others read, for psql.",
            discussion: """
                The role of the collector may then do what 'spillway serve' needs and nothing else: it makes no tables, and \
                reads no records. The owner of the schemas runs the SQL, after 'spillway schema apply'.

                EXAMPLE:
                  spillway schema grants --role collector --readers analysts | psql postgresql://owner@db.example/metrics
                """)

        @Option(help: "The role that 'spillway serve' connects as.") var role: String
        @Option(help: "A role that may read the metrics. Repeatable.") var readers: [String] = []

        func run() throws {
            let script: String
            do throws(SchemaGrants.BadName) {
                script = try SchemaGrants(collector: role, readers: readers).script
            } catch {
                throw CommandError(.usage, "\(error)")
            }
            try writeOutput(script)
        }
    }
}
