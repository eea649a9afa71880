// Records come back as they were times, those that were asked for and no others, in pages.

import Foundation
import MetricKinds
import TestSupport
import Testing

@testable import StoreQueries
@testable import Postgres

@Suite struct RecordQueryTests {
    @Test(arguments: TestFlavour.allCases) func everyTypeComesBackExactly(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        try store.owner.execute(
            """
            INSERT INTO metrics.memory_metrics (time, agent_id, memory_size_bytes, memory_tokens, cache_hit,
                compression_ratio, importance_score, tags, metadata) VALUES
                (\(QueriedStore.literal(sunday + 123_456)), E'a"\\n\\u00e9', -9223372036854775808, 2147483647, false, 0.1,
                 'NaN', '{"k": "v, : \\" x"}', '{"a": [1, 2.50]}');
            INSERT INTO metrics.metric_points (time, metric_name, value) VALUES
                (\(QueriedStore.literal(sunday + 3)), '', 0.30000000000000004), (\(QueriedStore.literal(sunday + 2)), 'b', '-Infinity'),
                (\(QueriedStore.literal(sunday + 1)), 'c', 5e-324), (\(QueriedStore.literal(sunday)), 'd', '-0')
            """)
        // A role's setting must not round floats.
        try store.queries.connection.execute("SET extra_float_digits = -10")
        let memory = try store.records(.memory)
        let row = try #require(memory.first)
        #expect(memory.count == 1 && row.time == sunday + 123_456)
        let names = QueryField.all(of: .memory).map(\.name)
        var values: [String: StoredValue] = [:]
        for (name, value) in zip(names, row.values) { values[name] = value }
        guard case .float32(let importance) = values.removeValue(forKey: "importance_score") else {
            Issue.record("importance_score is no REAL")
            return
        }
        #expect(importance.isNaN)
        #expect(
            values == [
                "agent_id": .text("a\"\n\u{e9}"), "memory_size_bytes": .integer(.min),
                "memory_tokens": .integer(2_147_483_647),
                "cache_hit": .bool(false), "compression_ratio": .float32(0.1), "tags": .json(#"{"k": "v, : \" x"}"#),
                "metadata": .json(#"{"a": [1, 2.50]}"#),
            ])
        let points = try store.records(.point, fields: ["value", "metric_name"])
        #expect(points.map(\.time) == [sunday + 3, sunday + 2, sunday + 1, sunday])
        #expect(
            points.map(\.values) == [
                [.float64(0.30000000000000004), .text("")], [.float64(-.infinity), .text("b")],
                [.float64(.leastNonzeroMagnitude), .text("c")],
                [.float64(-0.0), .text("d")],
            ])
        guard case .float64(let zero) = points[3].values[0] else { return }
        #expect(zero.sign == .minus)
    }

