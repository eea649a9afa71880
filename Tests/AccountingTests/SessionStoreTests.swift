import Delivery
import FrameCodec
import TestSupport
import Testing

@testable import Accounting

/// A store, with what the tests ask of it: their macros take no value that cannot be copied.
private final class Held {
    private var store = SessionStore()

    var count: Int { store.count }
    var placesMade: Int { store.accounts.count }

    func addOwner() { store.addOwner() }
    func place(of key: SessionKey, owner: Int) -> Int? { store.place(of: key, owner: owner) }
    func wasEvicted(_ key: SessionKey) -> Bool { store.wasEvicted(key) }
    func insert(_ account: SessionAccount, _ key: SessionKey) { store.insert(account, key) }
    func oldest(_ amount: Int) -> [Int] { store.oldest(amount) }
    func evict(_ key: SessionKey) { store.evict(key) }
}

@Suite struct SessionStoreTests {
    private func account(_ session: UInt64, lastUsed: Int64) -> SessionAccount {
        SessionAccount(session: session, owner: 0, beginning: .seen, lastUsed: lastUsed)
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func selectsWhatSortingWouldFind(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let values = (0..<Int.random(in: 1...300, using: &random)).map { _ in
            Int64.random(in: 0...Int64(1 + seed * 4), using: &random)
        }
        let rank = Int.random(in: values.indices, using: &random)
        var reordered = values
        #expect(SessionStore.element(ofRank: rank, in: &reordered) == values.sorted()[rank], "seed \(seed)")
        #expect(reordered.sorted() == values.sorted(), "seed \(seed)")
    }

    @Test func findsTheOldestAndAsManyAsAskedForAmongEquals() {
        let store = Held()
        store.addOwner()
        for session in 0..<10 as Range<UInt64> {
            let key = SessionKey(source: 1, session: session)
            store.insert(account(session, lastUsed: session < 3 ? 1 : 5), key)
            #expect(store.place(of: key, owner: 0) == Int(session))
        }
        #expect(store.oldest(3).sorted() == [0, 1, 2])
        #expect(store.oldest(5).count == 5)
        #expect(Set(store.oldest(5)).isSuperset(of: [0, 1, 2]))
        #expect(store.oldest(100).count == 10)
        #expect(store.oldest(0).isEmpty)
    }

    @Test func aFreePlaceIsUsedAgainAndNotTakenForItsFormerSession() {
        let store = Held()
        let first = SessionKey(source: 1, session: 1)
        let second = SessionKey(source: 1, session: 2)
        store.addOwner()
        store.insert(account(1, lastUsed: 1), first)
        #expect(store.place(of: first, owner: 0) == 0)
        #expect(store.place(of: second, owner: 0) == nil)
        #expect(!store.wasEvicted(first))
        store.evict(first)
        #expect(store.wasEvicted(first) && store.place(of: first, owner: 0) == nil && store.count == 0)
        store.insert(account(2, lastUsed: 2), second)
        #expect(store.placesMade == 1 && store.count == 1)
        #expect(store.place(of: second, owner: 0) == 0)
        #expect(store.place(of: first, owner: 0) == nil)
    }

    @Test func aSessionOfAnotherSourceIsAnotherSession() {
        let store = Held()
        store.addOwner()
        store.addOwner()
        store.insert(account(1, lastUsed: 1), SessionKey(source: 8, session: 1))
        #expect(store.place(of: SessionKey(source: 9, session: 1), owner: 1) == nil)
        // The first source's place has a session with the same number.
        store.evict(SessionKey(source: 8, session: 1))
        store.insert(
            SessionAccount(session: 1, owner: 1, beginning: .seen, lastUsed: 2), SessionKey(source: 9, session: 1))
        #expect(store.place(of: SessionKey(source: 9, session: 1), owner: 1) == 0)
        #expect(store.place(of: SessionKey(source: 8, session: 1), owner: 0) == nil)
    }
}
