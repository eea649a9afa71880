// The entries of `UnacknowledgedFrames` in their order. Not bounded: its owner bounds it.

/// Entries with indices that count from the first one ever. The memory is a ring that grows to the most that were held.
struct EntryRing {
    private(set) var start = 0
    private(set) var end = 0
    private var storage: [UnacknowledgedFrames.Entry] = []

    private static let capacityMin = 256

    subscript(index: Int) -> UnacknowledgedFrames.Entry {
        get { storage[index & (storage.count - 1)] }
        set { storage[index & (storage.count - 1)] = newValue }
    }

    mutating func append(_ entry: UnacknowledgedFrames.Entry) {
        if end - start == storage.count {
            var larger = [UnacknowledgedFrames.Entry](
                repeating: entry, count: max(Self.capacityMin, storage.count * 2))
            for index in start..<end { larger[index & (larger.count - 1)] = self[index] }
            storage = larger
        }
        end += 1
        self[end - 1] = entry
    }

    mutating func removeFirst() { start += 1 }
}
