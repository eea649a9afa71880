// What the collector says about itself, taken at one moment: /stats, /metrics and /readyz are three ways to print it.

import Accounting
import Drain
import FrameCodec
import Glibc
import Listeners
import Text

/// A number that goes up and down.
struct Gauge: Sendable {
    /// With its unit, for example `ring_used_bytes`.
    let name: String
    let help: String
    let value: Double
}

/// The ledger, the gauges and the health at one moment.
struct CollectorStatus: Sendable {
    let accounting: AccountingSnapshot
    let gauges: [Gauge]
    let heldTables: [HeldTable]
    /// Why the collector is not ready; empty when it is.
    let notReady: [String]
    /// Things that the operator should look at, which keep nothing from working.
    let warnings: [String]
    /// For example `TimescaleDB 2.19.3 (Apache edition) on PostgreSQL 17.5`; nil before the first connection.
    let database: String?
    /// Nil without a spill.
    let spillDirectory: String?
    /// What commands of this machine connect to, without a password; nil for other machines.
    var databaseAddress: String?
}

extension CollectorStatus {
    /// A counter and its value, in the ledger's order, with what is not in `Counter`.
    var totals: [(name: String, value: UInt64)] {
        Counter.allCases.map { ($0.name, accounting.totals[$0]) } + [
            ("sequence_gap_frames", accounting.sequenceGapFrames),
            ("spill_bytes", accounting.spillBytes),
            (Balance.inSpill, accounting.spillRecords),
        ]
    }

    /// `/stats`. O(sources).
    var json: String {
        var out = "{\n  \"totals\": "
        append(totals, to: &out)
        out += ",\n  \"reconciliation\": "
        append(accounting.reconciliation, to: &out)
        out += ",\n  \"frames_refused\": "
        append(reasons(accounting.totals), to: &out)
        out += ",\n  \"connections_refused\": "
        append(accounting.connectionsRefused.map { ($0.reason.name, $0.count) }, to: &out)
        out += ",\n  \"gauges\": {"
        out += gauges.map { "\(jsonString($0.name)): \(number($0.value))" }.joined(separator: ", ")
        out += "},\n  \"database\": \(database.map(jsonString) ?? "null")"
        out += ",\n  \"spill_directory\": \(spillDirectory.map(jsonString) ?? "null")"
        out += ",\n  \"database_address\": \(databaseAddress.map(jsonString) ?? "null")"
        out += ",\n  \"process_id\": \(getpid())"
        out += ",\n  \"held_tables\": ["
        out += heldTables.map {
            "{\"table\": \(jsonString($0.table)), \"records\": \($0.records), \"reason\": \(jsonString($0.reason))}"
        }.joined(separator: ", ")
        out += "],\n  \"not_ready\": [\(notReady.map(jsonString).joined(separator: ", "))]"
        out += ",\n  \"warnings\": [\(warnings.map(jsonString).joined(separator: ", "))]"
        out += ",\n  \"sources\": ["
        var separator = "\n    "
        for source in accounting.sources {
            out += separator
            append(source, to: &out)
            separator = ",\n    "
        }
        return out + "]\n}\n"
    }

    /// There may be ten thousand of them: in one string, without texts in between.
    private func append(_ source: AccountingSnapshot.Source, to out: inout String) {
        out += "{\"source\": \""
        out += hexadecimal(source.source)
        out += "\", \"name\": "
        if let name = source.name { out.appendJSONString(name.text) } else { out += "null" }
        out += ", \"peer\": "
        // Records of the spill that no sender of this run is known for.
        if let peer = source.lastPeer.known { out.appendJSONString(peer.description) } else { out += "null" }
        out += ", \"last_seen_microseconds\": "
        out += String(source.lastSeenMicroseconds)
        out += ", \"sessions\": "
        out += String(source.sessions)
        out += ", \"totals\": {"
        for (counter, key) in Self.counterKeys where source.counts[counter] > 0 {
            out += key
            out += String(source.counts[counter])
            out += ", "
        }
        out += "\"sequence_gap_frames\": "
        out += String(source.sequenceGapFrames)
        out += "}, \"frames_refused\": {"
        var separator = ""
        for (reason, key) in Self.reasonKeys where source.counts[refused: reason] > 0 {
            out += separator
            out += key
            out += String(source.counts[refused: reason])
            separator = ", "
        }
        out += "}, \"reconciliation\": "
        append(source.reconciliation, to: &out)
        out += "}"
    }

