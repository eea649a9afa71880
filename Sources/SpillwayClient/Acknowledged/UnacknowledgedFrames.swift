// The frames that the collector does not have for certain: what is sent again when a connection breaks. A sequence here is the
// caller's number of a frame; `SenderSessions` says which session and sequence its header has.
// No I/O and no clock: who owns it writes the bytes and says how far that went.
//
// Limits: `bytesMax` and `framesMax`, from the oldest frame that is not acknowledged to the newest; what was acknowledged in
// between keeps its place until the oldest is released, or until `removeDoneBetween`.
// Invariant: sequences ascend; the first frame is not acknowledged, unless a part of it is written: then it must be written
// to its end, since a stream that stops within a frame is broken.

/// Frames in the order of their sequences, with a cursor of what is written. A frame costs O(1), amortised.
struct UnacknowledgedFrames {
    struct Entry {
        var sequence: UInt64
        var byteCount: Int
        var recordCount: Int
        /// So many frames from this one on are known to be done, which makes a repeated acknowledgement cheap; 0 when
        /// this one is not.
        var doneRun = 0
        /// It was written whole, on this connection or an earlier one.
        var wasSent = false
    }

    /// Frames that left the memory.
    struct Released: Equatable {
        var frames: UInt64 = 0
        var records: UInt64 = 0
        var sequences = SequenceRanges()
        /// Of them, those that were never written whole: the collector has them from another sender.
        var framesUnwritten: UInt64 = 0
        var recordsUnwritten: UInt64 = 0
    }

    /// Frames that were written to their end.
    struct Written: Equatable {
        /// For the first time, their records and bytes.
        var frames: UInt64 = 0
        var records: UInt64 = 0
        var bytes: UInt64 = 0
        /// Again.
        var framesAgain: UInt64 = 0
    }

    /// Frames that were given another identity.
    struct Restamped: Equatable {
        var frames: UInt64 = 0
        var records: UInt64 = 0
        var bytes: UInt64 = 0
        /// The last frame before them, which keeps its identity; 0 when there never was one.
        var lastKeptSequence: UInt64 = 0
    }

    let bytesMax: Int
    let framesMax: Int

    /// Frames that are neither acknowledged nor refused, and their records.
    private(set) var frameCount = 0
    private(set) var recordCount = 0
    /// Bytes of these frames.
    var openBytes = 0
    /// The largest sequence that was written whole; 0 before the first.
    private(set) var lastSentSequence: UInt64 = 0
    /// The largest sequence that was appended; 0 before the first.
    private(set) var lastSequence: UInt64 = 0

    var ring = ByteRing()
    var entries = EntryRing()
    /// The entry that is written next, how much of it is written already, and where its next byte lies.
    var cursor = 0
    var cursorOffset = 0
    var cursorPlace = 0

    /// - Parameters:
    ///   - bytesMax: at least `FrameLimits.frameBytesMax`, so that every frame fits.
    init(bytesMax: Int, framesMax: Int) {
        precondition(bytesMax >= FrameLimits.frameBytesMax && framesMax > 0)
        self.bytesMax = bytesMax
        self.framesMax = framesMax
    }

    var isEmpty: Bool { frameCount == 0 }
    /// Bytes that are held, acknowledged frames between others included.
    var byteCount: Int { ring.byteCount }
    /// Bytes that are not written yet.
    var unsentBytes: Int { ring.end - cursorPlace }
    /// The oldest sequence that is not acknowledged.
    var oldestSequence: UInt64? { isEmpty ? nil : entries[firstOpen].sequence }
    /// The sequence of the frame that is written next, or further.
    var nextToSend: UInt64? { cursor < entries.end ? entries[cursor].sequence : nil }
    /// Whether a frame was begun and not written to its end.
    var isWithinFrame: Bool { cursorOffset > 0 }
    /// Whether a frame was written that is not acknowledged.
    var awaitsAcknowledgement: Bool { !isEmpty && firstOpen < cursor }

    private var firstOpen: Int {
        var index = entries.start
        while index < entries.end, entries[index].doneRun > 0 { index += entries[index].doneRun }
        return index
    }

    /// Whether a frame of so many bytes has to wait.
    func isFull(for bytes: Int) -> Bool {
        entries.end > entries.start && (byteCount + bytes > bytesMax || entries.end - entries.start >= framesMax)
    }

    /// Takes a frame behind all others.
    ///
    /// - Parameter identity: what its header is to have; nil for what it has.
    /// - Precondition: it is not full for it, and the sequence is larger than `lastSequence`.
    mutating func append(
        _ frame: RawSpan, sequence: UInt64, recordCount count: Int, identity: FrameIdentity? = nil
    ) {
        precondition(!isFull(for: frame.byteCount) && sequence > lastSequence)
        ring.append(frame)
        if let identity {
            ring.update(from: ring.end - frame.byteCount, count: frame.byteCount) {
                FrameHeader.replaceIdentity(identity, in: $0)
            }
        }
        entries.append(Entry(sequence: sequence, byteCount: frame.byteCount, recordCount: count))
        frameCount += 1
        recordCount += count
        openBytes += frame.byteCount
        lastSequence = sequence
    }

    // MARK: What the collector says

    /// Lets go of the frames in the ranges. Sequences that are not held are passed over.
    mutating func acknowledge(_ ranges: SequenceRanges) -> Released {
        var released = Released()
        for range in ranges.ranges { release(range, &released) }
        removeDone()
        return released
    }

