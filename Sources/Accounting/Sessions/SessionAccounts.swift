// The accounts of a shard's sessions by their places.

/// A list of accounts in blocks that stay where they are: an array that grows would hold the shard's lock while it copies all of
/// them, and leave holes of every earlier size in the heap. Places are used again and never given back. Not thread-safe.
///
/// `@unchecked Sendable`: only the list has its blocks' addresses, so who has the list to himself has them too.
struct SessionAccounts: ~Copyable, @unchecked Sendable {
    private static let blockCount = 1 << blockShift
    private static let blockShift = 5

    private var blocks: [UnsafeMutablePointer<SessionAccount>] = []
    /// Accounts that were added.
    private(set) var count = 0

    deinit {
        // An account is plain bytes: there is nothing in it to release.
        for block in blocks { block.deallocate() }
    }

    var indices: Range<Int> { 0..<count }

    /// The account at a place below `count`. It stays there as long as the list. O(1).
    subscript(place: Int) -> UnsafeMutablePointer<SessionAccount> {
        precondition(place >= 0 && place < count, "there are \(count) accounts, and this is the one at \(place)")
        return blocks[place >> Self.blockShift] + (place & (Self.blockCount - 1))
    }

    /// - Returns: the account's place. O(1).
    mutating func append(_ account: SessionAccount) -> Int {
        let place = count
        if place & (Self.blockCount - 1) == 0 { blocks.append(.allocate(capacity: Self.blockCount)) }
        count += 1
        self[place].initialize(to: account)
        return place
    }
}