    /// Names as members of an object, made once.
    private static let counterKeys = Counter.allCases.map { ($0, jsonString($0.name) + ": ") }
    private static let reasonKeys = refusalReasons.map { ($0, jsonString($0.name) + ": ") }

    private func append(_ books: Reconciliation, to out: inout String) {
        func put(_ key: String, _ value: UInt64) {
            out += key
            out += String(value)
        }
        put("{\"sessions\": ", UInt64(books.sessions))
        put(", \"frames_sent\": ", books.framesSent)
        put(", \"records_sent\": ", books.recordsSent)
        put(", \"records_dropped_by_client\": ", books.recordsDroppedByClient)
        put(", \"frames_missing\": ", books.framesMissing)
        put(", \"records_missing\": ", books.recordsMissing)
        put(", \"sessions_begun_before\": ", UInt64(books.sessionsBegunBefore))
        out += books.isExact ? ", \"exact\": true}" : ", \"exact\": false}"
    }

    private func append(_ members: [(name: String, value: UInt64)], to out: inout String) {
        var separator = "{"
        for member in members {
            out += separator
            out.appendJSONString(member.name)
            out += ": "
            out += String(member.value)
            separator = ", "
        }
        out += members.isEmpty ? "{}" : "}"
    }

    private func reasons(_ counts: Counts) -> [(name: String, value: UInt64)] {
        refusalReasons.map { ($0.name, counts[refused: $0]) }.filter { $0.1 > 0 }
    }

    private func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    /// `/metrics`: Prometheus text format 0.0.4. Sources are labels as far as `SourceMetrics` says.
    var prometheus: String {
        var out = ""
        func family(_ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: String)]) {
            out += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
            for sample in samples { out += "\(name)\(sample.labels) \(sample.value)\n" }
        }
        for counter in Counter.allCases {
            family(
                "spillway_\(counter.name)_total", "counter", counter.help, [("", "\(accounting.totals[counter])")])
        }
        family(
            "spillway_frames_refused_total", "counter", "Frames that were refused, by reason.",
            refusalReasons.map { ("{reason=\"\($0.name)\"}", "\(accounting.totals[refused: $0])") })
        family(
            "spillway_connections_refused_total", "counter", "Connections turned away or ended, by reason.",
            accounting.connectionsRefused.map { ("{reason=\"\($0.reason.name)\"}", "\($0.count)") })
        family(
            "spillway_sequence_gap_frames", "gauge", "Frames missing between those that came.",
            [("", "\(accounting.sequenceGapFrames)")])
        let books = accounting.reconciliation
        family(
            "spillway_frames_missing", "gauge", "Frames that clients report as sent and that did not come.",
            [("", "\(books.framesMissing)")])
        family(
            "spillway_records_missing", "gauge", "Records that clients report as sent and that did not come.",
            [("", "\(books.recordsMissing)")])
        family(
            "spillway_records_dropped_by_client", "gauge",
            "Records that clients report as dropped before they were sent.",
            [("", "\(books.recordsDroppedByClient)")])
        let sources = SourceMetrics(accounting)
        family(
            "spillway_source_info", "gauge", "The name of a source, as its heartbeats say it.", sources.names)
        family(
            "spillway_source_records_received_total", "counter", "Records received of a source that has a name.",
            sources.recordsReceived)
        for gauge in gauges { family("spillway_\(gauge.name)", "gauge", gauge.help, [("", "\(gauge.value)")]) }
        family(
            "spillway_records_held", "gauge", "Records in the spill that wait for a table that accepts nothing.",
            heldTables.map { ("{table=\"\($0.table)\"}", "\($0.records)") })
        family(
            "spillway_ready", "gauge",
            "1 while records are accepted: the database is reachable, or the spill has room.",
            [("", notReady.isEmpty ? "1" : "0")])
        return out
    }

    /// `/readyz`: also with what the operator should look at, although it works.
    var readiness: HTTPResponse {
        let lines = (notReady.isEmpty ? ["ready"] : notReady) + warnings.map { "warning: \($0)" }
        return .text(lines.map { $0 + "\n" }.joined(), status: notReady.isEmpty ? 200 : 503)
    }
}

/// Every reason that a frame can be refused for.
private let refusalReasons = FrameError.Reason.allCases
