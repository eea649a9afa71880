import FrameRing
import Glibc
import Synchronization

/// A record: its number, 4 bytes; filling, 0 bytes or more; the checksum of all before it, 8 bytes.
enum TortureRecord {
    static let overheadBytes = 12

    /// Writes the record over `bytes`.
    static func fill(_ bytes: inout [UInt8], number: UInt32, random: inout Xorshift) {
        bytes.removeAll(keepingCapacity: true)
        withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) }
        for _ in 0..<random.next(below: TorturePlan.recordBytesMaximum - overheadBytes + 1) {
            bytes.append(UInt8(truncatingIfNeeded: random.next(below: 256)))
        }
        withUnsafeBytes(of: checksum(bytes.span.bytes)) { bytes.append(contentsOf: $0) }
    }

    /// The record's number, or nil if it is damaged.
    static func number(of record: RawSpan) -> UInt32? {
        guard record.byteCount >= overheadBytes else { return nil }
        let found = record.unsafeLoadUnaligned(fromByteOffset: record.byteCount - 8, as: UInt64.self)
        guard found == checksum(record.extracting(droppingLast: 8)) else { return nil }
        return record.unsafeLoadUnaligned(as: UInt32.self)
    }

    /// FNV-1a.
    private static func checksum(_ bytes: RawSpan) -> UInt64 {
        var sum: UInt64 = 0xCBF2_9CE4_8422_2325
        for offset in bytes.byteOffsets {
            sum = (sum ^ UInt64(bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self))) &* 0x100_0000_01B3
        }
        return sum
    }
}

/// What the ring's hook sets and the consumer looks at.
final class WakeFlag: Sendable {
    let isSet = Atomic<Bool>(false)
}

func runTorture(_ plan: TorturePlan) -> TortureReport {
    let wake = WakeFlag()
    let ring = FrameRing(capacityBytes: plan.capacityBytes) { wake.isSet.store(true, ordering: .releasing) }
    var consumer = ring.takeConsumer()
    let threads = (0..<plan.producers).map { producer in
        startThread { produce(plan, producer: producer, into: ring) }
    }
    var report = TortureReport()
    var next = [UInt32](repeating: 0, count: plan.producers)
    let total = plan.producers * plan.records
    while report.records < total {
        let taken = consumer.consume(maximumRecords: 1_000) { record, tag in
            report.bytes += record.byteCount
            guard let number = TortureRecord.number(of: record), tag < plan.producers else {
                report.damaged += 1
                return true
            }
            if number != next[Int(tag)] { report.outOfOrder += 1 }
            next[Int(tag)] = number + 1
            return true
        }
        report.records += taken
        if taken == 0, let milliseconds = consumer.prepareToWait() {
            report.waits += 1
            // Over an empty ring a wake-up cannot be lost; the sanitizer makes everything slow, not that slow.
            if !wait(for: wake, milliseconds: milliseconds), milliseconds == FrameRing.waitMillisecondsEmpty,
                ring.usedBytes > 0
            {
                report.lostWakes += 1
            }
        }
    }
    for thread in threads { pthread_join(thread, nil) }
    // Claims abandoned after the last record, and records that should not be there.
    report.records += consumer.consume(maximumRecords: .max) { _, _ in
        report.damaged += 1
        return true
    }
    report.claims = ring.consumedClaims
    report.abandonedClaims = ring.abandonedClaims
    report.bytesLeft = ring.usedBytes
    report.missing = next.reduce(0) { $0 + plan.records - Int($1) }
    return report
}

/// Appends the plan's records: one in four alone, the others in batches, of which some are filled partly and some are
/// dropped.
private func produce(_ plan: TorturePlan, producer: Int, into ring: FrameRing) {
    var random = Xorshift(seed: plan.seed &* 1_000 &+ UInt64(producer))
    var record: [UInt8] = []
    let tag = UInt64(producer)
    var number = 0
    while number < plan.records {
        if random.next(below: 4) == 0 {
            TortureRecord.fill(&record, number: UInt32(number), random: &random)
            while !append(record, to: ring, tag: tag) { sched_yield() }
            number += 1
            continue
        }
        let claimed = 1 + random.next(below: TorturePlan.batchRecordsMaximum)
        do throws(ClaimFailure) {
            var claim = try ring.claim(
                recordCount: claimed, payloadBytes: claimed * TorturePlan.recordBytesMaximum, tag: tag)
            let isDropped = random.next(below: 16) == 0
            let last = min(plan.records, number + (random.next(below: 3) == 0 ? claimed / 2 : claimed))
            for index in number..<last {
                TortureRecord.fill(&record, number: UInt32(index), random: &random)
                claim.append(record.span.bytes)
            }
            if !isDropped {
                claim.publish()
                number = last
            }
        } catch {
            precondition(error == .full, "the plan's batches fit in its smallest ring")
            sched_yield()
        }
    }
}

private func append(_ record: [UInt8], to ring: FrameRing, tag: UInt64) -> Bool {
    do throws(ClaimFailure) {
        try ring.append(record.span.bytes, tag: tag)
        return true
    } catch {
        return false
    }
}

/// Until the hook was called, or for as long as a consumer may wait.
private func wait(for wake: WakeFlag, milliseconds: Int) -> Bool {
    for _ in 0..<milliseconds * 10 {
        if wake.isSet.exchange(false, ordering: .acquiring) { return true }
        usleep(100)
    }
    return false
}

private final class ThreadBody {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func startThread(_ run: @escaping @Sendable () -> Void) -> pthread_t {
    var thread = pthread_t()
    let status = pthread_create(
        &thread, nil,
        { context in
            guard let context else { return nil }
            Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run()
            return nil
        }, Unmanaged.passRetained(ThreadBody(run)).toOpaque())
    precondition(status == 0, "no thread: \(status)")
    return thread
}
