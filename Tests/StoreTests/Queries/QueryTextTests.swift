// What is refused before anything is sent, and how times and lengths of time are written.

import MetricKinds
import Testing
import Text

@testable import StoreQueries
@testable import Postgres

@Suite struct QueryTextTests {
    private func error(_ body: () throws(QueryError) -> Void) -> QueryError? {
        do throws(QueryError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test func anUnknownFieldIsAnsweredWithThoseThatThereAre() throws {
        for name in [
            "colour", "", "Query_ID", "query_id ", "query_id; DROP TABLE metrics.routing_metrics", "\"query_id\"",
        ] {
            let error = error { () throws(QueryError) in _ = try QueryField(name, of: .routing) }
            #expect(error == .unknownField(name, kind: .routing))
            for column in MetricKind.routing.columns {
                #expect(error?.description.contains(column.name) == true)
            }
        }
        #expect(error { () throws(QueryError) in _ = try QueryField("time", of: .rag) } == .timeIsNoField)
        #expect(error { () throws(QueryError) in _ = try QueryField("tags.", of: .rag) } == .emptyTagKey)
        let kind = error { () throws(QueryError) in _ = try MetricKind.named("router") }
        #expect(kind == .unknownKind("router") && kind?.description.contains("agent_evolution") == true)
    }

    @Test func everyFieldOfEveryKindCanBeNamed() throws {
        for kind in MetricKind.allCases {
            let all = QueryField.all(of: kind)
            #expect(all.map(\.name) == kind.columns.map(\.name) + ["tags", "metadata"])
            for field in all { #expect(try QueryField(field.name, of: kind) == field) }
        }
        #expect(try QueryField("tags.\u{301}", of: .rag).source == .tag(key: "\u{301}"))
        #expect(error { () throws(QueryError) in _ = try QueryField("tags.a\u{0}", of: .rag) } != nil)
        #expect(try QueryField("tags.a.b", of: .rag).source == .tag(key: "a.b"))
    }

    @Test(
        arguments: [
            ("routing_time_ms>=100", FieldFilter.Comparison.greaterOrEqual, "100"),
            ("routing_time_ms<=-1", .lessOrEqual, "-1"),
            ("routing_time_ms!=0", .notEqual, "0"), ("routing_time_ms<5", .less, "5"),
            ("routing_time_ms>5", .greater, "5"),
            ("routing_time_ms=null", .equal, nil), ("routing_time_ms!=null", .notEqual, nil),
            ("query_id=a=b", .equal, "a=b"), ("query_id==", .equal, "="), ("query_id=", .equal, ""),
            ("query_id=<x>", .equal, "<x>"), ("query_id<>x", .less, ">x"), ("tags.a=b=c", .equal, "b=c"),
            ("complexity_score=0.80", .equal, "0.8"), ("complexity_score=1e-3", .equal, "0.001"),
            ("complexity_score=NaN", .equal, "NaN"), ("complexity_score<-Infinity", .less, "-Infinity"),
            ("query_id=\u{301}a", .equal, "\u{301}a"), ("tags=null", .equal, nil), ("metadata!=null", .notEqual, nil),
        ] as [(String, FieldFilter.Comparison, String?)])
    func conditionsAreRead(_ text: String, _ comparison: FieldFilter.Comparison, _ value: String?) throws {
        let filter = try FieldFilter(text, of: .routing)
        #expect(filter.comparison == comparison && filter.value == value)
    }

    @Test(arguments: [
        ("complexity_score", "is not a condition"), ("=5", "is not a condition"), ("query_id!x", "is not a condition"),
        ("", "is no"),
        ("routing_time_ms=1.5", "routing_time_ms: \"1.5\" is not an integer from -2147483648 to 2147483647"),
        ("routing_time_ms=2147483648", "2147483648"), ("routing_time_ms= 5", "\" 5\""), ("routing_time_ms=", "\"\""),
        ("complexity_score=1e39", "is not a number up to"), ("complexity_score=0x1p3", "0x1p3"),
        ("complexity_score=inf", "inf"), ("complexity_score=0.8abc", "0.8abc"), ("complexity_score=-", "\"-\""),
        ("complexity_score>null", "null goes with"), ("tags={}", "tags.KEY"), ("metadata<1", "compared with null"),
        ("query_id=a\u{0}b", "U+0000"), ("query_id =a", "no field \"query_id \""),
        ("time>=2026-01-01", "time is not a field"),
    ])
    func aWrongConditionIsRefusedWithItsReason(_ text: String, _ reason: String) {
        let error = error { () throws(QueryError) in _ = try FieldFilter(text, of: .routing) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "nothing was refused")")
    }

    @Test func everyTypeRefusesWhatItDoesNotHold() throws {
        let wrong: [(MetricKind, String, String)] = [
            (.memory, "cache_hit", "yes"), (.memory, "cache_hit", "t"),
            (.memory, "memory_size_bytes", "9223372036854775808"),
            (.point, "value", "1e309"), (.point, "value", ""), (.memory, "memory_tokens", "12abc"),
        ]
        for (kind, name, value) in wrong {
            let error = error { () throws(QueryError) in _ = try FieldFilter("\(name)=\(value)", of: kind) }
            guard case .badValue(value, field: name, _) = error else {
                Issue.record("\(name)=\(value): \(error?.description ?? "not refused")")
                continue
            }
        }
    }

    @Test(
        arguments: [
            ("1 hour", 3_600), ("1hour", 3_600), ("hour", 3_600), ("90s", 90), ("15 minutes", 900), ("24h", 86_400),
            ("7d", 604_800), ("2 Weeks", 1_209_600), ("36525 days", FixedInterval.secondsMax), (" 5  min ", 300),
        ] as [(String, Int64)])
    func lengthsOfTimeAreRead(_ text: String, _ seconds: Int64) throws {
        #expect(try FixedInterval(text).seconds == seconds)
    }

    @Test(arguments: [
        ("1 month", "no fixed length"), ("2 years", "no fixed length"), ("0 hours", "from 1s to 36525d"),
        ("-1 h", "a number of"),
        ("36526 days", "36525"), ("99999999999999999999 s", "36525"), ("1.5 h", "a number of"), ("", "a number of"),
        ("1 hour 5 minutes", "a number of"), ("1 hour'; DROP", "a number of"), ("5", "a number of"),
        ("٣ h", "a number of"),
    ])
    func whatIsNoLengthOfTimeIsRefused(_ text: String, _ reason: String) {
        let error = #expect(throws: IntervalError.self) { _ = try FixedInterval(text) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "nothing was refused")")
    }

    @Test func senselessQueriesAreRefused() throws {
        let text = try QueryField("model_selected", of: .routing)
        let average = error { () throws(QueryError) in _ = try Measure(.avg, of: text) }
        #expect(average == .noNumbers(aggregate: "avg", field: "model_selected"))
        #expect(error { () throws(QueryError) in _ = try Measure(.p95) } == .fieldMissing(aggregate: "p95"))
        #expect(error { () throws(QueryError) in _ = try Aggregate.named("p96") } == .unknownAggregate("p96"))
        #expect(error { () throws(QueryError) in _ = try QueryScope(.rag, from: 5, to: 5) } == .emptyRange)
        let scope = try QueryScope(.routing)
        let none = error { () throws(QueryError) in _ = try RecordQuery(scope, limit: 0) }
        #expect(none == .badLimit(0, allowed: 1...Int.max))
        for limit in [0, 100_001] {
            let error = error { () throws(QueryError) in
                _ = try AggregateQuery(scope, measures: [try Measure(.count)], limit: limit)
            }
            #expect(error == .badLimit(limit, allowed: AggregateQuery.limitAllowed))
        }
    }

    @Test(
        arguments: [
            (0, "1970-01-01 00:00:00.000000+00"), (-1, "1969-12-31 23:59:59.999999+00"),
            (1_795_377_900_123_456, "2026-11-22 20:05:00.123456+00"),
            (-62_162_035_200_000_000, "0001-03-01 00:00:00.000000+00 BC"),
            (-210_866_803_200_000_000, "4714-11-24 00:00:00.000000+00 BC"), (-210_866_803_200_000_001, "-infinity"),
            (Int64.min, "-infinity"), (Int64.max, "infinity"),
        ] as [(Int64, String)])
    func timesAreWrittenForTheServer(_ microseconds: Int64, _ text: String) {
        #expect(SQLTime.text(microseconds) == text)
    }
}
