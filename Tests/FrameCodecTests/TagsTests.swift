// Tags are ordered and compared by their bytes.

import FrameCodec
import Testing

@Suite struct TagsTests {
    @Test func `pairs are sorted by the bytes of their keys`() {
        let tags: Tags = ["b": "1", "": "2", "🚀": "3", "\u{FFFF}": "4", "a": "5", "ab": "6", "é": "7", "Z": "8"]
        #expect(tags.pairs.map(\.key) == ["", "Z", "a", "ab", "b", "é", "\u{FFFF}", "🚀"])
        #expect(tags.pairs.map(\.value) == ["2", "8", "5", "6", "1", "7", "4", "3"])
    }

    @Test func `of pairs with the same key the last holds`() {
        let pairs = ["1", "2", "3"].flatMap { [Tags.Pair(key: "b", value: $0), Tags.Pair(key: "a", value: $0)] }
        #expect(Tags(pairs) == ["a": "3", "b": "3"])
    }

    @Test func `keys that look the same are two when their bytes differ`() throws {
        let composed = "\u{E9}"
        let combining = "e\u{301}"
        let tags = Tags([Tags.Pair(key: composed, value: "1"), Tags.Pair(key: combining, value: "2")])
        #expect(tags.pairs.count == 2)
        #expect(tags[composed] == "1")
        #expect(tags[combining] == "2")
        #expect(Tags([Tags.Pair(key: composed, value: "")]) != Tags([Tags.Pair(key: combining, value: "")]))
        let encoder = TestEncoder()
        #expect(try encoder.append(PointRecord(time: 0, tags: tags)))
        let record = try #require(try decodeFrame(encoder.frame()).visitor.records.first)
        #expect(record.tags == [Array(combining.utf8), Array("2".utf8), Array(composed.utf8), Array("1".utf8)])
    }

    @Test func `a key that is not there has no value`() {
        #expect(Tags([])["a"] == nil)
        #expect((["a": "1"] as Tags)["b"] == nil)
    }

    @Test func `an empty set is told, and is not the absence of tags`() throws {
        let encoder = TestEncoder()
        #expect(try encoder.append(PointRecord(time: 0, tags: [:])))
        #expect(try encoder.append(PointRecord(time: 0)))
        let records = try decodeFrame(encoder.frame()).visitor.records
        #expect(records.map(\.tags) == [[], nil])
    }

    @Test func `256 tags are carried`() throws {
        let tags = Tags((0..<256).map { Tags.Pair(key: "key \($0)", value: "value") })
        let encoder = TestEncoder(frameBytesTarget: FrameLimits.frameBytesMax)
        #expect(try encoder.append(PointRecord(time: 0, tags: tags)))
        let record = try #require(try decodeFrame(encoder.frame()).visitor.records.first)
        #expect(record.tags?.count == 512)
    }
}
