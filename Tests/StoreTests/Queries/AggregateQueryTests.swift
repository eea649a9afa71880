// Aggregates are what simple arithmetic in the test makes of the same values, on both flavours.

import MetricKinds
import TestSupport
import Testing
import Text

@testable import StoreQueries

@Suite struct AggregateQueryTests {
    private static let hour: Int64 = 3_600_000_000

    /// Six records of two models, one of none, one without a duration.
    private static func store(_ flavour: TestFlavour) throws -> QueriedStore {
        let store = try QueriedStore(flavour)
        let rows: [(Int64, String, String, String)] = [
            (sunday, "'small'", "10", #"'{"region": "eu"}'"#), (sunday + 1, "'small'", "20", "NULL"),
            (sunday + hour - 1, "'large'", "400", #"'{"region": "us"}'"#),
            (sunday + hour, "'small'", "30", #"'{"region": "eu"}'"#),
            (sunday + hour + 5, "NULL", "7", #"'{"region": "eu"}'"#), (sunday + 2 * hour, "'large'", "NULL", "NULL"),
        ]
        for (time, model, duration, tags) in rows {
            try store.owner.execute(
                """
                INSERT INTO metrics.routing_metrics (time, model_selected, routing_time_ms, tags)
                VALUES (\(QueriedStore.literal(time)), \(model), \(duration), \(tags))
                """)
        }
        return store
    }

    @Test(arguments: TestFlavour.allCases) func oneRowOverEverything(_ flavour: TestFlavour) throws {
        let store = try Self.store(flavour)
        let duration = "routing_time_ms"
        let rows = try store.aggregates(
            QueryScope(.routing),
            [
                "count", "count \(duration)", "sum \(duration)", "avg \(duration)", "min \(duration)",
                "max \(duration)", "p50 \(duration)",
            ])
        #expect(
            rows == [
                AggregateRow(
                    bucket: nil, groups: [],
                    values: [
                        .integer(6), .integer(5), .integer(467), .float64(93.4), .integer(7), .integer(400),
                        .float64(20),
                    ])
            ])
    }

    @Test(arguments: TestFlavour.allCases) func bucketsAndGroupsNewestFirstWithAGroupOfNull(_ flavour: TestFlavour)
        throws
    {
        let store = try Self.store(flavour)
        let rows = try store.aggregates(
            QueryScope(.routing), bucket: "1 hour", ["count", "avg routing_time_ms"], by: ["model_selected"])
        func row(_ hours: Int64, _ model: String?, _ count: Int64, _ average: Double?) -> AggregateRow {
            AggregateRow(
                bucket: sunday + hours * Self.hour, groups: [model.map { .text($0) }],
                values: [.integer(count), average.map { .float64($0) }])
        }
        #expect(
            rows == [
                row(2, "large", 1, nil), row(1, "small", 1, 30), row(1, nil, 1, 7), row(0, "large", 1, 400),
                row(0, "small", 2, 15),
            ])
        let limited = try store.aggregates(
            QueryScope(.routing), bucket: "1 hour", ["count"], by: ["model_selected"], limit: 2)
        #expect(limited.map(\.bucket) == [sunday + 2 * Self.hour, sunday + Self.hour])

        let tags = try store.aggregates(QueryScope(.routing), ["count"], by: ["tags.region", "model_selected"])
        func group(_ region: String?, _ model: String?, _ count: Int64) -> AggregateRow {
            AggregateRow(
                bucket: nil, groups: [region.map { .text($0) }, model.map { .text($0) }], values: [.integer(count)])
        }
        #expect(
            tags == [
                group("eu", "small", 2), group("eu", nil, 1), group("us", "large", 1), group(nil, "large", 1),
                group(nil, "small", 1),
            ])
        let filter = try FieldFilter("routing_time_ms>=20", of: .routing)
        let scope = try QueryScope(.routing, from: sunday + 1, to: sunday + Self.hour, filters: [filter])
        #expect(try store.aggregates(scope, ["sum routing_time_ms"]).map(\.values) == [[.integer(420)]])
    }

    @Test(arguments: TestFlavour.allCases) func nothingIsCountedAsZeroAndHasNoAverage(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        let measures = [
            "count", "count value", "sum value", "avg value", "min value", "max value", "stddev value", "p99 value",
        ]
        let expected: [StoredValue?] = [.integer(0), .integer(0)] + [StoredValue?](repeating: nil, count: 6)
        #expect(try store.aggregates(QueryScope(.point), measures).map(\.values) == [expected])
        #expect(try store.aggregates(QueryScope(.point), measures, by: ["level"]).isEmpty)
        #expect(try store.aggregates(QueryScope(.point), bucket: "1 day", measures).isEmpty)
    }

    @Test(arguments: TestFlavour.allCases) func everyTypeOfNumberIsAggregated(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        try store.owner.execute(
            """
            INSERT INTO metrics.memory_metrics (time, memory_size_bytes, compression_ratio, cache_hit) VALUES
                (now(), 9223372036854775807, 16777216, true), (now(), 1, 1, false), (now(), 4, 1, true), (now(), NULL, NULL, true)
            """)
        let rows = try store.aggregates(
            QueryScope(.memory),
            [
                "sum memory_size_bytes", "max memory_size_bytes", "sum compression_ratio", "max compression_ratio",
                "avg cache_hit",
                "sum cache_hit", "min cache_hit", "p50 cache_hit", "stddev compression_ratio",
            ])
        // Behind 64 bits; in 24 bits the second sum would stay at 16777216.
        var values = try #require(rows.first).values
        guard case .float64(let deviation) = values.removeLast() else {
            Issue.record("no deviation")
            return
        }
        #expect(
            values == [
                .float64(9_223_372_036_854_775_808), .integer(.max), .float64(16_777_218), .float32(16_777_216),
                .float64(0.75),
                .integer(3), .integer(0), .float64(1),
            ])
        let numbers: [Double] = [16_777_216, 1, 1]
        let mean = numbers.reduce(0, +) / 3
        let expected = (numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 2).squareRoot()
        #expect(abs(deviation - expected) < expected * 1e-9)
        let one = try QueryScope(.memory, filters: [FieldFilter("memory_size_bytes=4", of: .memory)])
        #expect(try store.aggregates(one, ["stddev compression_ratio"]).map(\.values) == [[nil]])
    }

