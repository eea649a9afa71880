// What a start finds in the spill, and how it is put in order: damage and torn ends are kept in quarantine, torn ends are cut,
// segments without a batch are removed. It may be interrupted anywhere and run again.
//
// Limits: `quarantineCopyBytesMax` of memory for a copy; what is larger goes to the quarantine with its whole segment.
// Invariants: an intact batch is never cut or removed, and no byte but zeros is cut or removed that is not in the quarantine.

import Delivery
import FrameCodec
import LinuxSystem

/// Bytes of a segment that hold no intact batch.
public struct SpillDamage: Equatable, Sendable {
    public let segment: SegmentName
    public let offset: Int
    public let byteCount: Int
    /// Batches that are lost with it, as far as the numbering tells.
    public let batches: Int
    /// Records of those whose headers or frames are intact.
    public let records: Int
    /// Past the last intact batch: most likely a write that a crash cut off.
    public let isTail: Bool
    /// Nothing was ever written there.
    public let isZeros: Bool
}

/// A segment that an earlier run left.
public struct RecoveredSegment: Sendable {
    public let name: SegmentName
    public internal(set) var sizeBytes: Int
    public internal(set) var batches: [SpilledBatch]
    /// Batches that a segment before this one has too.
    public internal(set) var copies: [SpilledBatch] = []
    /// It was ended in order.
    public let isSealed: Bool
    /// Its batches are on the disk, whatever happens next. Else they can be read, and nobody may be told that they are safe
    /// before they are stored.
    public internal(set) var isDurable: Bool
    public let damage: [SpillDamage]
    /// Its damage could not be copied: it goes to the quarantine as a whole once its batches are settled.
    public internal(set) var mustKeepInQuarantine: Bool
    let createdMicroseconds: Int64
}

/// How far recovery has come.
public struct SpillRecoveryProgress: Sendable {
    public let segmentsDone: Int
    public let segments: Int
    public let bytesDone: UInt64
}

/// What all segments of a directory hold.
public struct SpillRecovery: Sendable {
    /// Oldest first.
    public private(set) var segments: [RecoveredSegment] = []
    /// What an operator should know.
    public private(set) var warnings: [String] = []
    /// Batches that are damaged or missing.
    public var damagedBatches: Int { broken.count + namelessBatches }
    /// Records of those whose headers or frames are intact.
    public var damagedRecords: Int { broken.values.reduce(0, +) + namelessRecords }
    /// Segments that could not be read at all, and why. They stay where they are for the next start.
    public private(set) var leftAlone: [(name: SegmentName, error: SystemCallError)] = []
    /// Segments of which the disk did not give every byte.
    public private(set) var unreadableSegments: [SegmentName] = []
    public private(set) var tornTails = 0
    /// Of them, those that hold more than zeros: what an interrupted write leaves, or a batch whose length is damaged.
    public private(set) var nonzeroTails = 0
    public private(set) var tornBytes = 0

    public var batches: Int { segments.reduce(0) { $0 + $1.batches.count } }
    public var records: Int { segments.reduce(0) { $1.batches.reduce($0) { $0 + $1.summary.recordCount } } }
    public var bytes: UInt64 { segments.reduce(0) { $0 + UInt64($1.sizeBytes) } }

    private let fileSystem: any SpillFileSystem
    private let isReadOnly: Bool
    private let verifiesSealedBodies: Bool
    /// Batches with an intact header and a damaged body, and their records. One that is whole elsewhere is not lost.
    private var broken: [BatchIdentity: Int] = [:]
    /// Damaged batches without an intact header, and their records where these are known.
    private var namelessBatches = 0
    private var namelessRecords = 0
    /// Of a copy in the quarantine.
    private static let quarantineCopyBytesMax = 16 << 20

