// What a running collector has received, and what became of it.

import ArgumentParser

/// `spillway stats`
struct StatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show what a running collector received, and what became of it.",
        discussion: """
            Every record that was received is in the database, in the spill, in memory, set aside, or lost in a place \
            that is named: the last line of the list says whether that adds up.

            EXAMPLES:
              spillway stats
              spillway stats --http 10.0.0.5:8128 --json
            """)

    @Option(help: ArgumentHelp("Where the collector answers HTTP.", valueName: "addr:port"))
    var http = "127.0.0.1:8128"

    @Flag(help: "Print the collector's own JSON.")
    var json = false

    func run() throws {
        let body = try HTTPRequest(address: http).get("/stats")
        if json {
            try writeOutput(String(decoding: body, as: UTF8.self) + (body.last == 0x0A ? "" : "\n"))
        } else {
            try writeOutput(line: StatisticsTable(statistics: try CollectorStatistics(json: body)).text)
        }
    }
}
