// The ledger as `/stats` has it, and whether its books balance.

import Accounting
import FoundationEssentials

/// What `/stats` says. Members that this version does not know are passed over, absent ones count as 0.
struct CollectorStatistics: Decodable {
    struct Source: Decodable {
        let source: String
        /// What its heartbeats say.
        let name: String?
        let peer: String?
        let totals: [String: UInt64]
        let reconciliation: Reconciliation?
    }

    /// What senders say that they sent, and what of it did not come.
    struct Reconciliation: Decodable {
        let sessions: UInt64?
        let recordsSent: UInt64?
        let recordsMissing: UInt64?
        let recordsDroppedByClient: UInt64?
        let sessionsBegunBefore: UInt64?
        /// False when sessions were evicted: what is missing is then the least that was lost.
        let exact: Bool?

        private enum CodingKeys: String, CodingKey {
            case sessions, exact
            case recordsSent = "records_sent"
            case recordsMissing = "records_missing"
            case recordsDroppedByClient = "records_dropped_by_client"
            case sessionsBegunBefore = "sessions_begun_before"
        }
    }

    let totals: [String: UInt64]
    let framesRefused: [String: UInt64]?
    let reconciliation: Reconciliation?
    let gauges: [String: Double]?
    let sources: [Source]?
    let database: String?
    let databaseAddress: String?
    let processID: Int32?
    let notReady: [String]?
    let warnings: [String]?

    private enum CodingKeys: String, CodingKey {
        case totals, gauges, sources, database, warnings, reconciliation
        case framesRefused = "frames_refused"
        case notReady = "not_ready"
        case databaseAddress = "database_address"
        case processID = "process_id"
    }

    init(json: [UInt8]) throws(CommandError) {
        do {
            self = try JSONDecoder().decode(CollectorStatistics.self, from: Data(json))
        } catch {
            throw CommandError(
                .unavailable, "the collector's statistics cannot be read: is it of another version than this program?")
        }
    }

    /// A number of the totals or of the gauges.
    subscript(name: String) -> UInt64 {
        if let total = totals[name] { return total }
        guard let gauge = gauges?[name], gauge >= 0, gauge < 1e18 else { return 0 }
        return UInt64(gauge)
    }

    /// Where the records are that were received: at the end of a run their sum is `records_received`.
    static let places: [(name: String, meaning: String)] =
        [
            (Balance.inSpill, "in the spill, for later"),
            ("records_in_memory", "in memory, on their way"),
        ] + Balance.settled.map { ($0.counter.name, $0.meaning) }

    /// How long the collector has run, for example `3 h 12 min` or `45 s`.
    var age: String {
        let seconds = self["uptime_seconds"]
        if seconds >= 86_400 { return "\(seconds / 86_400) d \(seconds / 3_600 % 24) h" }
        if seconds >= 3_600 { return "\(seconds / 3_600) h \(seconds / 60 % 60) min" }
        return seconds >= 60 ? "\(seconds / 60) min" : "\(seconds) s"
    }

    /// Records received less records accounted for.
    var unaccounted: Int64 {
        let accounted = Self.places.reduce(UInt64(0)) { $0 &+ self[$1.name] }
        return Int64(bitPattern: self["records_received"] &- accounted)
    }
}