    /// Looks through all segments, and unless `isReadOnly` puts them in order.
    ///
    /// - Parameters:
    ///   - verifiesSealedBodies: also read what was ended in order, which is otherwise read when it is replayed.
    ///   - onSessions: takes the sessions of each batch, and whether they are safe, and the batches are kept without them:
    ///     there may be as many as frames. A batch with a copy is told twice. Nil keeps them.
    /// - Throws: when the directory cannot be listed. What is wrong with a segment is a warning.
    /// - Complexity: O(bytes of segments that were not ended in order) reads, and O(batches) of the others.
    public init(
        fileSystem: any SpillFileSystem, isReadOnly: Bool = false, verifiesSealedBodies: Bool = false,
        onSessions: (([SessionFrames], Bool) -> Void)? = nil,
        progress: (SpillRecoveryProgress) -> Void = { _ in }
    ) throws(SpillError) {
        self.fileSystem = fileSystem
        self.isReadOnly = isReadOnly
        self.verifiesSealedBodies = verifiesSealedBodies
        var names: [SegmentName] = []
        do throws(SystemCallError) {
            for text in try fileSystem.names().sorted() where !SpillDirectory.ownNames.contains(text) {
                if let name = SegmentName(text) {
                    names.append(name)
                } else {
                    warnings.append("\(text) is no segment and is left alone")
                }
            }
        } catch {
            throw .system(error)
        }
        var found: [RecoveredSegment] = []
        var bytesDone: UInt64 = 0
        for (index, name) in names.enumerated() {
            do throws(SystemCallError) {
                if var segment = try recover(name) {
                    if let onSessions {
                        for batch in segment.batches { onSessions(batch.summary.sessions, segment.isDurable) }
                        segment.batches = segment.batches.map(\.withoutSessions)
                    }
                    found.append(segment)
                    bytesDone += UInt64(segment.sizeBytes)
                }
            } catch {
                leftAlone.append((name, error))
                warnings.append("\(name) cannot be read and is left alone: \(error)")
            }
            progress(SpillRecoveryProgress(segmentsDone: index + 1, segments: names.count, bytesDone: bytesDone))
        }
        segments = found.sorted { ($0.createdMicroseconds, $0.name) < ($1.createdMicroseconds, $1.name) }
        countOnce()
    }

    /// A batch that was written again after a failed sync may stand in two segments.
    private mutating func countOnce() {
        var seen: Set<BatchIdentity> = []
        for index in segments.indices {
            let batches = segments[index].batches
            segments[index].batches = []
            for batch in batches {
                let isFirst = seen.insert(batch.summary.identity).inserted
                if isFirst { segments[index].batches.append(batch) } else { segments[index].copies.append(batch) }
            }
        }
        broken = broken.filter { !seen.contains($0.key) }
    }

    private mutating func count(_ region: BadRegion) {
        for batch in region.brokenBatches { broken[batch.identity] = batch.recordCount }
        namelessBatches += region.batchCount - region.brokenBatches.count
        // Whether another copy of such a batch is whole is not known: it counts all the same.
        for batch in region.nameless { namelessRecords += batch.recordCount }
    }

    private mutating func recover(_ name: SegmentName) throws(SystemCallError) -> RecoveredSegment? {
        let file = TolerantFile(try fileSystem.open(name.text, forReading: isReadOnly))
        defer { file.close() }
        let scan = try SegmentScan(name, file, verifiesSealedBodies: verifiesSealedBodies)
        var damage = scan.damage.map { SpillDamage(name, $0, isTail: false) }
        if let tail = scan.tail { damage.append(SpillDamage(name, tail, isTail: true)) }
        for entry in damage {
            if entry.isTail {
                tornTails += 1
                if !entry.isZeros { nonzeroTails += 1 }
                tornBytes += entry.byteCount
            }
        }
        for region in scan.damage + (scan.tail.map { [$0] } ?? []) { count(region) }
        var segment = RecoveredSegment(
            name: name, sizeBytes: scan.sizeBytes, batches: scan.batches, isSealed: scan.isSealed,
            isDurable: scan.isSealed, damage: damage,
            mustKeepInQuarantine: false,
            createdMicroseconds: scan.createdMicroseconds ?? scan.batches.first?.summary.openedMicroseconds ?? 0)
        if let first = file.unreadable.first {
            unreadableSegments.append(name)
            // It reads as zeros, and was none.
            if let tail = scan.tail, tail.isZeros, file.unreadable.contains(where: { $0.overlaps(tail.bytes) }) {
                namelessBatches += 1
            }
            warnings.append(
                "the disk does not give \(file.unreadable.count) sectors of \(name), the first at byte \(first.lowerBound): the "
                    + "batches in them count as damaged, and the segment is kept")
            // Nothing of it is written or cut, and what cannot be copied goes to the quarantine with all of the segment.
            segment.mustKeepInQuarantine = true
            return segment.batches.isEmpty && !isReadOnly ? nil : segment
        }
        guard !isReadOnly else { return segment }
        guard !segment.batches.isEmpty else { return removeEmpty(&segment) ? nil : segment }
        putInOrder(&segment, file)
        if !scan.isSealed { makeDurable(&segment, scan, file) }
        return segment
    }

