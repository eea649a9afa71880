// Finds the batches of one segment, whatever happened to its bytes. Reads only.
//
// Limits: reads in pieces of `pieceBytes`; records that turn out to be none cost at most `wastedFactorMax` times the file's
// size, so that a file made to cost much does not.
// Invariant: what is told as a batch has a header whose checksum holds, and, unless the segment is sealed and its bodies are
// trusted, a body whose checksum holds.

import CChecksum
import Delivery
import LinuxSystem

/// What is known of a batch whose frames are damaged.
struct BrokenBatch: Equatable {
    let identity: BatchIdentity
    let recordCount: Int
}

/// A part of a segment that holds no whole batch.
struct BadRegion: Equatable {
    var bytes: Range<Int>
    /// Batches whose headers are intact and whose bodies are not.
    var brokenBatches: [BrokenBatch] = []
    /// Batches that the numbering says were here.
    var missing = 0
    /// Batches of which no intact header is left.
    var nameless: [NamelessBatch] = []
    /// It holds nothing: the file was made longer, and its bytes were never written.
    var isZeros = false

    /// How many batches are lost with it.
    var batchCount: Int { max(brokenBatches.count + nameless.count, missing) }
    /// Records of those of which the number is known.
    var recordCount: Int {
        brokenBatches.reduce(0) { $0 + $1.recordCount } + nameless.reduce(0) { $0 + $1.recordCount }
    }
}

/// What a segment holds.
struct SegmentScan {
    private static let pieceBytes = 1 << 20
    private static let wastedFactorMax = 4

    private(set) var batches: [SpilledBatch] = []
    /// In front of an intact record: damage.
    private(set) var damage: [BadRegion] = []
    /// Behind the last intact record.
    private(set) var tail: BadRegion?
    private(set) var createdMicroseconds: Int64?
    private(set) var isSealed = false
    let sizeBytes: Int

    private let name: SegmentName
    private let file: any SpillFile
    private let trustsBodies: Bool
    private var wastedBytes = 0
    /// What a record behind the last intact one must have.
    private(set) var nextOrdinal = 0
    private(set) var chain: UInt32 = 0
    private var window: [UInt8]

    /// - Parameter verifiesSealedBodies: read the bodies of a sealed segment too, which was synced as a whole.
    init(_ name: SegmentName, _ file: any SpillFile, verifiesSealedBodies: Bool) throws(SystemCallError) {
        self.name = name
        self.file = file
        sizeBytes = try file.size()
        window = [UInt8](repeating: 0, count: min(Self.pieceBytes, sizeBytes))
        let sealOffset = sizeBytes - SpillFormat.sealRecordBytes
        var seal: SpillRecord?
        if sealOffset >= 0 {
            seal = try Self.record(name, file, at: sealOffset, sizeBytes: sizeBytes, wastedBytes: &wastedBytes)?.record
        }
        if case .seal? = seal?.body { trustsBodies = !verifiesSealedBodies } else { trustsBodies = false }
        try scan()
    }

    private mutating func scan() throws(SystemCallError) {
        var offset = try hasEmptyFrame() ? SpillFormat.emptyFrame.count : 0
        var bad: BadRegion?
        while offset < sizeBytes {
            let found = try Self.record(name, file, at: offset, sizeBytes: sizeBytes, wastedBytes: &wastedBytes)
            guard let (record, checksum, end) = found, fits(record, isBehindDamage: bad != nil) else {
                bad = bad ?? BadRegion(bytes: offset..<offset)
                offset = try nextCandidate(from: offset + 1)
                continue
            }
            guard let bodyEnd = try bodyEnd(record, end) else {
                var region = bad ?? BadRegion(bytes: offset..<offset)
                if case .batch(let summary, let storedBytes, _) = record.body {
                    region.brokenBatches.append(
                        BrokenBatch(identity: summary.identity, recordCount: summary.recordCount))
                    bad = region
                    // Never within the frame, whose bytes come from clients.
                    offset = try nextCandidate(from: storedBytes <= sizeBytes - end ? end + storedBytes : end)
                } else {
                    bad = region
                    offset = try nextCandidate(from: end)
                }
                continue
            }
            if var region = bad {
                region.bytes = region.bytes.lowerBound..<offset
                // The segment header, which has the first ordinal, is no batch.
                region.missing = Int(record.ordinal) - min(Int(record.ordinal), max(nextOrdinal, 1))
                try survey(&region)
                damage.append(region)
                bad = nil
            }
            accept(record, headerOffset: offset, frameOffset: end)
            chain = checksum
            offset = bodyEnd
        }
        if var region = bad {
            region.bytes = region.bytes.lowerBound..<sizeBytes
            try survey(&region)
            tail = region
        }
    }

