// How much is stored, since when, and how much room it takes.

import ArgumentParser
import Postgres

/// `spillway database`
struct DatabaseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "database",
        abstract: "Show what is stored: rows, times, sizes, chunks, compression and jobs.",
        discussion: """
            Row counts are the server's estimates, marked with ~, unless --exact counts them. What the user may not \
            see is said at the end.
            """)

    @Flag(help: "Count every row, which reads every table.")
    var exact = false

    @Flag(help: "Print it as JSON.")
    var json = false

    @OptionGroup var database: ReadingArguments

    func run() throws {
        let queries = try database.open(as: "spillway database")
        let overview = try reading { () throws(DatabaseError) in try queries.overview(countsRows: exact) }
        var output = try ByteOutput(path: nil)
        try output.write(text: json ? overview.json : overview.text(location: queries.connection.location))
        try output.flush()
    }
}
