// The accounts of all sessions of a shard's sources, found by source and session.
//
// Limits: `SourceTable` bounds the accounts; `evictedKeysMax` keys of evicted sessions are remembered twice over.
// Memory: 224 bytes an account and 20 for its key in a hash table that is at most three quarters full; 16 in such a
// table for the key of an evicted session; 4 for each source.
// Invariant: an account that is not free is at the place that `places` has for its key; a free one is in `freePlaces`.

import FrameCodec

/// A map from (source, session) to the session's account. It grows and shrinks as its owner says. Not thread-safe.
struct SessionStore: ~Copyable {
    /// Keys of evicted sessions in each of the two generations.
    static let evictedKeysMax = 4_096

    /// Free ones among them.
    private(set) var accounts = SessionAccounts()
    private var freePlaces: [Int32] = []
    /// The standard dictionary: its hashing is seeded, so that no sender can choose ids that collide.
    private var places: [SessionKey: Int32] = [:]
    /// For each source, the place of the account used last: only a change of the session costs a look into the table.
    /// They are here and not with the sources, so that a frame's source and its account are fetched at the same time.
    private var lastPlaces: [Int32] = []
    /// The sessions evicted last. The older generation is dropped when the younger one is full.
    private var evicted: (younger: Set<SessionKey>, older: Set<SessionKey>) = ([], [])

    /// Accounts that are not free.
    var count: Int { places.count }

    /// Sources are numbered from 0 in the order in which they are added.
    mutating func addOwner() { lastPlaces.append(.max) }

    /// Where the session's account is. O(1), without hashing for the session that its source used last.
    mutating func place(of key: SessionKey, owner: Int) -> Int? {
        let last = Int(lastPlaces[owner])
        // The account may have been evicted and its place may have another session by now.
        if last < accounts.count, accounts[last].pointee.session == key.session,
            accounts[last].pointee.owner == owner
        {
            return last
        }
        guard let place = places[key] else { return nil }
        lastPlaces[owner] = place
        return Int(place)
    }

    /// Whether the session was evicted, as far as it is remembered: always for the last `evictedKeysMax` of them.
    func wasEvicted(_ key: SessionKey) -> Bool { evicted.younger.contains(key) || evicted.older.contains(key) }

    /// Adds the account of a session that has none. Its place stays the same until it is evicted. Amortised O(1).
    mutating func insert(_ account: SessionAccount, _ key: SessionKey) {
        let place: Int
        if let free = freePlaces.popLast() {
            place = Int(free)
            accounts[place].pointee = account
        } else {
            place = accounts.append(account)
        }
        let former = places.updateValue(Int32(place), forKey: key)
        precondition(former == nil, "a session has one account")
        lastPlaces[Int(account.owner)] = Int32(place)
    }

    /// The places of the accounts that were used longest ago. O(accounts).
    func oldest(_ amount: Int) -> [Int] {
        let amount = min(amount, count)
        guard amount > 0 else { return [] }
        var times: [Int64] = []
        times.reserveCapacity(count)
        for place in accounts.indices where !accounts[place].pointee.isFree {
            times.append(accounts[place].pointee.lastUsed)
        }
        let youngest = Self.element(ofRank: amount - 1, in: &times)
        var oldest: [Int] = []
        oldest.reserveCapacity(amount)
        // Two rounds, since some of those that share the youngest time may have to stay.
        for isTie in [false, true] {
            for place in accounts.indices where oldest.count < amount && !accounts[place].pointee.isFree {
                let time = accounts[place].pointee.lastUsed
                if isTie ? time == youngest : time < youngest { oldest.append(place) }
            }
        }
        return oldest
    }

    /// Removes the session's account, and remembers that it had one. Amortised O(1).
    mutating func evict(_ key: SessionKey) {
        guard let place = places.removeValue(forKey: key) else { preconditionFailure("only an account is evicted") }
        accounts[Int(place)].pointee.free()
        freePlaces.append(place)
        remember(key)
    }

    private mutating func remember(_ key: SessionKey) {
        if evicted.younger.count >= Self.evictedKeysMax {
            evicted.older = evicted.younger
            evicted.younger = []
        }
        evicted.younger.insert(key)
    }

    /// The element that is at `rank` in ascending order: Hoare's selection. Expected O(values), whatever their order,
    /// since its pivots are random. It reorders `values`.
    static func element(ofRank rank: Int, in values: inout [Int64]) -> Int64 {
        var low = 0
        var high = values.count - 1
        while low < high {
            let pivot = values[Int.random(in: low...high)]
            var left = low
            var right = high
            while left <= right {
                while values[left] < pivot { left += 1 }
                while values[right] > pivot { right -= 1 }
                if left <= right {
                    values.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if rank <= right {
                high = right
            } else if rank >= left {
                low = left
            } else {
                return values[rank]
            }
        }
        return values[rank]
    }
}