    /// Lets go of a frame that the collector does not take; nil when it is not held.
    mutating func refuse(_ sequence: UInt64) -> Released? {
        guard sequence < .max else { return nil }
        var released = Released()
        release(sequence..<sequence + 1, &released)
        removeDone()
        return released.frames > 0 ? released : nil
    }

    /// Whether a frame is neither acknowledged nor refused. O(log n).
    func isOpen(_ sequence: UInt64) -> Bool {
        let index = firstIndex(from: sequence)
        return index < entries.end && entries[index].sequence == sequence && entries[index].doneRun == 0
    }

    private mutating func release(_ range: Range<UInt64>, _ released: inout Released) {
        let first = firstIndex(from: range.lowerBound)
        var index = first
        while index < entries.end, entries[index].sequence < range.upperBound {
            let run = entries[index].doneRun
            if run == 0 {
                entries[index].doneRun = 1
                released.frames += 1
                released.records += UInt64(entries[index].recordCount)
                released.sequences.insert(entries[index].sequence)
                if !entries[index].wasSent {
                    released.framesUnwritten += 1
                    released.recordsUnwritten += UInt64(entries[index].recordCount)
                }
                openBytes -= entries[index].byteCount
                frameCount -= 1
                recordCount -= entries[index].recordCount
            }
            index += max(run, 1)
        }
        if index > first { entries[first].doneRun = index - first }
    }

    private func firstIndex(from sequence: UInt64) -> Int {
        var low = entries.start
        var high = entries.end
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func removeDone() {
        while entries.start < entries.end, entries[entries.start].doneRun > 0 {
            let isNext = cursor == entries.start
            if isNext, cursorOffset > 0 { return }
            if isNext { passOver() }
            ring.removeFirst(entries[entries.start].byteCount)
            entries.removeFirst()
        }
    }

    // MARK: Another session

    /// Gives every frame that was never written whole, and is not being written, another identity. O(their bytes).
    ///
    /// A frame of which a connection took a part before it broke is one of them: no collector has it.
    ///
    /// - Parameters:
    ///   - first: frames before this sequence keep theirs.
    ///   - identity: of a frame by its sequence. Called in ascending order.
    mutating func restampUnwritten(from first: UInt64, _ identity: (UInt64) -> FrameIdentity) -> Restamped {
        var index = cursor
        var place = cursorPlace
        if cursorOffset > 0 {
            place += entries[index].byteCount - cursorOffset
            index += 1
        }
        while index < entries.end,
            entries[index].wasSent || entries[index].doneRun > 0 || entries[index].sequence < first
        {
            place += entries[index].byteCount
            index += 1
        }
        var restamped = Restamped()
        restamped.lastKeptSequence = max(index > entries.start ? entries[index - 1].sequence : 0, lastSentSequence)
        while index < entries.end {
            let entry = entries[index]
            if entry.doneRun == 0 {
                ring.update(from: place, count: entry.byteCount) {
                    FrameHeader.replaceIdentity(identity(entry.sequence), in: $0)
                }
                restamped.frames += 1
                restamped.records += UInt64(entry.recordCount)
                restamped.bytes += UInt64(entry.byteCount)
            }
            place += entry.byteCount
            index += 1
        }
        return restamped
    }

    // MARK: Writing

    /// Hands out bytes to write next, in one piece: of one frame or of several, one behind the other.
    ///
    /// - Parameters:
    ///   - untilFrameEnd: none past the end of the frame that has been begun.
    ///   - end: no frame from this sequence on, but the one that has been begun.
    /// - Returns: what `body` returned, or nil without a call when everything is written.
    mutating func withNextBytes<Result, Failure: Error>(
        atMost limit: Int, untilFrameEnd: Bool = false, before end: UInt64 = .max,
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        if cursorOffset == 0 {
            while cursor < entries.end, entries[cursor].doneRun > 0 { passOver() }
        }
        guard cursor < entries.end, cursorOffset > 0 || entries[cursor].sequence < end else { return nil }
        var count = entries[cursor].byteCount - cursorOffset
        var next = cursor + 1
        while !untilFrameEnd, count < limit, next < entries.end, entries[next].doneRun == 0,
            entries[next].sequence < end
        {
            count += entries[next].byteCount
            next += 1
        }
        return try ring.withPiece(from: cursorPlace, count: min(count, limit), body)
    }

    /// Moves the cursor behind bytes that `withNextBytes` handed out.
    mutating func advance(_ count: Int) -> Written {
        var written = Written()
        var left = count
        while left > 0 {
            let rest = entries[cursor].byteCount - cursorOffset
            let part = min(left, rest)
            left -= part
            cursorPlace += part
            cursorOffset += part
            guard part == rest else { break }
            let entry = entries[cursor]
            if entry.wasSent {
                written.framesAgain += 1
            } else {
                entries[cursor].wasSent = true
                written.frames += 1
                written.records += UInt64(entry.recordCount)
                written.bytes += UInt64(entry.byteCount)
                lastSentSequence = entry.sequence
            }
            cursor += 1
            cursorOffset = 0
        }
        removeDone()
        return written
    }

    /// Goes back to the oldest frame: nothing of what was written counts, for the connection is another one.
    mutating func rewind() {
        cursor = entries.start
        cursorOffset = 0
        cursorPlace = ring.start
        removeDone()
    }

    private mutating func passOver() {
        cursorPlace += entries[cursor].byteCount
        cursor += 1
    }
}
