// What can still be known of bytes in a segment that hold no intact batch: whether they are more than zeros, whether they begin
// with the header of a batch, and how many records the LZ4 frames in them hold, whose checksums are their own. Reads only.
//
// Limits: reads in pieces of `pieceBytes`, and one LZ4 frame of a batch at a time; LZ4 frames that turn out to be none cost at
// most `wastedFactorMax` times the region's size.

import CChecksum
import Delivery
import FrameCodec
import LinuxSystem

/// A batch of which no intact header is left.
struct NamelessBatch: Equatable {
    /// Records of its frames, where these are whole.
    var recordCount = 0
}

/// Looks through a region of a segment.
struct DamageSurvey {
    private static let pieceBytes = 1 << 20
    private static let wastedFactorMax = 4
    /// What a place costs at least that begins no whole LZ4 frame.
    private static let wastedBytesMin = 4_096
    private static let lz4Magic: [UInt8] = [0x04, 0x22, 0x4D, 0x18]
    /// The longest header of an LZ4 frame.
    private static let lz4HeaderBytesMax = 19
    /// A region begins like a batch's record if at most this many of its 32 known bytes differ.
    private static let differencesMax = 8

    private let file: any SpillFile
    private let region: Range<Int>
    private(set) var isZeros = true
    private(set) var batches: [NamelessBatch] = []

    /// - Parameters:
    ///   - expected: the ordinal and the chain that the first record in the region must have.
    ///   - broken: batches in the region with an intact header, which are known already.
    init(
        _ file: any SpillFile, _ region: Range<Int>, of name: SegmentName, expected: (ordinal: Int, chain: UInt32),
        broken: [BrokenBatch]
    ) throws(SystemCallError) {
        self.file = file
        self.region = region
        isZeros = try holdsOnlyZeros()
        guard !isZeros else { return }
        for records in try recordsOfWholeFrames() { batches.append(NamelessBatch(recordCount: records)) }
        if batches.isEmpty, broken.isEmpty, try holdsBatch(name, expected) { batches.append(NamelessBatch()) }
    }

    // MARK: Bytes

    private func read(_ offset: Int, _ count: Int) throws(SystemCallError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(0, min(count, region.upperBound - offset)))
        var span = bytes.mutableSpan
        var target = span.mutableBytes
        let found = try target.withUnsafeMutableBytes { (target) throws(SystemCallError) in
            try file.read(at: offset, into: target)
        }
        bytes.removeLast(bytes.count - found)
        return bytes
    }

    private func holdsOnlyZeros() throws(SystemCallError) -> Bool {
        for offset in stride(from: region.lowerBound, to: region.upperBound, by: Self.pieceBytes)
        where try read(offset, Self.pieceBytes).contains(where: { $0 != 0 }) {
            return false
        }
        return true
    }

    // MARK: The header

    /// Whether the region was a batch to its end: it does not begin like the record of the batch that is due, as every write
    /// that was cut off does, or it does and reaches as far as that record claims.
    private func holdsBatch(
        _ name: SegmentName, _ expected: (ordinal: Int, chain: UInt32)
    ) throws(SystemCallError) -> Bool {
        let found = try read(region.lowerBound, SpillFormat.prefixBytes + SpillFormat.batchFieldsBytes)
        guard let ordinal = UInt32(exactly: expected.ordinal) else { return true }
        let seal = SpillRecord(
            segment: name, ordinal: ordinal, chain: expected.chain, body: .seal(batches: 0, records: 0)
        ).encoded()
        let batch = SpillRecord(
            segment: name, ordinal: ordinal, chain: expected.chain,
            body: .batch(.unacknowledged, storedBytes: 0, storedChecksum: 0)
        ).encoded()
        func differences(_ model: [UInt8]) -> Int {
            // All but the length.
            (0..<min(SpillFormat.prefixBytes, found.count)).count { !(4..<8).contains($0) && found[$0] != model[$0] }
        }
        // A seal is no batch.
        if region.count <= SpillFormat.sealRecordBytes, differences(seal) <= Self.differencesMax { return false }
        guard differences(batch) <= Self.differencesMax else { return true }
        guard found.count == SpillFormat.prefixBytes + SpillFormat.batchFieldsBytes else { return false }
        func number(_ offset: Int, _ count: Int) -> UInt64 {
            found[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        let (bytes, overflow) = (8 + number(4, 4)).addingReportingOverflow(number(SpillFormat.prefixBytes + 32, 8))
        return !overflow && bytes <= UInt64(region.count)
    }

    // MARK: The frames

    /// The records of each LZ4 frame in the region that is whole; 0 where it does not hold frames of records.
    private func recordsOfWholeFrames() throws(SystemCallError) -> [Int] {
        var found: [Int] = []
        var wastedBytes = 0
        var offset = region.lowerBound
        while offset < region.upperBound {
            let piece = try read(offset, Self.pieceBytes)
            guard !piece.isEmpty else { return found }
            var index = 0
            while let next = Self.firstIndex(of: Self.lz4Magic, in: piece, from: index) {
                guard wastedBytes <= Self.wastedFactorMax * region.count else { return found }
                let (records, bytes) = try frame(at: offset + next)
                if let records {
                    found.append(records)
                    index = next + bytes
                } else {
                    wastedBytes += max(bytes, Self.wastedBytesMin)
                    index = next + 1
                }
            }
            // The magic number may stand across the piece's end.
            offset += max(index, piece.count - Self.lz4Magic.count + 1, 1)
        }
        return found
    }

    private static func firstIndex(of magic: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        var index = start
        while index + magic.count <= bytes.count {
            if bytes[index] == magic[0], bytes[index..<index + magic.count].elementsEqual(magic) { return index }
            index += 1
        }
        return nil
    }

    /// - Returns: the records of the LZ4 frame there, nil if there is none that is whole; and the bytes that were read.
    private func frame(at offset: Int) throws(SystemCallError) -> (records: Int?, bytes: Int) {
        let head = try read(offset, Self.lz4HeaderBytesMax)
        guard let contentBytes = head.withUnsafeBytes({ FrameCompressor.contentBytes($0) }),
            (1...SpillFormat.batchBytesMax).contains(contentBytes)
        else { return (nil, head.count) }
        let stored = try read(offset, FrameCompressor.bound(contentBytes: contentBytes))
        let content = UnsafeMutableRawBufferPointer.allocate(byteCount: contentBytes, alignment: 16)
        defer { content.deallocate() }
        let consumed = stored.withUnsafeBytes { FrameCompressor.decompressPrefix($0, into: content).consumed }
        guard let consumed else { return (nil, stored.count) }
        return (Self.recordCount(UnsafeRawBufferPointer(content)), consumed)
    }

    /// 0 if the bytes are not frames of records, one after the other.
    private static func recordCount(_ bytes: UnsafeRawBufferPointer) -> Int {
        var offset = 0
        var records = 0
        while offset < bytes.count {
            do throws(FrameError) {
                let header = try FrameHeader.admit(UnsafeRawBufferPointer(rebasing: bytes[offset...]).bytes)
                guard header.type == .records else { return 0 }
                offset += header.frameLength
                records += header.recordCount
            } catch {
                return 0
            }
        }
        return records
    }
}
