// What must hold, at any time and when all has come to rest.

import Delivery
import FrameCodec

extension Simulation {
    /// What holds at any time.
    func checkAlways() throws {
        guard database.rows.values.allSatisfy({ $0 == 1 }) else {
            throw Violation(description: "a frame is stored twice: \(database.rows.first { $0.value > 1 }!.key)")
        }
    }

    mutating func checkEnd() throws {
        for site in sites { closed.merge(site.collector.closed) { first, _ in first } }
        totals.parts = database.partsStored
        for client in clients {
            for sequence in 1...client.frameCount { try check(client, sequence) }
            totals.acknowledged += Int(client.acknowledged.count)
            totals.refused += Int(client.refused.count)
        }
        totals.datagramsStored = database.rows.keys.count { $0.isDatagram }
        guard !database.letters.keys.contains(where: \.isDatagram) else {
            throw Violation(description: "a datagram that no client waits for became a dead letter")
        }
        guard database.parts.keys.allSatisfy({ damaged[$0] != nil }) else {
            throw Violation(description: "batches are left in part: \(database.parts.keys)")
        }
        for site in sites {
            let collector = site.collector
            guard collector.unaccounted == 0 else {
                throw Violation(
                    description: "at rest the accounting is off by \(collector.unaccounted): "
                        + "\(collector.accounting.snapshot().totals)")
            }
        }
    }

    private func check(_ client: SimulatedClient, _ sequence: UInt64) throws {
        let frame = client.frame(sequence)
        let isStored = database.rows[frame] == 1 || database.letters[frame] == 1
        guard client.acknowledged.contains(sequence) else {
            guard client.refused.contains(sequence) else { throw Violation(description: "neither of both: \(frame)") }
            guard frame.isMalformed else { throw Violation(description: "refused without a fault: \(frame)") }
            return
        }
        if isStored { return }
        // What was damaged on the disk after it was acknowledged is in the quarantine, every byte of it.
        let holders = damaged.filter { closed[$0.key]?.contains(frame) == true }
        guard !holders.isEmpty else { throw Violation(description: "acknowledged and not stored: \(frame)") }
        guard holders.contains(where: { sites[$0.value.site].disk.isInQuarantine($0.value.bytes) }) else {
            throw Violation(description: "acknowledged, damaged, and not in the quarantine: \(frame)")
        }
    }
}
