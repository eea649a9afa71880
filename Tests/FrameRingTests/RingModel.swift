/// The ring in small: every load and store of shared memory is a step of its own, so that all the ways in which
/// producers and the consumer can interleave may be walked through.
///
/// Two producers make three claims each, in a ring of a few units; what does not fit is refused and not tried again.
/// Memory is sequentially consistent here: orderings are the business of the comments beside them and of the thread
/// sanitizer. Bytes are units, and a unit holds the number of the claim that wrote it.
struct RingModel {
    /// What can be broken on purpose.
    enum Mutant: CaseIterable {
        case publicationBeforeWrite, headReleasedBeforeRead, freeSpaceUnchecked, lapUnchecked, waitNotRechecked
    }

    /// What must never be seen in any state.
    enum Violation: Error, Equatable {
        case positionsOutOfOrder, unreadClaimOverwritten, unpublishedRead, claimTakenTwice, orderLost
        case asleepOverPublishedClaims, claimLost, stuck
    }

    static let claimsPerProducer = 3
    let capacityUnits: Int
    /// The extents of each producer's claims, in units.
    let extents: [[Int]]
    var mutant: Mutant?

    struct State: Hashable {
        var tail: UInt8 = 0
        var headSeen: UInt8 = 0
        var head: UInt8 = 0
        var isWaiting = false
        /// The hook was called and the consumer has not run since.
        var isWoken = false
        var data = SIMD4<UInt8>()
        /// `(lap + 1) << 3 | extent << 1 | padding`.
        var commits = SIMD4<UInt8>()
        var first = Producer()
        var second = Producer()
        var consumer = Consumer()
        /// A bit for each claim, and for each that had no room.
        var taken: UInt8 = 0
        var refused: UInt8 = 0
    }

    enum ProducerStep: UInt8 {
        case loadTail, loadHeadSeen, loadHead, storeHeadSeen, exchangeTail, publishPadding, write, publish, loadWaiting
        case wake, done
    }

    struct Producer: Hashable {
        var step = ProducerStep.loadTail
        var claim: UInt8 = 0
        /// The tail and the head as loaded; the position once claimed is in `tail`.
        var tail: UInt8 = 0
        var head: UInt8 = 0
        var written: UInt8 = 0
    }

    enum ConsumerStep: UInt8 {
        case loadCommit, read, releaseHead, setWaiting, recheck, sleep
    }

    struct Consumer: Hashable {
        var step = ConsumerStep.loadCommit
        var word: UInt8 = 0
        var readUnits: UInt8 = 0
        /// What the first unit said.
        var claim: UInt8 = 0
        var position: UInt8 = 0
    }
}

extension RingModel {
    /// The state after one step of actor 0 or 1, a producer, or 2, the consumer; nil where it has none to make.
    func step(_ actor: Int, from state: State) throws(Violation) -> State? {
        var next = state
        if actor == 2 {
            guard try stepConsumer(&next) else { return nil }
        } else {
            var producer = actor == 0 ? next.first : next.second
            guard try stepProducer(&producer, number: actor, &next) else { return nil }
            if actor == 0 { next.first = producer } else { next.second = producer }
        }
        guard next.head <= next.tail, Int(next.tail) <= Int(next.head) + capacityUnits, next.headSeen <= next.head
        else { throw .positionsOutOfOrder }
        return next
    }

    /// Whether everybody is done; throws where somebody is who should not be.
    func isEnd(_ state: State) throws(Violation) -> Bool {
        guard state.first.step == .done, state.second.step == .done else { return false }
        guard state.consumer.step == .sleep, !state.isWoken else { return false }
        guard state.head == state.tail else { throw .asleepOverPublishedClaims }
        guard state.taken ^ state.refused == 1 << (2 * Self.claimsPerProducer) - 1 else { throw .claimLost }
        return true
    }

    // MARK: A producer's steps