    /// The value that so great a share of the others lies below, on the line between its neighbours.
    private static func percentile(_ values: [Double], _ share: Double) -> Double {
        let sorted = values.sorted()
        let position = share * Double(sorted.count - 1)
        let below = Int(position)
        let above = min(below + 1, sorted.count - 1)
        return sorted[below] + (sorted[above] - sorted[below]) * (position - Double(below))
    }

    @Test(arguments: TestFlavour.allCases) func percentilesAreThoseOfASortedList(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        let seed = UInt64.random(in: 0 ... .max)
        print("percentiles: seed \(seed)")
        var state = seed
        var values: [String: [Double]] = [:]
        var lines: [String] = []
        for index in 0..<2_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let name = "m\((state >> 33) % 5)"
            let value = Double(Int64(bitPattern: state) >> 20) / 1_000
            values[name, default: []].append(value)
            lines.append("(\(QueriedStore.literal(sunday + Int64(index))), '\(name)', \(value))")
        }
        try store.owner.execute(
            "INSERT INTO metrics.metric_points (time, metric_name, value) VALUES " + lines.joined(separator: ","))
        let shares: [(String, Double)] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)]
        let rows = try store.aggregates(
            QueryScope(.point), bucket: "1 week", shares.map { "\($0.0) value" } + ["avg value"], by: ["metric_name"])
        #expect(rows.count == 5)
        for row in rows {
            guard case .text(let name) = row.groups[0], let group = values[name] else {
                Issue.record("a group \(row.groups)")
                continue
            }
            let expected = shares.map { Self.percentile(group, $0.1) } + [group.reduce(0, +) / Double(group.count)]
            for (value, expected) in zip(row.values, expected) {
                guard case .float64(let found) = value else {
                    Issue.record("no number for \(name)")
                    continue
                }
                #expect(
                    abs(found - expected) <= 1e-9 * max(1, abs(expected)), "\(name): \(found), expected \(expected)")
            }
        }
    }

    @Test(arguments: ["1 second", "15 minutes", "1 hour", "7 hours", "1 day", "1 week", "3 weeks", "10000 days"])
    func bothFlavoursCutTimeAtTheSamePlaces(_ width: String) throws {
        // 2000-01-03, a Monday.
        let origin: Int64 = 946_857_600_000_000
        let times: [Int64] = [
            -2_208_988_800_000_000, -1, 0, 1, origin - 604_800_000_000, origin - 3_600_000_000, origin - 1, origin,
            origin + 1,
            sunday - 1, sunday, sunday + 1, sunday + 72_300_123_456, sunday + 86_400_000_000,
        ]
        let step = try FixedInterval(width).seconds * 1_000_000
        var expected: [Int64: Int64] = [:]
        for time in times {
            let distance = time - origin
            let bucket = origin + (distance >= 0 ? distance / step : -((-distance + step - 1) / step)) * step
            expected[bucket, default: 0] += 1
        }
        for flavour in TestFlavour.allCases {
            let store = try QueriedStore(flavour)
            for time in times {
                try store.owner.execute("INSERT INTO metrics.rag_metrics (time) VALUES (\(QueriedStore.literal(time)))")
            }
            // Another time zone must not move the buckets.
            try store.queries.connection.execute("SET TimeZone = 'America/St_Johns'")
            let rows = try store.aggregates(QueryScope(.rag), bucket: width, ["count"])
            let found = rows.map {
                [$0.bucket, { if case .integer(let count) = $0 { count } else { nil } }($0.values[0])]
            }
            let wanted = expected.sorted { $0.key > $1.key }.map { [Optional($0.key), Optional($0.value)] }
            #expect(found == wanted, "\(flavour)")
        }
    }

    @Test(arguments: TestFlavour.allCases) func weeksBeginOnMonday(_ flavour: TestFlavour) throws {
        let store = try QueriedStore(flavour)
        let day: Int64 = 86_400_000_000
        for time in [sunday + day - 1, sunday + day] {
            try store.owner.execute("INSERT INTO metrics.rag_metrics (time) VALUES (\(QueriedStore.literal(time)))")
        }
        let rows = try store.aggregates(QueryScope(.rag), bucket: "1 week", ["count"])
        #expect(rows.map(\.bucket) == [sunday + day, sunday - 6 * day])
    }
}
