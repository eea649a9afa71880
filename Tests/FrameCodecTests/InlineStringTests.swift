import Testing

@testable import FrameCodec

/// How Swift keeps short strings is not promised: with a compiler that does it in another way these fail, and encoding
/// takes the longer way.
@Suite struct InlineStringTests {
    @Test func theMaskKnowsTheStringsOfThisCompiler() {
        #if _pointerBitWidth(_64) && _endian(little)
            #expect(InlineString.mask == 1 << 61)
        #else
            #expect(InlineString.mask == 0)
        #endif
    }

    @Test(arguments: 0...15)
    func aShortStringIsItsBytes(count: Int) {
        let bytes = (0..<count).map { UInt8(ascii: "a") + UInt8($0) }
        let inline = InlineString(String(decoding: bytes, as: UTF8.self))
        #expect(inline.high & InlineString.mask != 0)
        #expect(inline.count == count)
        inline.text.withBytes(count: count) { #expect(Array($0) == bytes) }
    }

    @Test(arguments: [16, 17, 32, 1_000])
    func aLongerStringIsNotTakenForAShortOne(count: Int) {
        let string = String(repeating: "z", count: count)
        #expect(InlineString(string).high & InlineString.mask == 0)
        // A literal lies in the program, not in memory of its own.
        #expect(InlineString("a literal that is longer than fifteen bytes").high & InlineString.mask == 0)
        // A part of a longer string, and one made by another way, are copied into the value.
        #expect(InlineString(String(string.prefix(5))).text.low == InlineString("zzzzz").text.low)
    }

    @Test func aStringOfAnyFormIsTheSameText() throws {
        // Twice as a short string, once as bytes: one entry in the dictionary.
        var encoder = FrameEncoder()
        let bytes = Array("caf\u{E9}".utf8)
        for form in 0..<3 {
            let fits = try encoder.append(.memory, time: 0) { (writer: inout RecordWriter) throws(RecordError) in
                if form == 2 {
                    try writer.text(bytes.span.bytes, bit: 2)
                } else {
                    try writer.text("caf\u{E9}", bit: 2)
                }
            }
            #expect(fits)
        }
        #expect(encoder.writer.strings.count == 1)
    }

    @Test func aNullCharacterInAShortStringIsRefused() {
        for text in ["\0", "a\0", "abcdefg\0", "abcdefgh\0", "abcdefghijklmn\0"] {
            var encoder = FrameEncoder()
            for slot in 0..<2 {
                #expect(throws: RecordError.nullCharacter) {
                    _ = try encoder.append(.routing, time: 0) { (writer: inout RecordWriter) throws(RecordError) in
                        if slot == 0 {
                            try writer.prefixedText(text, bit: 2, slot: 0)
                        } else {
                            // The same text without its end is there already, with the same words and hash.
                            try writer.text(String(text.dropLast()), bit: 3)
                            try writer.text(text, bit: 6)
                        }
                    }
                }
            }
        }
    }

    /// The seed of each encoder's table is another one, so that some of the texts meet in their search for a slot.
    @Test(arguments: [1, 7, 8, 15, 16])
    func textsThatDifferInOneByteHaveEntriesOfTheirOwn(length: Int) throws {
        for _ in 0..<50 {
            var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
            for round in 0..<2 {
                for first in UInt8(1)...127 {
                    let text = String(decoding: [first] + Array(repeating: 0x7A, count: length - 1), as: UTF8.self)
                    let fits = try encoder.append(.memory, time: 0) {
                        (writer: inout RecordWriter) throws(RecordError) in try writer.text(text, bit: 2)
                    }
                    #expect(fits)
                    #expect(encoder.writer.strings.count == (round == 0 ? Int(first) : 127))
                }
            }
        }
    }

    /// Room is reserved for one short text in each slot: more of them would be written behind it.
    @Test func aSlotIsWrittenOnce() async {
        await #expect(processExitsWith: .failure) {
            var encoder = FrameEncoder()
            _ = try encoder.append(.routing, time: 0) { (writer: inout RecordWriter) throws(RecordError) in
                try writer.prefixedText("short", bit: 2, slot: 0)
                try writer.prefixedText("short", bit: 3, slot: 0)
            }
        }
    }

    /// Room is reserved for a number in each field.
    @Test func aFieldIsWrittenOnce() async {
        await #expect(processExitsWith: .failure) {
            var encoder = FrameEncoder()
            _ = try encoder.append(.routing, time: 0) { (writer: inout RecordWriter) throws(RecordError) in
                writer.int32(1, bit: 7)
                writer.int32(1, bit: 7)
            }
        }
        await #expect(processExitsWith: .failure) {
            var encoder = FrameEncoder()
            let record = SystemRecord(time: 0, cpuUsagePercent: 1)
            _ = try encoder.append(.system, time: 0) { (writer: inout RecordWriter) throws(RecordError) in
                try record.write(to: &writer)
                try record.write(to: &writer)
            }
        }
    }

    /// The block has moved when the text behind the long one is refused.
    @Test func aRecordWhoseFaultIsPassedOverIsWhole() throws {
        var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        let id = String(repeating: "i", count: 30_000)
        let record = RoutingRecord(time: 5, queryID: id, queryText: "\0")
        let fits = try encoder.append(.routing, time: 5) { (writer: inout RecordWriter) throws(RecordError) in
            do throws(RecordError) { try record.write(to: &writer) } catch { #expect(error == .nullCharacter) }
            writer.int32(7, bit: 8)
        }
        #expect(fits)
        let finished = encoder.finished()
        let frame = try #require(finished)
        // The refused text is absent, what came before it and behind it is there.
        let expected = FrameEncoder.frame(of: RoutingRecord(time: 5, queryID: id, embeddingTimeMs: 7))
        #expect(frame == expected)
    }
}

extension FrameEncoder {
    /// The frame of one record.
    fileprivate static func frame(of record: some MetricRecord) -> [UInt8]? {
        var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        do throws(RecordError) { _ = try encoder.append(record) } catch { return nil }
        return encoder.finished()
    }
}