    private func stepProducer(
        _ producer: inout Producer, number: Int, _ state: inout State
    ) throws(Violation) -> Bool {
        if producer.step == .done { return false }
        let extent = UInt8(extents[number][Int(producer.claim)])
        let claimNumber = UInt8(number * Self.claimsPerProducer) + producer.claim
        let capacity = UInt8(capacityUnits)
        let lapRest = capacity - producer.tail % capacity
        let padding = lapRest < extent ? lapRest : 0
        let newTail = producer.tail + padding + extent
        switch producer.step {
        case .loadTail:
            producer.tail = state.tail
            producer.step = mutant == .freeSpaceUnchecked ? .exchangeTail : .loadHeadSeen
        case .loadHeadSeen:
            producer.step = newTail > state.headSeen + capacity ? .loadHead : .exchangeTail
        case .loadHead:
            producer.head = state.head
            producer.step = .storeHeadSeen
        case .storeHeadSeen:
            state.headSeen = producer.head
            if newTail <= producer.head + capacity {
                producer.step = .exchangeTail
            } else {
                state.refused |= 1 << claimNumber
                goOn(&producer)
            }
            producer.head = 0
        case .exchangeTail:
            if state.tail == producer.tail {
                state.tail = newTail
                producer.step = padding > 0 ? .publishPadding : writeOrPublish(first: true)
            } else {
                producer.tail = state.tail
                producer.step = mutant == .freeSpaceUnchecked ? .exchangeTail : .loadHeadSeen
            }
        case .publishPadding:
            publish(extent: padding, isPadding: true, at: producer.tail, &state)
            producer.tail += padding
            producer.step = writeOrPublish(first: true)
        case .write:
            let unit = Int((producer.tail + producer.written) % capacity)
            if state.data[unit] > 0, state.taken & 1 << (state.data[unit] - 1) == 0 { throw .unreadClaimOverwritten }
            state.data[unit] = claimNumber + 1
            producer.written += 1
            if producer.written == extent { producer.step = writeOrPublish(first: false) }
        case .publish:
            publish(extent: extent, isPadding: false, at: producer.tail, &state)
            producer.step = mutant == .publicationBeforeWrite ? .write : .loadWaiting
        case .loadWaiting:
            if state.isWaiting { producer.step = .wake } else { goOn(&producer) }
        case .wake:
            if state.isWaiting { state.isWoken = true }
            state.isWaiting = false
            goOn(&producer)
        case .done:
            return false
        }
        return true
    }

    private func writeOrPublish(first: Bool) -> ProducerStep {
        if mutant == .publicationBeforeWrite { return first ? .publish : .loadWaiting }
        return first ? .write : .publish
    }

    private func goOn(_ producer: inout Producer) {
        let claim = producer.claim + 1
        producer = Producer()
        producer.claim = claim
        if claim == Self.claimsPerProducer { producer.step = .done }
    }

    private func publish(extent: UInt8, isPadding: Bool, at position: UInt8, _ state: inout State) {
        let lap = position / UInt8(capacityUnits)
        state.commits[Int(position) % capacityUnits] = (lap + 1) << 3 | extent << 1 | (isPadding ? 1 : 0)
    }

    // MARK: The consumer's steps

    /// The word published at the head, or 0. The tail is not looked at: it decides nothing in this memory model.
    private func publishedWord(_ state: State) -> UInt8 {
        let word = state.commits[Int(state.head) % capacityUnits]
        if mutant == .lapUnchecked { return word }
        return word >> 3 == state.head / UInt8(capacityUnits) + 1 ? word : 0
    }

    private func stepConsumer(_ state: inout State) throws(Violation) -> Bool {
        switch state.consumer.step {
        case .loadCommit:
            let word = publishedWord(state)
            state.consumer.word = word
            state.consumer.position = state.head
            if word == 0 {
                state.consumer.step = .setWaiting
            } else if word & 1 == 1 || mutant == .headReleasedBeforeRead {
                state.consumer.step = .releaseHead
            } else {
                state.consumer.step = .read
            }
        case .read:
            try read(&state)
        case .releaseHead:
            state.head += state.consumer.word >> 1 & 3
            if mutant == .headReleasedBeforeRead, state.consumer.word & 1 == 0 {
                state.consumer.step = .read
            } else {
                state.consumer = Consumer()
            }
        case .setWaiting:
            state.isWaiting = true
            state.consumer = Consumer(step: mutant == .waitNotRechecked ? .sleep : .recheck)
        case .recheck:
            if publishedWord(state) == 0 {
                state.consumer.step = .sleep
            } else {
                state.isWaiting = false
                state.consumer.step = .loadCommit
            }
        case .sleep:
            guard state.isWoken else { return false }
            state.isWoken = false
            state.consumer.step = .loadCommit
        }
        return true
    }

    private func read(_ state: inout State) throws(Violation) {
        let extent = state.consumer.word >> 1 & 3
        let unit = Int(state.consumer.position + state.consumer.readUnits) % capacityUnits
        let found = state.data[unit]
        if state.consumer.readUnits == 0 {
            state.consumer.claim = found
        }
        guard found > 0, found == state.consumer.claim else { throw .unpublishedRead }
        state.consumer.readUnits += 1
        guard state.consumer.readUnits == extent else { return }
        let claim = Int(found - 1)
        guard state.taken & 1 << claim == 0 else { throw .claimTakenTwice }
        // None that the same producer made later may be there already.
        let producer = claim / Self.claimsPerProducer
        let later = (claim + 1)..<((producer + 1) * Self.claimsPerProducer)
        guard later.allSatisfy({ state.taken & 1 << $0 == 0 }) else { throw .orderLost }
        state.taken |= 1 << claim
        if mutant == .headReleasedBeforeRead {
            state.consumer = Consumer()
        } else {
            state.consumer.step = .releaseHead
            state.consumer.claim = 0
            state.consumer.readUnits = 0
        }
    }
}