    @Test(arguments: TestFlavour.allCases) func rangesTakeTheirFirstTimeAndNotTheirLast(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        let times: [Int64] = [
            -210_866_803_200_000_000, -62_162_035_200_000_001, -1, 0, 946_857_599_999_999, sunday - 1, sunday,
            sunday + 1,
            sunday + 86_400_000_000,
        ]
        for time in times {
            try store.owner.execute("INSERT INTO metrics.rag_metrics (time) VALUES (\(QueriedStore.literal(time)))")
        }
        #expect(try store.records(.rag).map(\.time) == times.reversed())
        for (index, from) in times.enumerated() {
            for to in times[(index + 1)...] {
                let found = try store.records(.rag, from: from, to: to).map(\.time)
                #expect(found == times.filter { $0 >= from && $0 < to }.reversed())
            }
        }
        #expect(try store.records(.rag, from: Int64.min).count == times.count)
        #expect(
            try store.records(.rag, from: sunday + 1, to: Int64.max).map(\.time) == [
                times[times.count - 1], sunday + 1,
            ])
        #expect(try store.records(.rag, limit: 2).map(\.time) == [times[times.count - 1], sunday + 1])
    }

    @Test func timesThatNoIntegerHoldsComeBackAsTheLastOne() throws {
        let store = try QueriedStore(.plain)
        try store.owner.execute(
            "INSERT INTO metrics.rag_metrics (time) VALUES ('infinity'), ('-infinity'), ('294276-12-31 00:00+00')")
        #expect(try store.records(.rag).map(\.time) == [.max, .max, -210_866_803_200_000_000])
    }

    @Test(arguments: TestFlavour.allCases) func manyRecordsComeInPagesAndEachOnce(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        let count = 25_000
        try store.owner.execute(
            """
            INSERT INTO metrics.rag_metrics (time, context_tokens)
            SELECT \(QueriedStore.literal(sunday))::timestamptz + n * interval '1 second', n FROM generate_series(1, \(count)) n
            """)
        let pages = try store.queries.records(
            RecordQuery(QueryScope(.rag), fields: [QueryField("context_tokens", of: .rag)]))
        var next = count
        try pages.forEach { row in
            let expected = RecordRow(time: sunday + Int64(next) * 1_000_000, values: [.integer(Int64(next))])
            if row != expected { Issue.record("record \(next) is \(row)") }
            next -= 1
            return true
        }
        #expect(next == 0)
        #expect(!store.queries.connection.isInTransaction)
        #expect(try store.records(.rag, limit: 1_234).count == 1_234)
    }

    /// A number of five stored bytes has a thousand as text.
    @Test func recordsThatAreLargeAsTextComeOneByOne() throws {
        let store = try QueriedStore(.plain)
        try store.owner.execute(
            """
            INSERT INTO metrics.rag_metrics (time, metadata)
            SELECT \(QueriedStore.literal(sunday))::timestamptz + n * interval '1 second',
                ('{"a": [' || repeat('1e999,', 9000) || '1]}')::jsonb
            FROM generate_series(1, 60) n
            """)
        let before = try Self.residentKilobytes()
        let pages = try store.queries.records(RecordQuery(QueryScope(.rag)))
        var bytes = 0
        try pages.forEach { row in
            if case .json(let text)? = row.values.last ?? nil { bytes += text.utf8.count }
            return true
        }
        #expect(bytes > 60 * 9_000_000)
        #expect(try Self.residentKilobytes() - before < 200_000)
    }

    private static func residentKilobytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return line.split(separator: " ").compactMap { Int($0) }.first ?? 0
    }

    @Test func anAnswerThatIsNotReadToItsEndFreesTheConnection() throws {
        let store = try QueriedStore(.plain)
        try store.owner.execute("INSERT INTO metrics.rag_metrics (time) SELECT now() FROM generate_series(1, 500)")
        do {
            let pages = try store.queries.records(RecordQuery(QueryScope(.rag)))
            #expect(store.queries.connection.isInTransaction)
            withExtendedLifetime(pages) {}
        }
        #expect(!store.queries.connection.isInTransaction)
        #expect(try store.records(.rag).count == 500)
        // One whose table is gone, too.
        try store.owner.execute("DROP TABLE metrics.memory_metrics")
        let error = try databaseError { () throws(DatabaseError) in
            do {
                _ = try store.queries.records(RecordQuery(QueryScope(.memory)))
            } catch let error as DatabaseError {
                throw error
            } catch {
                Issue.record("\(error)")
            }
        }
        #expect(error.sqlstate == .undefinedTable)
        #expect(!store.queries.connection.isInTransaction && store.queries.connection.isUsable)
    }

    @Test(arguments: TestFlavour.allCases) func aQueryCanChangeNothingAndEndsInTime(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        let queries = try StoreQueries(store.queries.connection, statementTimeoutMilliseconds: 200)
        let write = try databaseError { () throws(DatabaseError) in
            _ = try queries.reading { () throws(DatabaseError) in
                try queries.connection.execute("INSERT INTO metrics.rag_metrics (time) VALUES (now())")
            }
        }
        #expect(write.sqlstate == SQLState("25006"))
        let slow = try databaseError { () throws(DatabaseError) in
            _ = try queries.reading { () throws(DatabaseError) in try queries.connection.query("SELECT pg_sleep(20)") }
        }
        #expect(slow.sqlstate == .queryCanceled)
        #expect(queries.connection.isUsable && !queries.connection.isInTransaction)
        // Only within a query: the session is as it was.
        #expect(try queries.connection.query("SHOW statement_timeout") == [["0"]])
    }
}
