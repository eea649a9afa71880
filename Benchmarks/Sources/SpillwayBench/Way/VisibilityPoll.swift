// When sent records can be seen: a connection of its own asks the table for the probes that it has not seen yet, again and
// again.
//
// Bias: a probe counts as seen at the end of the query that found it, so it was visible for up to one round, pause and query
// together, before. The round is measured and told beside the latencies. The queries take some of the machine as well.

import FrameCodec
import Glibc
import Postgres

/// What was seen of the probes.
struct VisibilityPoll {
    /// From when each record was due to be sent to when it was seen, in milliseconds, in the order of their times.
    private(set) var latencies: [Double] = []
    /// The mean of a round that asked, in milliseconds.
    private(set) var roundMilliseconds = 0.0

    private static let pauseMicroseconds: UInt32 = 3_000
    private static let patienceMicroseconds: Int64 = 20_000_000
    /// Each of the probes by the index on time.
    private static let sql = """
        SELECT (extract(epoch FROM time) * 1000000)::bigint FROM \(DrainBenchmark.table)
        WHERE time = ANY (ARRAY(
            SELECT timestamptz 'epoch' + probe * interval '1 microsecond' FROM unnest($1::bigint[]) AS probe))
        AND time >= timestamptz 'epoch' + $2::bigint * interval '1 microsecond'
        """

    /// Runs until all probes were seen.
    init(_ connection: DatabaseConnection, _ probes: Probes) throws {
        var taken = 0
        var missing: [Int64] = []
        var seen: [(time: Int64, latency: Double)] = []
        var rounds = 0
        var asked = Int64(0)
        while true {
            let start = wallMicroseconds()
            // Before the probes are taken: if it is over, they are all there.
            let hasEnded = probes.hasEnded
            let new = probes.sent(from: taken)
            taken += new.count
            missing += new
            if let oldest = missing.first {
                let list = "{" + missing.map { String($0) }.joined(separator: ",") + "}"
                let rows = try connection.query(Self.sql, [list, String(oldest)])
                let now = wallMicroseconds()
                let found = Set(rows.compactMap { $0[0].flatMap { Int64($0) } })
                seen += missing.filter { found.contains($0) }.map { ($0, Double(now - $0) / 1_000) }
                missing.removeAll { found.contains($0) }
                guard now - oldest < Self.patienceMicroseconds else {
                    throw BenchError("a record was not there after \(Self.patienceMicroseconds / 1_000_000) s")
                }
                usleep(Self.pauseMicroseconds)
                asked += wallMicroseconds() - start
                rounds += 1
            } else if hasEnded {
                break
            } else {
                usleep(Self.pauseMicroseconds)
            }
        }
        roundMilliseconds = Double(asked) / 1_000 / Double(max(1, rounds))
        latencies = seen.sorted { $0.time < $1.time }.map(\.latency)
    }

    /// The latency that so many percent of the probes stay below, without the first ones.
    func percentile(_ percent: Double, skipping count: Int) -> Double {
        let sorted = latencies.dropFirst(count).sorted()
        return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * percent / 100))]
    }
}
