import FrameCodec
import JSONLines
import Testing

/// What is read and how it is printed, by example.
@Suite struct CanonicalLineTests {
    private static let head = "{\"kind\":\"point\",\"time\":\"2026-11-22T20:05:00.123456Z\""

    @Test(
        "a canonical line comes back byte for byte",
        arguments: [
            #"{"kind":"routing","time":"2026-11-22T20:05:00.123456Z","query_id":"q1","complexity_score":0.8,"#
                + #""total_routing_time_ms":-5,"tags":{"a":"1","region":"eu"},"metadata":{"a":[1,{"b":1.50e+3}]}}"#,
            #"{"kind":"execution","time":"1970-01-01T00:00:00.000000Z","execution_id":"","success":false}"#,
            #"{"kind":"memory","time":"-004713-11-24T00:00:00.000000Z","memory_size_bytes":-9223372036854775808}"#,
            #"{"kind":"system","time":"+294247-01-10T04:00:54.775807Z","network_io_bytes":9223372036854775807}"#,
            #"{"kind":"point","time":"-000001-12-31T23:59:59.999999Z","value":1e-07,"tags":{},"metadata":{}}"#,
            #"{"kind":"point","time":"0000-01-01T00:00:00.000000Z","value_text":"\"\\\b\t\n\f\r\u0001\u001f/ü漢🦫"}"#,
            #"{"kind":"attention","time":"9999-12-31T23:59:59.999999Z","layer_id":2147483647,"attention_entropy":1.0,"#
                + #""attention_focus":-0.0,"attention_diversity":"NaN","memory_usage_mb":"-Infinity"}"#,
            #"{"kind":"point","time":"+010000-01-01T00:00:00.000000Z","value":"Infinity"}"#,
            #"{"kind":"rag","time":"2024-02-29T12:00:00.000001Z"}"#,
        ])
    func canonicalLineIsUnchanged(line: String) throws {
        #expect(try canonical(line) == line)
    }

    @Test("the order of members, whitespace and escapes do not matter")
    func freeFormIsRead() throws {
        let free = """
            \t{ "metadata" : { "a" : [ 1 , 2.50 ], "b c": " \\" " } , "level":"\\u0069nfo", \
            "tags":{"z":"\\ud83e\\uddab","a":"/\\/"},
            """ + #" "value":1e0 ,"\u0074ime":1795377900123456,"metric_name" : null, "kind":"point" } "# + "\r"
        let expected =
            Self.head
            + #","value":1.0,"level":"info","tags":{"a":"//","z":"🦫"},"metadata":{"a":[1,2.50],"b c":" \" "}}"#
        #expect(try canonical(free) == expected)
    }

    @Test("null is absent", arguments: ["value", "level", "tags", "metadata"])
    func nullIsAbsent(field: String) throws {
        #expect(try canonical(Self.head + ",\"\(field)\":null}") == Self.head + "}")
    }

    @Test(
        "numbers become the nearest value of their type",
        arguments: [
            ("memory_usage_mb", "5", "5.0"), ("memory_usage_mb", "-0", "-0.0"), ("memory_usage_mb", "0.1", "0.1"),
            ("memory_usage_mb", "1E-1", "0.1"), ("memory_usage_mb", "3.4028234663852886e38", "3.4028235e+38"),
            ("memory_usage_mb", "1e-46", "0.0"), ("memory_usage_mb", "1e-45", "1e-45"),
            // Halfway between two f32, and a hair above it, which a detour over f64 would round down.
            ("memory_usage_mb", "16777217", "16777216.0"), ("memory_usage_mb", "16777217.0000000001", "1.6777218e+07"),
            ("memory_usage_mb", "0.3000000119209289", "0.3"), ("layer_id", "-2147483648", "-2147483648"),
        ])
    func numbersAreRounded(field: String, given: String, printed: String) throws {
        let head = #"{"kind":"attention","time":"2026-11-22T20:05:00.123456Z","#
        #expect(try canonical(head + "\"\(field)\":\(given)}") == head + "\"\(field)\":\(printed)}")
    }

    @Test("a frame that does not decode prints nothing, and leaves what was printed before")
    func badFramePrintsNothing() throws {
        let good = try encode(Self.head + ",\"value\":1.0}\n" + Self.head + ",\"value\":2.0}")[0]
        // The last record's value becomes a NaN that the protocol does not have; the checksum is right again.
        var bad = good
        bad.replaceSubrange((bad.count - 8)..., with: [1, 0, 0, 0, 0, 0, 0xF8, 0x7F])
        bad.replaceSubrange(12..<16, with: [0, 0, 0, 0])
        let checksum = Checksum.crc32c(bad.span.bytes)
        bad.replaceSubrange(12..<16, with: (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (8 * $0)) })

        var printer = RecordLinePrinter()
        var decoder = FrameDecoder()
        let goodHeader = try FrameHeader.admit(good.span.bytes)
        try printer.print(good.span.bytes, header: goodHeader, using: &decoder)
        let bytesBefore = printer.byteCount
        let badHeader = try FrameHeader.admit(bad.span.bytes)
        var fault: FrameError?
        do throws(FrameError) {
            try printer.print(bad.span.bytes, header: badHeader, using: &decoder)
        } catch {
            fault = error
        }
        #expect(fault == FrameError(.badNaN, at: bad.count - 8))
        #expect(printer.byteCount == bytesBefore)
        #expect(printer.lineCount == 2)
    }
}
