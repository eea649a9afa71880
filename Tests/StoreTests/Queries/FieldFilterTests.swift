// Conditions find what they should and nothing else, for every type, and stay values whatever they hold.

import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreQueries
@testable import Postgres

@Suite struct FieldFilterTests {
    /// For each type: values in ascending order, and how they are written.
    private static let ordered: [(kind: MetricKind, field: String, values: [(sql: String, text: String)])] = [
        (.memory, "agent_id", [("''", ""), ("'b'", "b"), ("'c'", "c"), ("'d''; --'", "d'; --")]),
        (.memory, "cache_hit", [("false", "false"), ("true", "true")]),
        (.memory, "memory_tokens", [("-2147483648", "-2147483648"), ("0", "0"), ("2147483647", "2147483647")]),
        (
            .memory, "memory_size_bytes",
            [
                ("-9223372036854775808", "-9223372036854775808"), ("1", "1"),
                ("9223372036854775807", "9223372036854775807"),
            ]
        ),
        (
            .memory, "compression_ratio",
            [
                ("'-Infinity'", "-Infinity"), ("0.1", "0.1"), ("0.8", "0.80"), ("3.4028235e38", "3.4028235e38"),
                ("'NaN'", "NaN"),
            ]
        ),
        (.point, "value", [("-1e308", "-1e308"), ("0.1", "0.1"), ("0.30000000000000004", "0.30000000000000004")]),
    ]

    @Test(arguments: TestFlavour.allCases) func everyTypeIsComparedInEveryWay(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        let covered = Set(Self.ordered.map { $0.kind.columns[$0.kind.columnIndex(named: $0.field) ?? 0].type })
        #expect(covered == Set(ColumnType.allCases))
        for (kind, field, values) in Self.ordered {
            let table = SchemaSQL.table(kind)
            try store.owner.execute("DELETE FROM \(table)")
            for (index, value) in values.enumerated() {
                try store.owner.execute(
                    "INSERT INTO \(table) (time, \(field)) VALUES (\(QueriedStore.literal(Int64(index))), \(value.sql))"
                )
            }
            // An absent value, which no comparison finds.
            try store.owner.execute("INSERT INTO \(table) (time) VALUES (\(QueriedStore.literal(99)))")
            for (index, value) in values.enumerated() {
                let expected: [(String, (Int) -> Bool)] = [
                    ("=", { $0 == index }), ("!=", { $0 != index }), ("<", { $0 < index }), ("<=", { $0 <= index }),
                    (">", { $0 > index }), (">=", { $0 >= index }),
                ]
                for (sign, holds) in expected {
                    let condition = field + sign + value.text
                    let found = try store.records(kind, where: [condition]).map { Int($0.time) }
                    #expect(found == values.indices.filter(holds).reversed(), "\(condition)")
                }
            }
            #expect(try store.records(kind, where: ["\(field)=null"]).map(\.time) == [99])
            #expect(try store.records(kind, where: ["\(field)!=null"]).count == values.count)
        }
    }

    @Test(arguments: TestFlavour.allCases) func tagsAreFoundByTheirKey(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        try store.owner.execute(
            """
            INSERT INTO metrics.rag_metrics (time, tags) VALUES
                (\(QueriedStore.literal(1)), '{"region": "eu", "a.b": "x"}'), (\(QueriedStore.literal(2)), '{"region": "us"}'),
                (\(QueriedStore.literal(3)), NULL), (\(QueriedStore.literal(4)), '{"it''s": "1"}')
            """)
        func found(_ conditions: String...) throws -> [Int64] { try store.records(.rag, where: conditions).map(\.time) }
        #expect(try found("tags.region=eu") == [1])
        #expect(try found("tags.region!=eu") == [2])
        #expect(try found("tags.region>eu") == [2])
        #expect(try found("tags.region=null") == [4, 3])
        #expect(try found("tags.region!=null", "tags.a.b=x") == [1])
        #expect(try found("tags.it's=1") == [4])
        #expect(try found("tags=null") == [3])
        #expect(try found("tags!=null", "metadata=null") == [4, 2, 1])
        let values = try store.records(.rag, fields: ["tags.region", "tags.none"]).map(\.values)
        #expect(values == [[nil, nil], [nil, nil], [.text("us"), nil], [.text("eu"), nil]])
    }

    @Test func everyKeyCanBeNamed() throws {
        let store = try QueriedStore(.plain)
        let keys = ["", "a=b", "a!=b", "<", ">=", "a,b", "\"", "\"x\"", " ", "null"]
        for (index, key) in keys.enumerated() {
            try store.owner.query(
                "INSERT INTO metrics.rag_metrics (time, tags) VALUES ($1, jsonb_build_object($2::text, 'v=1,\"'))",
                [SQLTime.text(Int64(index)), key])
        }
        let names = keys.map { "tags.\"\($0.replacing("\"", with: "\"\""))\"" }
        for (index, name) in names.enumerated() {
            #expect(try store.records(.rag, where: [name + "=v=1,\""]).map(\.time) == [Int64(index)], "\(name)")
            #expect(try store.records(.rag, where: [name + "!=null"]).map(\.time) == [Int64(index)], "\(name)")
        }
        #expect(QueryField.names(names.joined(separator: ",") + ",query_id,") == names + ["query_id", ""])
        for wrong in ["tags.\"a=b", "tags.\"a\"b=c", "tags.=x", "tags.\""] {
            #expect(throws: QueryError.self) { try FieldFilter(wrong, of: .rag) }
        }
    }

    @Test(arguments: TestFlavour.allCases) func valuesAndKeysNeverBecomeSQL(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        let attempts = [
            "'; DROP TABLE metrics.routing_metrics; --", "' OR '1'='1", "\\'; DELETE FROM metrics.routing_metrics; --",
            "$1",
            "$$", "%s", "NULL", "\u{2019}", "x'::text; COMMIT; DROP SCHEMA metrics CASCADE; --",
        ]
        for (index, attempt) in attempts.enumerated() {
            try store.owner.query(
                "INSERT INTO metrics.routing_metrics (time, query_id, tags) VALUES ($1, $2, jsonb_build_object($2::text, $2))",
                [SQLTime.text(Int64(index)), attempt])
        }
        for (index, attempt) in attempts.enumerated() {
            let field = try QueryField("query_id", of: .routing)
            let tag = try QueryField("tags.\(attempt)", of: .routing)
            for filters in [[try FieldFilter(field, .equal, attempt)], [try FieldFilter(tag, .equal, attempt)]] {
                let rows = try store.records(RecordQuery(QueryScope(.routing, filters: filters), fields: [tag]))
                #expect(rows == [RecordRow(time: Int64(index), values: [.text(attempt)])])
            }
            let scope = try QueryScope(.routing, filters: [FieldFilter(field, .equal, attempt)])
            let groups = try store.aggregates(scope, ["count"], by: ["tags.\(attempt)"])
            #expect(groups == [AggregateRow(bucket: nil, groups: [.text(attempt)], values: [.integer(1)])])
        }
        #expect(try store.records(.routing).count == attempts.count)
    }
}
