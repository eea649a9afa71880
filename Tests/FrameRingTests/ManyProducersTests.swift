import FrameRing
import Glibc
import Synchronization
import Testing

private final class ThreadBody {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// Runs `body` on `count` threads and `here` on this one, and returns when all of them have ended.
/// Threads, so that all truly run at once, whatever the pool of the language's tasks has.
private func withThreads(count: Int, body: @escaping @Sendable (_ thread: Int) -> Void, _ here: () -> Void) {
    var threads = [pthread_t](repeating: pthread_t(), count: count)
    for index in threads.indices {
        let context = Unmanaged.passRetained(ThreadBody { body(index) }).toOpaque()
        let status = pthread_create(
            &threads[index], nil,
            { context in
                guard let context else { return nil }
                Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context)
        precondition(status == 0, "no thread: \(status)")
    }
    here()
    for thread in threads { pthread_join(thread, nil) }
}

@Suite struct ManyProducersTests {
    static let producers = 8
    static let recordsPerProducer = 20_000

    @Test func `eight producers keep their order and every record comes exactly once`() {
        let ring = FrameRing(capacityBytes: 1 << 14)
        var consumer = ring.takeConsumer()
        let refusals = Count()
        let total = Self.producers * Self.recordsPerProducer
        var next = [Int](repeating: 0, count: Self.producers)
        var wrong = 0
        withThreads(count: Self.producers, body: { Self.produce($0, into: ring, refusals) }) {
            var taken = 0
            while taken < total {
                taken += consumer.consume(maximumRecords: 100) { record, tag in
                    let number = record.unsafeLoadUnaligned(as: Int.self)
                    if next[Int(tag)] != number || record.byteCount != Self.byteCount(of: number) { wrong += 1 }
                    next[Int(tag)] += 1
                    return true
                }
                ring.checkInvariants()
            }
        }
        #expect(wrong == 0)
        #expect(next.allSatisfy { $0 == Self.recordsPerProducer })
        #expect(consumer.take(from: ring) == [])
        #expect(ring.usedBytes == 0)
        print("\(total) records, \(refusals.value.load(ordering: .relaxed)) refusals by a full ring")
    }

    /// Appends the numbers from 0 on, each in a record of its own length, in batches of one to seven.
    private static func produce(_ producer: Int, into ring: FrameRing, _ refusals: Count) {
        var number = 0
        while number < recordsPerProducer {
            let last = min(number + number % 7, recordsPerProducer - 1)
            let payloadBytes = (number...last).reduce(0) { $0 + byteCount(of: $1) }
            do throws(ClaimFailure) {
                var claim = try ring.claim(
                    recordCount: last - number + 1, payloadBytes: payloadBytes, tag: UInt64(producer))
                for number in number...last {
                    let words = [Int](repeating: number, count: byteCount(of: number) / 8)
                    claim.append(words.span.bytes)
                }
                claim.publish()
                number = last + 1
            } catch {
                refusals.value.add(1, ordering: .relaxed)
                sched_yield()
            }
        }
    }

    private static func byteCount(of number: Int) -> Int { 8 * (1 + number % 23) }

    @Test func `a consumer that waits for the hook misses nothing`() {
        let wake = WakeFlag()
        let ring = FrameRing(capacityBytes: 1 << 12) { wake.isSet.store(true, ordering: .releasing) }
        var consumer = ring.takeConsumer()
        let total = 20_000
        var waits = 0
        var missed = 0
        withThreads(
            count: 2,
            body: { _ in
                for _ in 0..<total / 2 {
                    while ring.refusal(of: [1]) != nil { sched_yield() }
                }
            }
        ) {
            var taken = 0
            while taken < total {
                let count = consumer.consume(maximumRecords: 100) { _, _ in true }
                taken += count
                guard count == 0, consumer.prepareToWait() != nil else { continue }
                waits += 1
                // Far longer than the bounded wait: only a lost wake-up gets to the end of it.
                var spins = 0
                while !wake.isSet.exchange(false, ordering: .acquiring) {
                    sched_yield()
                    spins += 1
                    if spins > 5_000_000 {
                        missed += 1
                        break
                    }
                }
            }
        }
        print("\(waits) waits")
        #expect(missed == 0)
    }
}

final class Count: Sendable {
    let value = Atomic<Int>(0)
}

final class WakeFlag: Sendable {
    let isSet = Atomic<Bool>(false)
}
