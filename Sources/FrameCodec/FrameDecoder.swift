// Walks the payload of a record frame and tells a visitor what is in it: protocol/frame.md, "Payload of a record frame".
//
// Limits: every count and length is checked before it is used; the memory is allocated once, by `init`.
// Invariant: each step of the walk moves forward or throws, so a frame of n bytes is read in O(n + expansion), where the
// expansion is at most 16 n.

import MetricKinds

/// Reads record frames, one after the other. Not shared between threads: each has its own.
public struct FrameDecoder: ~Copyable {
    @usableFromInline let memory: DecoderMemory

    public init() { memory = DecoderMemory() }

    /// Reads the records of an admitted frame.
    ///
    /// - Parameters:
    ///   - frame: the whole frame, as `FrameHeader.admit` took it; bytes behind it are not looked at.
    ///   - header: what `admit` returned for it.
    ///   - visitor: is told each record; when this throws, it takes back what it was told of this frame.
    /// - Throws: the first fault of the payload. Errors never come from the visitor.
    /// - Complexity: O(frame length), without allocation.
    @inlinable
    public mutating func decode<Visitor: FrameVisitor & ~Copyable>(
        _ frame: RawSpan, header: FrameHeader, _ visitor: inout Visitor
    ) throws(FrameError) {
        precondition(header.type == .records && frame.byteCount >= header.frameLength)
        let result: FrameError? = frame.withUnsafeBytes { bytes in
            do throws(FrameError) {
                try walk(bytes, header: header, &visitor)
                return nil
            } catch {
                return error
            }
        }
        if let result { throw result }
    }

    @inlinable
    mutating func walk<Visitor: FrameVisitor & ~Copyable>(
        _ frame: UnsafeRawBufferPointer, header: FrameHeader, _ visitor: inout Visitor
    ) throws(FrameError) {
        var wire = WireReader(frame, from: header.headerLength, to: header.frameLength)
        let dictionaryCount = try memory.readDictionary(&wire)
        var reader = RecordReader(
            wire: wire, memory: memory, dictionaryCount: dictionaryCount,
            expandedBytesMax: header.payloadLength &* FrameLimits.expansionFactorMax)
        let payloadEnd = header.frameLength
        var recordsLeft = header.recordCount
        var lastKind: UInt8 = 0
        var allKnown = true
        if reader.wire.position == payloadEnd { throw FrameError(.noBlock, at: payloadEnd) }
        while reader.wire.position < payloadEnd {
            let block = try BlockHeader(&reader.wire, after: lastKind, recordsLeft: recordsLeft)
            lastKind = block.kindID
            recordsLeft &-= block.recordCount
            guard let kind = block.kind else {
                visitor.skippedBlock(kindID: block.kindID, recordCount: block.recordCount)
                reader.wire.position = block.end
                allKnown = false
                continue
            }
            allKnown = allKnown && block.version <= kind.version
            visitor.beginBlock(kind, recordCount: block.recordCount)
            reader.wire.end = block.end
            try Self.readRecords(&reader, block, kind: kind, baseTime: header.baseTime, &visitor)
            reader.wire.end = payloadEnd
        }
        if allKnown, let offset = memory.firstUnused(count: dictionaryCount) {
            throw FrameError(.unusedString, at: offset)
        }
        guard recordsLeft == 0 else { throw FrameError(.recordCountMismatch, at: FrameHeader.recordCountOffset) }
    }

    @inlinable
    static func readRecords<Visitor: FrameVisitor & ~Copyable>(
        _ reader: inout RecordReader, _ block: BlockHeader, kind: MetricKind, baseTime: Int64, _ visitor: inout Visitor
    ) throws(FrameError) {
        for slot in 0..<MetricKind.prefixSlotsMax { reader.prefixLengths[slot] = 0 }
        let exact = block.version <= kind.version
        let bitmapBytes = (Int(block.presenceBits) &+ 7) / 8
        var time = baseTime
        for _ in 0..<block.recordCount {
            let recordStart = reader.wire.position
            let length = try reader.wire.varint()
            guard length <= UInt64(truncatingIfNeeded: block.end &- reader.wire.position) else {
                throw FrameError(.truncated, at: reader.wire.position)
            }
            let recordEnd = reader.wire.position &+ Int(truncatingIfNeeded: length)
            reader.wire.end = recordEnd

            reader.presence = try presence(&reader, bytes: bitmapBytes, block, kind)
            let timeStart = reader.wire.position
            let (sum, overflow) = time.addingReportingOverflow(try reader.wire.zigzag())
            guard !overflow, sum >= FrameLimits.timeRange.lowerBound else {
                throw FrameError(.timeOutOfRange, at: timeStart)
            }
            time = sum
            visitor.beginRecord(kind, time: time)

            let tagCount = reader.has(0) ? try reader.readTags() : -1
            let metadata = reader.has(1) ? try reader.readMetadata() : nil
            try reader.readFields(of: kind, &visitor)
            if tagCount < 0 {
                visitor.absentTags()
            } else {
                // A few bytes can name 256 texts of 64 KiB: such a record is refused below without being told first.
                let tagBytes = reader.tagBytes(tagCount)
                if reader.expandedBytes &+ tagBytes <= reader.expandedBytesMax {
                    reader.tellTags(tagCount, &visitor)
                } else {
                    reader.expandedBytes &+= tagBytes
                    visitor.absentTags()
                }
            }
            if let metadata { visitor.metadata(metadata.bytes) } else { visitor.absentMetadata() }
            visitor.endRecord()

            if exact, reader.wire.position != recordEnd {
                throw FrameError(.trailingBytes, at: reader.wire.position)
            }
            guard reader.expandedBytes <= reader.expandedBytesMax else {
                throw FrameError(.expansionTooLarge, at: recordStart)
            }
            reader.wire.position = recordEnd
            reader.wire.end = block.end
        }
        guard reader.wire.position == block.end else { throw FrameError(.trailingBytes, at: reader.wire.position) }
    }

    /// A record's presence bitmap, without bits that have no meaning.
    @inlinable @inline(__always)
    static func presence(
        _ reader: inout RecordReader, bytes: Int, _ block: BlockHeader, _ kind: MetricKind
    ) throws(FrameError) -> UInt64 {
        let start = reader.wire.position
        let raw = try reader.wire.bytes(bytes)
        var bits: UInt64 = 0
        if let base = raw.baseAddress, reader.frameEnd &- start >= 8, bytes > 0 {
            // One load, and what it has too much away.
            bits = UInt64(littleEndian: base.loadUnaligned(as: UInt64.self))
            bits &= UInt64.max &>> UInt64(truncatingIfNeeded: 64 &- 8 &* bytes)
        } else {
            for index in 0..<bytes { bits |= UInt64(raw[index]) &<< UInt64(truncatingIfNeeded: 8 &* index) }
        }
        if block.presenceBits < 64, bits &>> UInt64(block.presenceBits) != 0 {
            throw FrameError(.unusedBits, at: start)
        }
        // A bool's value stands right behind its presence: a value without presence has no meaning.
        let values = bits & kind.boolValueBits
        guard values & ~(bits &<< 1) == 0 else { throw FrameError(.unusedBits, at: start) }
        return bits
    }
}
