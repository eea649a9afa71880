import FrameCodec
import JSONLines
import Testing

@Suite struct TimeTextTests {
    @Test(
        "times are read",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.000001Z", 1), ("1969-12-31T23:59:59.999999Z", -1),
            ("2026-11-22T20:05:00.123456Z", 1_795_377_900_123_456), ("2026-11-22t20:05:00.5z", 1_795_377_900_500_000),
            ("2026-11-22 22:05:00+02:00", 1_795_377_900_000_000), ("2026-11-22T14:35:00-05:30", 1_795_377_900_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000), ("2000-02-29T00:00:00-00:00", 951_782_400_000_000),
            ("+002026-11-22T20:05:00Z", 1_795_377_900_000_000),
            ("-004713-11-24T00:00:00Z", -210_866_803_200_000_000), ("+294247-01-10T04:00:54.775807Z", Int64.max),
            ("0000-03-01T00:00:00Z", -62_162_035_200_000_000),
        ] as [(String, Int64)])
    func timeIsRead(text: String, microseconds: Int64) throws {
        #expect(try TimeText.parse(text) == microseconds)
    }

    @Test(
        "what is not a time is refused",
        arguments: [
            ("", .malformed), ("2026-11-22", .malformed), ("2026-11-22T20:05:00", .malformed),
            ("2026-11-22T20:05Z", .malformed), ("2026-11-22T20:05:00.Z", .malformed),
            ("2026-11-22T20:05:00ZZ", .malformed),
            ("2026-11-22T20:05:00+0200", .malformed), ("26-11-22T20:05:00Z", .malformed),
            ("+2026-11-22T20:05:00Z", .malformed),
            ("2026-13-01T00:00:00Z", .noSuchMoment), ("2026-00-01T00:00:00Z", .noSuchMoment),
            ("2100-02-29T00:00:00Z", .noSuchMoment), ("2026-04-31T00:00:00Z", .noSuchMoment),
            ("2026-01-01T24:00:00Z", .noSuchMoment), ("2026-01-01T00:60:00Z", .noSuchMoment),
            ("2026-01-01T00:00:61Z", .noSuchMoment), ("2026-01-01T00:00:00+24:00", .noSuchMoment),
            ("2026-01-01T00:00:00.0000001Z", .tooManyDecimals), ("+999999-01-01T00:00:00Z", .outOfRange),
            ("-999999-01-01T00:00:00Z", .outOfRange),
        ] as [(String, TimeText.Fault)])
    func faultIsNamed(text: String, fault: TimeText.Fault) {
        #expect(throws: fault) { try TimeText.parse(text) }
    }

    @Test("every day of 800 years around the epoch and every 1,000th of all is one day long")
    func daysAreConsecutive() throws {
        var days = Array(Int64(-146_097)...146_097)
        days += stride(
            from: FrameLimits.timeRange.lowerBound / 86_400_000_000, to: Int64.max / 86_400_000_000, by: 1_000)
        let head = "{\"kind\":\"point\",\"time\":"
        let given = days.map { head + "\($0 * 86_400_000_000)}\n" }.joined()
        let printed = String(decoding: try decode(try encode(given)), as: UTF8.self).split(separator: "\n")
        #expect(printed.count == days.count)
        for (day, line) in zip(days, printed) {
            let text = String(line.dropFirst(head.count + 1).dropLast(2))
            let back = try TimeText.parse(text)
            if back != day * 86_400_000_000 || !text.hasSuffix("T00:00:00.000000Z") {
                Issue.record("day \(day) is printed as \(text)")
            }
        }
    }
}
