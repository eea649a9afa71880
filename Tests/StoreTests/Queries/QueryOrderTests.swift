// Another order than newest first, different values counted, and lengths of time that may be misread.

import MetricKinds
import TestSupport
import Testing

@testable import StoreSchema
@testable import StoreQueries
@testable import Text

@Suite struct QueryOrderTests {
    private static func store(_ flavour: TestFlavour) throws -> QueriedStore {
        let store = try QueriedStore(flavour)
        for (offset, model, duration) in [
            (0, "'b'", "30"), (1, "'a'", "10"), (2, "NULL", "20"), (3, "'b'", "NULL"), (4, "'a'", "10"),
        ] {
            try store.owner.execute(
                """
                INSERT INTO metrics.routing_metrics (time, model_selected, routing_time_ms)
                VALUES (\(QueriedStore.literal(sunday + Int64(offset))), \(model), \(duration))
                """)
        }
        return store
    }

    @Test(
        arguments: TestFlavour.allCases,
        [
            ("routing_time_ms", [4, 1, 2, 0, 3]), ("routing_time_ms:desc", [0, 2, 4, 1, 3]), ("time", [0, 1, 2, 3, 4]),
            ("time:desc", [4, 3, 2, 1, 0]), ("model_selected desc", [3, 0, 4, 1, 2]),
            ("model_selected:ASC", [4, 1, 3, 0, 2]),
        ] as [(String, [Int64])])
    func recordsComeInTheOrderAskedFor(_ flavour: TestFlavour, _ asked: (order: String, offsets: [Int64])) throws {
        let store = try Self.store(flavour)
        let query = try RecordQuery(QueryScope(.routing), order: QueryOrder(asked.order))
        #expect(try store.records(query).map { $0.time - sunday } == asked.offsets, "\(asked.order)")
    }

    @Test func aggregatesAreOrderedByBucketGroupOrMeasure() throws {
        let store = try Self.store(.plain)
        let model = try QueryField("model_selected", of: .routing)
        let count = try Measure(.count)
        let average = try Measure(.avg, of: QueryField("routing_time_ms", of: .routing))
        func models(_ order: String) throws -> [StoredValue?] {
            try store.queries.aggregates(
                AggregateQuery(
                    QueryScope(.routing), groupBy: [model], measures: [count, average], order: QueryOrder(order))
            ).map { $0.groups[0] }
        }
        #expect(try models("count") == [nil, .text("a"), .text("b")])
        #expect(try models("avg_routing_time_ms:desc") == [.text("b"), nil, .text("a")])
        #expect(try models("model_selected:desc") == [.text("b"), .text("a"), nil])
        #expect(throws: QueryError.badOrder("bucket", known: ["model_selected", "count", "avg_routing_time_ms"])) {
            try models("bucket")
        }
        let buckets = try store.queries.aggregates(
            AggregateQuery(
                QueryScope(.routing), bucket: FixedInterval("1s"), measures: [count], order: QueryOrder("bucket")))
        #expect(buckets.map(\.bucket) == [sunday])
    }

    @Test(arguments: TestFlavour.allCases) func differentValuesAreCounted(_ flavour: TestFlavour) throws {
        let store = try Self.store(flavour)
        let rows = try store.aggregates(
            QueryScope(.routing),
            ["count_distinct model_selected", "count-distinct routing_time_ms", "count model_selected"])
        #expect(rows.map(\.values) == [[.integer(2), .integer(3), .integer(4)]])
        #expect(try Aggregate.named("count distinct") == .countDistinct)
        #expect(throws: QueryError.fieldMissing(aggregate: "count_distinct")) { try Measure(.countDistinct) }
    }

    @Test func aNameIsNeverSQL() {
        #expect(throws: QueryError.self) {
            try RecordQuery(QueryScope(.routing), order: QueryOrder("time; DROP TABLE x"))
        }
        // A tag's key is a parameter, whatever is in it.
        #expect(QueryOrder("tags.a:b").name == "tags.a:b" && !QueryOrder("tags.a:b").isDescending)
        #expect(QueryOrder("tags.a:desc").name == "tags.a" && QueryOrder("tags.a:desc").isDescending)
    }

    @Test func aCapitalMIsMinutesOrMonths() throws {
        #expect(try FixedInterval("1m").seconds == 60 && FixedInterval("1min").seconds == 60)
        for text in ["1M", "M", "15 M"] {
            #expect(throws: IntervalError(text: text, reason: "M may mean minutes or months: write 1min, or 30d")) {
                try FixedInterval(text)
            }
        }
        #expect(StoreInterval("1M") == nil && StoreInterval("90min") == nil && StoreInterval("d") == nil)
        #expect(StoreInterval("90 days") == .days(90) && StoreInterval("120min") == StoreInterval(hours: 2))
    }
}
