import ArgumentParser
import JSONLines
import LinuxSystem
import SpillwayClient

/// `routing`, another kind, or `all` of them in turn.
struct KindChoice: ExpressibleByArgument {
    let kind: MetricKind?

    init?(argument: String) {
        kind = MetricKind(name: argument)
        if kind == nil, argument != "all" { return nil }
    }

    static var allValueStrings: [String] { ["all"] + MetricKind.allCases.map(\.name) }
    var defaultValueDescription: String { kind?.name ?? "all" }
}

/// What the generator makes.
struct GeneratorArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Make records instead of reading them.", valueName: "kind|all"))
    var generate: KindChoice?

    @Option(help: ArgumentHelp("How many records to make.", valueName: "records"))
    var count: Int?

    @Option(help: "Another seed makes other records; the same one makes the same.")
    var seed: UInt64 = 1

    @Option(
        name: .long, parsing: .unconditional,
        help: ArgumentHelp(
            "The first record's time: \(TimeArgument.forms); the others follow 1 ms apart.",
            valueName: "time"))
    var startTime: String?

    func validate() throws {
        if generate != nil {
            guard let count, count > 0 else { throw ValidationError("--generate needs --count with a number above 0.") }
        } else if count != nil || startTime != nil {
            throw ValidationError("--count and --start-time go with --generate.")
        }
        if let startTime {
            do throws(CommandError) {
                _ = try TimeArgument.parse(startTime, option: "--start-time", now: wallClockMicroseconds())
            } catch {
                throw ValidationError(error.message)
            }
        }
    }

    /// - Parameter startTimeDefault: the first record's time unless it was given, in microseconds since the Unix epoch.
    func feed(startTimeDefault: Int64) throws(CommandError) -> GeneratedFeed {
        guard let generate, let count else {
            throw CommandError(.usage, "nothing to generate: give --generate and --count")
        }
        var options = RecordGenerator.Options(kind: generate.kind, seed: seed, startTime: startTimeDefault)
        if let startTime {
            options.startTime = try TimeArgument.parse(startTime, option: "--start-time", now: wallClockMicroseconds())
        }
        return GeneratedFeed(options, count: count)
    }
}
