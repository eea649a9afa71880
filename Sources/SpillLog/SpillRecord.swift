// The records of a segment: its header, its batches' headers, its seal. Each is the content of an LZ4 skippable frame with a
// checksum of its own, and names the record before it, so that one that was left over from elsewhere is told apart.
//
// Invariant: nothing of a record is believed before its checksum, its segment and its ordinal were compared.

import CChecksum
import Delivery
import FrameCodec

/// One record of a segment.
struct SpillRecord: Equatable {
    enum Body: Equatable {
        case header(directoryID: UInt64, createdMicroseconds: Int64)
        case batch(BatchSummary, storedBytes: Int, storedChecksum: UInt32)
        case seal(batches: UInt32, records: UInt64)
    }

    let segment: SegmentName
    /// Counts the segment's records from 0.
    let ordinal: UInt32
    /// The checksum of the record before it; 0 in the first one.
    let chain: UInt32
    let body: Body

    init(segment: SegmentName, ordinal: UInt32, chain: UInt32, body: Body) {
        self.segment = segment
        self.ordinal = ordinal
        self.chain = chain
        self.body = body
    }

    private enum Kind: UInt8 {
        case header = 1
        case batch = 2
        case seal = 3
    }

    // MARK: Writing

    /// The record's bytes: the whole skippable frame. Its last four are its checksum.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        func add<Value: FixedWidthInteger>(_ value: Value) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        add(SpillFormat.skippableMagic)
        add(UInt32(0))
        add(SpillFormat.recordMagic)
        add(hasFlags ? SpillFormat.versionWithFlags : SpillFormat.version)
        switch body {
        case .header: add(Kind.header.rawValue)
        case .batch: add(Kind.batch.rawValue)
        case .seal: add(Kind.seal.rawValue)
        }
        add(UInt16(0))
        add(ordinal)
        add(segment.epoch)
        add(segment.sequence)
        add(chain)
        switch body {
        case .header(let directoryID, let createdMicroseconds):
            add(directoryID)
            add(createdMicroseconds)
        case .batch(let summary, let storedBytes, let storedChecksum):
            add(summary.identity.epoch)
            add(summary.identity.sequence)
            add(UInt32(summary.recordCount))
            add(UInt32(summary.frameCount))
            add(UInt64(summary.byteCount))
            add(UInt64(storedBytes))
            add(storedChecksum)
            add(summary.openedMicroseconds)
            add(UInt32(summary.sessions.count))
            for frames in summary.sessions {
                add(frames.key.source)
                add(frames.key.session)
                add(UInt32(frames.sequences.ranges.count))
                for range in frames.sequences.ranges {
                    add(range.lowerBound)
                    add(range.upperBound)
                }
            }
            if hasFlags, let acknowledged = summary.acknowledged { bytes += acknowledged.bytes }
        case .seal(let batches, let records):
            add(batches)
            add(records)
        }
        let contentBytes = UInt32(bytes.count - 8 + SpillFormat.checksumBytes)
        precondition(contentBytes <= SpillFormat.recordBytesMax, "a batch has too many sessions")
        withUnsafeBytes(of: contentBytes.littleEndian) { bytes.replaceSubrange(4..<8, with: $0) }
        add(Self.checksum(bytes[...]))
        return bytes
    }

    static func batchRecordBytes(_ summary: BatchSummary) -> Int {
        let flagsBytes = hasFlags(summary) ? FrameFlags.byteCount(frames: summary.frameCount) : 0
        return summary.sessions.reduce(
            SpillFormat.prefixBytes + SpillFormat.batchFieldsBytes + flagsBytes + SpillFormat.checksumBytes
        ) {
            $0 + SpillFormat.sessionFieldsBytes + $1.sequences.ranges.count * SpillFormat.rangeBytes
        }
    }

    /// A batch that no client waits for has a record that older programs read as well.
    private static func hasFlags(_ summary: BatchSummary) -> Bool {
        !summary.sessions.isEmpty && summary.acknowledged != nil
    }

    private var hasFlags: Bool { if case .batch(let summary, _, _) = body { Self.hasFlags(summary) } else { false } }

    /// The checksum that stands at the record's end.
    static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.withUnsafeBytes { spillway_crc32c(0, $0.baseAddress, $0.count) }
    }

    // MARK: Reading

    /// What the first bytes of a record say of its length; nil if they begin none of this segment.
    static func length(_ prefix: UnsafeRawBufferPointer, segment: SegmentName) -> Int? {
        guard prefix.count >= SpillFormat.prefixBytes else { return nil }
        func load<Value: FixedWidthInteger>(_ offset: Int, _ type: Value.Type) -> Value {
            Value(littleEndian: prefix.loadUnaligned(fromByteOffset: offset, as: Value.self))
        }
        let contentBytes = Int(load(4, UInt32.self))
        guard load(0, UInt32.self) == SpillFormat.skippableMagic, load(8, UInt32.self) == SpillFormat.recordMagic,
            isKnown(version: load(12, UInt8.self), kind: load(13, UInt8.self)),
            load(14, UInt16.self) == 0, load(20, UInt64.self) == segment.epoch,
            load(28, UInt32.self) == segment.sequence, contentBytes <= SpillFormat.recordBytesMax,
            contentBytes >= SpillFormat.prefixBytes - 8 + SpillFormat.checksumBytes
        else { return nil }
        return 8 + contentBytes
    }

    private static func isKnown(version: UInt8, kind: UInt8) -> Bool {
        guard let kind = Kind(rawValue: kind) else { return false }
        return version == SpillFormat.version || version == SpillFormat.versionWithFlags && kind == .batch
    }

    /// Reads a whole record.
    ///
    /// - Returns: nil if the bytes are not one.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= SpillFormat.prefixBytes + SpillFormat.checksumBytes else { return nil }
        var reader = FieldReader(bytes)
        reader.offset = bytes.count - SpillFormat.checksumBytes
        guard reader.next(UInt32.self) == Self.checksum(bytes.dropLast(SpillFormat.checksumBytes)) else { return nil }
        reader.offset = 12
        reader.end = bytes.count - SpillFormat.checksumBytes
        guard let version = reader.next(UInt8.self), let code = reader.next(UInt8.self),
            Self.isKnown(version: version, kind: code), let kind = Kind(rawValue: code), reader.next(UInt16.self) == 0,
            let ordinal = reader.next(UInt32.self), let epoch = reader.next(UInt64.self),
            let sequence = reader.next(UInt32.self), let chain = reader.next(UInt32.self)
        else { return nil }
        self.ordinal = ordinal
        segment = SegmentName(epoch: epoch, sequence: sequence)
        self.chain = chain
        switch kind {
        case .header:
            guard let directoryID = reader.next(UInt64.self), let created = reader.next(Int64.self) else { return nil }
            body = .header(directoryID: directoryID, createdMicroseconds: created)
        case .batch:
            guard let batch = Self.batch(&reader, hasFlags: version == SpillFormat.versionWithFlags) else { return nil }
            body = batch
        case .seal:
            guard let batches = reader.next(UInt32.self), let records = reader.next(UInt64.self) else { return nil }
            body = .seal(batches: batches, records: records)
        }
        guard reader.offset == reader.end else { return nil }
    }

    private static func batch(_ reader: inout FieldReader, hasFlags: Bool) -> Body? {
        guard let epoch = reader.next(Int64.self), let sequence = reader.next(Int64.self), epoch >= 0, sequence > 0,
            let records = reader.next(UInt32.self), let frames = reader.next(UInt32.self),
            let rawBytes = reader.next(UInt64.self), rawBytes <= UInt64(SpillFormat.batchBytesMax),
            let storedBytes = reader.next(UInt64.self), storedBytes <= UInt64(2 * SpillFormat.batchBytesMax),
            let storedChecksum = reader.next(UInt32.self), let opened = reader.next(Int64.self),
            let sessionCount = reader.next(UInt32.self)
        else { return nil }
        var sessions: [SessionFrames] = []
        for _ in 0..<sessionCount {
            guard let source = reader.next(UInt64.self), let session = reader.next(UInt64.self),
                let rangeCount = reader.next(UInt32.self),
                Int(rangeCount) <= (reader.end - reader.offset) / SpillFormat.rangeBytes
            else { return nil }
            var ranges: [Range<UInt64>] = []
            for _ in 0..<rangeCount {
                guard let first = reader.next(UInt64.self), let end = reader.next(UInt64.self), first < end,
                    ranges.last.map({ $0.upperBound < first }) ?? true
                else { return nil }
                ranges.append(first..<end)
            }
            let key = SessionKey(source: source, session: session)
            guard sessions.last.map({ $0.key < key }) ?? true else { return nil }
            sessions.append(SessionFrames(key: key, sequences: SequenceRanges(ranges)))
        }
        var acknowledged: FrameFlags?
        if hasFlags {
            guard !sessions.isEmpty, let bytes = reader.next(byteCount: FrameFlags.byteCount(frames: Int(frames))),
                let flags = FrameFlags(bytes: bytes, count: Int(frames))
            else { return nil }
            acknowledged = flags
        }
        let summary = BatchSummary(
            identity: BatchIdentity(epoch: epoch, sequence: sequence), recordCount: Int(records),
            frameCount: Int(frames), byteCount: Int(rawBytes), openedMicroseconds: opened, sessions: sessions,
            acknowledged: acknowledged)
        return .batch(summary, storedBytes: Int(storedBytes), storedChecksum: storedChecksum)
    }
}

/// Reads little-endian fields; nil behind the end.
private struct FieldReader {
    private let bytes: [UInt8]
    var offset = 0
    var end: Int

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        end = bytes.count
    }

    mutating func next(byteCount: Int) -> ArraySlice<UInt8>? {
        guard end - offset >= byteCount else { return nil }
        defer { offset += byteCount }
        return bytes[offset..<offset + byteCount]
    }

    mutating func next<Value: FixedWidthInteger>(_ type: Value.Type) -> Value? {
        let size = MemoryLayout<Value>.size
        guard end - offset >= size else { return nil }
        defer { offset += size }
        return bytes.withUnsafeBytes {
            Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Value.self))
        }
    }
}
