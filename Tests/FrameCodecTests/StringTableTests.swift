// The encoder's dictionary against Swift's: whatever is added, taken back and forgotten, each string has one index.

import Foundation
import Testing

@testable import FrameCodec

struct StringTableTests {
    /// Strings of all lengths that are told apart in different ways, many of them with a common beginning.
    private static func string(_ random: inout SeededGenerator) -> [UInt8] {
        let counts = [0...3, 4...15, 16...17, 18...33, 34...300, 65_000...65_536]
        let weights = [0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5]
        let weight = Int.random(in: 0..<60, using: &random)
        let count = Int.random(in: counts[weight < weights.count ? weights[weight] : weight % 4], using: &random)
        var bytes = [UInt8](repeating: UInt8(ascii: "a"), count: count)
        for _ in 0..<Int.random(in: 0...2, using: &random) where count > 0 {
            bytes[Int.random(in: 0..<count, using: &random)] = UInt8.random(in: 98...100, using: &random)
        }
        return bytes
    }

    @Test func findsWhatASwiftDictionaryHolds() {
        let seed = testSeed(ProcessInfo.processInfo.environment)
        var random = SeededGenerator(seed: seed)
        var table = StringTable()
        defer { table.deallocate() }
        for _ in 0..<40 {
            var model: [[UInt8]: Int] = [:]
            var order: [[UInt8]] = []
            var marks: [(count: Int, wireCount: Int)] = []
            for _ in 0..<Int.random(in: 0...3_000, using: &random) {
                switch Int.random(in: 0..<100, using: &random) {
                case 0..<2:
                    marks.append((table.count, table.wire.count))
                case 2..<4:
                    guard let mark = marks.popLast() else { continue }
                    table.truncate(count: mark.count, wireCount: mark.wireCount)
                    for string in order[mark.count...] { model[string] = nil }
                    order.removeSubrange(mark.count...)
                default:
                    let string = Self.string(&random)
                    let found = Self.findOrAdd(string, &table)
                    if let index = model[string] {
                        #expect(found == index, "seed \(seed)")
                    } else {
                        #expect(found == order.count, "a new string, seed \(seed)")
                        model[string] = order.count
                        order.append(string)
                    }
                }
            }
            #expect(table.count == order.count)
            for (index, string) in order.enumerated() { #expect(Self.findOrAdd(string, &table) == index) }
            table.removeAll()
        }
    }

    @Test func aFullTableTakesNoMore() {
        var table = StringTable()
        defer { table.deallocate() }
        for number in 0..<FrameLimits.stringsPerDictionaryMax {
            #expect(Self.findOrAdd(Array("string \(number)".utf8), &table) == number)
        }
        #expect(Self.findOrAdd(Array("one more".utf8), &table) == nil)
        #expect(Self.findOrAdd(Array("string 16383".utf8), &table) == 16_383)
    }

    private static func findOrAdd(_ string: [UInt8], _ table: inout StringTable) -> Int? {
        string.withUnsafeBytes { text in
            let finding: StringTable.Finding
            let hash: UInt64
            if text.count <= ShortText.bytesMax {
                let short = text.baseAddress.map { ShortText($0, count: text.count) } ?? ShortText.empty
                hash = short.hash(seed: table.seed, state: table.shortState)
                finding = table.find(short, count: text.count, hash: hash)
            } else {
                hash = stringHash(text, seed: table.seed)
                finding = table.find(text, hash: hash)
            }
            switch finding {
            case .at(let index): return index
            case .free(let slot): return table.add(text, hash: hash, slot: slot)
            }
        }
    }
}
