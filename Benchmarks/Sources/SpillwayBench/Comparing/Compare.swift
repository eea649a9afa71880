// `spillway-bench compare OLD.json NEW.json`: what changed between two measurements.

import ArgumentParser
import Foundation

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare two measurements.",
        discussion: """
            Prints every figure whose median differs: what got worse first. Where the ranges of the runs touch, the \
            difference is noise. A ratio is new by old.
            """)

    @Argument(help: "The JSON of the older measurement.") var old: String
    @Argument(help: "The JSON of the newer one.") var new: String
    @Option(help: "Exit with 1 if a figure got worse by more than so many percent of the old median, beyond noise.")
    var failOver: Double?

    func validate() throws {
        guard failOver ?? 0 >= 0 else { throw ValidationError("--fail-over is 0 or more") }
    }

    func run() throws {
        let comparison = Comparison(old: try Report(contentsOf: old), new: try Report(contentsOf: new))
        print(comparison.markdown(), terminator: "")
        guard let failOver else { return }
        let failed = comparison.worse(byMoreThan: failOver)
        guard failed.isEmpty else {
            say("\(failed.count) worse by more than \(short(failOver)) %")
            throw ExitCode(1)
        }
    }
}

extension Report {
    /// Reads what `write(to:)` wrote.
    init(contentsOf path: String) throws {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw ValidationError("\(path) cannot be read: \(error.localizedDescription)")
        }
        do {
            self = try JSONDecoder().decode(Report.self, from: data)
        } catch {
            throw ValidationError(
                "\(path) is no report of this program, or of an older version, whose reports lack something: \(error)")
        }
    }
}