    private mutating func putInOrder(_ segment: inout RecoveredSegment, _ file: any SpillFile) {
        for entry in segment.damage where !entry.isZeros {
            guard entry.byteCount <= Self.quarantineCopyBytesMax else {
                segment.mustKeepInQuarantine = true
                continue
            }
            do throws(SystemCallError) {
                try copyToQuarantine(entry, file)
            } catch {
                segment.mustKeepInQuarantine = true
                warnings.append("damage in \(segment.name) could not be copied, so the segment is kept: \(error)")
            }
        }
        // What is kept whole is not cut either.
        guard let tail = segment.damage.last, tail.isTail, !segment.mustKeepInQuarantine else { return }
        do throws(SystemCallError) {
            // Synced with what is written again, or gone with the segment.
            try file.truncate(to: tail.offset)
            segment.sizeBytes = tail.offset
        } catch {
            // Nothing is written behind it, so it does no harm.
            warnings.append("the torn end of \(segment.name) could not be cut: \(error)")
        }
    }

    /// What a run that was killed had written may be in memory alone, and where its last sync failed the kernel believes
    /// that it is not: written again in its place it is on the disk behind the next sync. Sealed then, it is not read again.
    private mutating func makeDurable(
        _ segment: inout RecoveredSegment, _ scan: borrowing SegmentScan, _ file: any SpillFile
    ) {
        do throws(SystemCallError) {
            let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
            defer { piece.deallocate() }
            var offset = 0
            while offset < segment.sizeBytes {
                let wanted = UnsafeMutableRawBufferPointer(
                    rebasing: piece[..<min(piece.count, segment.sizeBytes - offset)])
                let count = try file.read(at: offset, into: wanted)
                guard count > 0 else { break }
                try file.write(UnsafeRawBufferPointer(rebasing: wanted[..<count]), at: offset)
                offset += count
            }
            try file.sync()
            try fileSystem.syncFolder()
            segment.isDurable = true
            // A sealed segment's batches are believed by their headers: one that has damage is looked through each time.
            guard !segment.damage.contains(where: { !$0.isTail }),
                segment.damage.isEmpty || segment.sizeBytes < scan.sizeBytes,
                let ordinal = UInt32(exactly: scan.nextOrdinal)
            else { return }
            let seal = SpillRecord(
                segment: segment.name, ordinal: ordinal, chain: scan.chain,
                body: .seal(
                    batches: UInt32(segment.batches.count),
                    records: UInt64(segment.batches.reduce(0) { $0 + $1.summary.recordCount }))
            ).encoded()
            let size = segment.sizeBytes
            try seal.span.bytes.withUnsafeBytes { (bytes) throws(SystemCallError) in try file.write(bytes, at: size) }
            segment.sizeBytes += seal.count
        } catch {
            warnings.append("\(segment.name) could not be made durable again, which its replay makes up for: \(error)")
        }
    }

    private func copyToQuarantine(_ damage: SpillDamage, _ file: any SpillFile) throws(SystemCallError) {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: damage.byteCount, alignment: 16)
        defer { bytes.deallocate() }
        let count = try file.read(at: damage.offset, into: bytes)
        try fileSystem.quarantine(
            "\(damage.segment.text)-at-\(damage.offset)", UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    }

    /// Takes away a segment without an intact batch: to the quarantine, unless it holds nothing.
    ///
    /// - Returns: whether that worked; else it is left to who removes settled segments.
    private mutating func removeEmpty(_ segment: inout RecoveredSegment) -> Bool {
        segment.mustKeepInQuarantine = segment.damage.contains { !$0.isZeros }
        do throws(SystemCallError) {
            if segment.mustKeepInQuarantine {
                try fileSystem.moveToQuarantine(segment.name.text)
            } else {
                try fileSystem.unlink(segment.name.text)
                try fileSystem.syncFolder()
            }
            return true
        } catch {
            warnings.append("\(segment.name) holds no batch and cannot be taken away yet: \(error)")
            return false
        }
    }
}

extension SpillDamage {
    fileprivate init(_ name: SegmentName, _ region: BadRegion, isTail: Bool) {
        self.init(
            segment: name, offset: region.bytes.lowerBound, byteCount: region.bytes.count,
            batches: region.batchCount, records: region.recordCount, isTail: isTail, isZeros: region.isZeros)
    }
}
