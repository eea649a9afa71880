// A record's tags: string to string, kept in the order in which the wire has them.

/// Tags of one record: pairs in ascending order of their keys' UTF-8 bytes, each key once.
public struct Tags: Equatable, Sendable, ExpressibleByDictionaryLiteral {
    /// One key with its value.
    public struct Pair: Equatable, Sendable {
        public let key: String
        public let value: String

        public init(key: String, value: String) {
            self.key = key
            self.value = value
        }

        /// Compares bytes: Swift's own comparison takes canonically equivalent texts for equal.
        public static func == (left: Pair, right: Pair) -> Bool {
            left.key.utf8.elementsEqual(right.key.utf8) && left.value.utf8.elementsEqual(right.value.utf8)
        }
    }

    public private(set) var pairs: [Pair]

    /// Takes pairs in any order; of pairs with the same key the last holds. O(n log n).
    public init(_ pairs: [Pair]) {
        var sorted: [Pair] = []
        sorted.reserveCapacity(pairs.count)
        let order = pairs.indices.sorted { left, right in
            let (a, b) = (pairs[left].key.utf8, pairs[right].key.utf8)
            if a.lexicographicallyPrecedes(b) { return true }
            return left < right && a.elementsEqual(b)
        }
        for index in order {
            if let last = sorted.last, last.key.utf8.elementsEqual(pairs[index].key.utf8) { sorted.removeLast() }
            sorted.append(pairs[index])
        }
        self.pairs = sorted
    }

    public init(dictionaryLiteral elements: (String, String)...) {
        self.init(elements.map { Pair(key: $0.0, value: $0.1) })
    }

    /// The value of a key, or nil. O(n).
    public subscript(key: String) -> String? {
        pairs.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
    }
}
