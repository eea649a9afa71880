// What a running collector has received, and what became of it.

import ArgumentParser
import LinuxSystem
import Collector

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

    @Option(
        help: ArgumentHelp(
            "Where the collector answers HTTP; without it, that of the collector of this machine.",
            valueName: "addr:port"))
    var http: String?

    @Flag(help: "Print the collector's own JSON.")
    var json = false

    func run() throws {
        let body = try HTTPRequest(address: http ?? Self.addressOfRunningCollector()).get("/stats")
        if json {
            try writeOutput(String(decoding: body, as: UTF8.self) + (body.last == 0x0A ? "" : "\n"))
        } else {
            try writeOutput(line: StatisticsTable(statistics: try CollectorStatistics(json: body)).text)
        }
    }

    /// That of the collector of this machine where there is one, or the usual one.
    private static func addressOfRunningCollector() throws(CommandError) -> String {
        let addresses = RunningCollector.all(environment: processEnvironment()).flatMap(\.addresses)
            .filter { $0.hasPrefix("http ") }.map { String($0.dropFirst("http ".count)) }
        guard addresses.count <= 1 else {
            throw CommandError(
                .usage,
                "which collector? Several run here: give --http with one of "
                    + addresses.joined(separator: ", "))
        }
        return addresses.first ?? "127.0.0.1:\(HTTPRequest.portDefault)"
    }
}
