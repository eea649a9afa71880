// What collectors on this machine warn of, for commands that show the state of their database: a spill that is full or stranded,
// descriptors, clients with a wrong clock.

import Collector
import Postgres

enum CollectorWarnings {
    /// The warnings of the running collectors that store into a database, one line each.
    ///
    /// - Parameter known: lines that are shown already.
    static func of(
        _ location: DatabaseLocation, environment: [String: String], without known: [String]
    ) -> [String] {
        var lines: [String] = []
        for collector in RunningCollector.all(environment: environment) where stores(collector, into: location) {
            for warning in warnings(of: collector) where !known.contains(warning) {
                lines.append("collector with process id \(collector.processID): \(warning)")
            }
        }
        return lines
    }

    private static func stores(_ collector: RunningCollector, into location: DatabaseLocation) -> Bool {
        do throws(CommandError) {
            return try DatabaseChoice.location(of: collector).targetDescription == location.targetDescription
        } catch {
            // It drops its records, or its embedded server is gone.
            return false
        }
    }

    private static func warnings(of collector: RunningCollector) -> [String] {
        let address = collector.addresses.first { $0.hasPrefix("http ") }?.dropFirst("http ".count)
        guard let address else { return [] }
        do throws(CommandError) {
            let statistics = try CollectorStatistics(json: try HTTPRequest(address: String(address)).get("/stats"))
            return (statistics.notReady ?? []) + (statistics.warnings ?? [])
        } catch {
            return ["it does not say what it warns of: \(error)"]
        }
    }
}
