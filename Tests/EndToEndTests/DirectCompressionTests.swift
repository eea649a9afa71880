// Rows that are compressed while they come in are the rows that were sent.

import Foundation
import Postgres
import TestSupport
import Testing

@Suite(.serialized) struct DirectCompressionTests {
    @Test(arguments: TestFlavour.allCases) func rowsAreTheSameAndCompressedWhereThatCanBe(_ flavour: TestFlavour) throws
    {
        if TestServers.communityURL == nil {
            print("skipped: the Community edition's part, since TIMESCALEDB_COMMUNITY_URL names no server")
        }
        // The same records without and with it.
        var sums: [[[String?]]] = []
        for flags in [[], ["--direct-compress"]] {
            let location = try TestServers.database(flavour)
            let collector = try CollectorProcess(
                ["--database", TestServers.url(location), "--flush-interval", "500"] + flags)
            let sent = try Programs.run([
                "send", "--to", "tcp://\(collector.address("tcp"))", "--acknowledged", "--generate", "routing",
                "--count",
                "120000", "--seed", "9",
            ])
            #expect(sent.status == 0, "\(sent.errors)")
            let stats = try collector.waitForStats { $0["records_committed"] == 120_000 }
            #expect(stats.unaccounted == 0)
            #expect(collector.stop() == 0)
            let notices = collector.logText.split(separator: "\n").count { $0.contains("--direct-compress needs") }
            #expect(notices == (flags.isEmpty || flavour == .community ? 0 : 1), "\(collector.logText)")
            // The servers of the tests run without fsync.
            let warnings = collector.logText.split(separator: "\n").filter {
                $0.contains(" warning ") && !$0.contains("is off on this server")
            }
            #expect(warnings.isEmpty, "\(warnings)")
            let connection = try DatabaseConnection(location)
            sums.append(
                try connection.query(
                    """
                    SELECT model_selected, count(*), count(DISTINCT query_id), sum(routing_time_ms), sum(hashtext(query_text)),
                        sum(hashtext(tags::text)), sum(complexity_score::float8)::numeric(20, 6)
                    FROM metrics.routing_metrics GROUP BY 1 ORDER BY 1
                    """))
            guard flavour == .community else { continue }
            let heap = try connection.query(
                """
                SELECT sum(pg_relation_size(format('%I.%I', chunk_schema, chunk_name)::regclass))
                FROM timescaledb_information.chunks WHERE hypertable_name = 'routing_metrics'
                """)
            let bytes = Int(heap[0][0] ?? "") ?? 0
            if flags.isEmpty { #expect(bytes > 10_000_000) } else { #expect(bytes < 1_000_000, "\(bytes)") }
        }
        #expect(sums[0] == sums[1] && sums[0].count > 1)
    }
}