    private func survey(_ region: inout BadRegion) throws(SystemCallError) {
        let survey = try DamageSurvey(
            file, region.bytes, of: name, expected: (nextOrdinal, chain), broken: region.brokenBatches)
        region.isZeros = survey.isZeros
        region.nameless = survey.batches
    }

    private mutating func accept(_ record: SpillRecord, headerOffset: Int, frameOffset: Int) {
        nextOrdinal = Int(record.ordinal) + 1
        isSealed = false
        switch record.body {
        case .header(_, let created): createdMicroseconds = created
        case .batch(let summary, let storedBytes, let storedChecksum):
            batches.append(
                SpilledBatch(
                    summary: summary, segment: name, headerOffset: headerOffset, frameOffset: frameOffset,
                    storedBytes: storedBytes, storedChecksum: storedChecksum))
        case .seal: isSealed = true
        }
    }

    /// Whether the record can stand here: the next one, or behind damage a later one.
    private func fits(_ record: SpillRecord, isBehindDamage: Bool) -> Bool {
        let isHeader = if case .header = record.body { true } else { false }
        guard isHeader == (record.ordinal == 0) else { return false }
        if record.ordinal == nextOrdinal, record.chain == chain { return true }
        // A byte of an earlier record may have been changed and so the chain, or records are missing.
        return isBehindDamage && record.ordinal >= nextOrdinal
    }

    // MARK: Reading

    private func hasEmptyFrame() throws(SystemCallError) -> Bool {
        var start = [UInt8](repeating: 0, count: SpillFormat.emptyFrame.count)
        let count = try read(&start, at: 0)
        return count == start.count && start == SpillFormat.emptyFrame
    }

    private func read(_ buffer: inout [UInt8], at offset: Int) throws(SystemCallError) -> Int {
        try Self.read(file, &buffer, at: offset)
    }

    private static func read(
        _ file: any SpillFile, _ buffer: inout [UInt8], at offset: Int
    ) throws(SystemCallError) -> Int {
        var span = buffer.mutableSpan
        var bytes = span.mutableBytes
        return try bytes.withUnsafeMutableBytes { (bytes) throws(SystemCallError) in
            try file.read(at: offset, into: bytes)
        }
    }

    private static func record(
        _ name: SegmentName, _ file: any SpillFile, at offset: Int, sizeBytes: Int, wastedBytes: inout Int
    ) throws(SystemCallError) -> (record: SpillRecord, checksum: UInt32, end: Int)? {
        guard sizeBytes - offset >= SpillFormat.prefixBytes else { return nil }
        var bytes = [UInt8](repeating: 0, count: SpillFormat.prefixBytes)
        _ = try read(file, &bytes, at: offset)
        guard let length = bytes.withUnsafeBytes({ SpillRecord.length($0, segment: name) }),
            length <= sizeBytes - offset, wastedBytes <= wastedFactorMax * sizeBytes
        else { return nil }
        bytes = [UInt8](repeating: 0, count: length)
        _ = try read(file, &bytes, at: offset)
        guard let record = SpillRecord(bytes) else {
            wastedBytes += length
            return nil
        }
        return (record, SpillRecord.checksum(bytes.dropLast(SpillFormat.checksumBytes)), offset + length)
    }

    /// Where the record's body ends; nil if it is not intact.
    private mutating func bodyEnd(_ record: SpillRecord, _ end: Int) throws(SystemCallError) -> Int? {
        guard case .batch(_, let storedBytes, let storedChecksum) = record.body else { return end }
        guard storedBytes <= sizeBytes - end else { return nil }
        guard !trustsBodies else { return end + storedBytes }
        var crc: UInt32 = 0
        var offset = end
        while offset < end + storedBytes {
            let wanted = min(window.count, end + storedBytes - offset)
            let count = try read(&window, at: offset)
            guard count >= wanted else { return nil }
            crc = window.withUnsafeBytes { spillway_crc32c(crc, $0.baseAddress, wanted) }
            offset += wanted
        }
        return crc == storedChecksum ? offset : nil
    }

    /// The next place where a record may begin; the file's end if there is none.
    private mutating func nextCandidate(from start: Int) throws(SystemCallError) -> Int {
        var offset = start
        while sizeBytes - offset >= SpillFormat.prefixBytes {
            let count = try read(&window, at: offset)
            guard count >= SpillFormat.prefixBytes else { break }
            let last = count - SpillFormat.prefixBytes
            let found = window.withUnsafeBytes { bytes -> Int? in
                var index = 0
                while index <= last {
                    if bytes[index] == 0x53,
                        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self))
                            == SpillFormat.skippableMagic,
                        SpillRecord.length(UnsafeRawBufferPointer(rebasing: bytes[index..<count]), segment: name) != nil
                    {
                        return index
                    }
                    index += 1
                }
                return nil
            }
            if let found { return offset + found }
            offset += last + 1
        }
        return sizeBytes
    }
}
