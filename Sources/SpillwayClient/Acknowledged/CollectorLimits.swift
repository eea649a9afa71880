// What a collector takes at most, as its welcome says.

/// The limits of one collector.
struct CollectorLimits: Equatable, Sendable {
    static let ofProtocol = CollectorLimits(
        frameBytesMax: FrameLimits.frameBytesMax, recordsPerFrameMax: FrameLimits.recordsPerFrameMax)

    /// Header and payload together, in bytes.
    let frameBytesMax: Int
    let recordsPerFrameMax: Int

    init(frameBytesMax: Int, recordsPerFrameMax: Int) {
        self.frameBytesMax = frameBytesMax
        self.recordsPerFrameMax = recordsPerFrameMax
    }

    init(_ welcome: WelcomeFrame) {
        frameBytesMax = min(Int(clamping: welcome.frameBytesMax), FrameLimits.frameBytesMax)
        recordsPerFrameMax = min(Int(clamping: welcome.recordsPerFrameMax), FrameLimits.recordsPerFrameMax)
    }

    /// Why the collector does not take such a frame; nil when it does.
    func fault(byteCount: Int, recordCount: Int) -> FrameError? {
        if byteCount > frameBytesMax { return FrameError(.frameTooLarge, at: FrameHeader.payloadLengthOffset) }
        if recordCount > recordsPerFrameMax { return FrameError(.tooManyRecords, at: FrameHeader.recordCountOffset) }
        return nil
    }
}

// A frame over the limits must not be written: the collector would refuse it and close the connection, after each reconnection
// again. It cannot be cut into smaller ones either, because its sequence would then have two contents.

extension AcknowledgedSender {
    /// Counts the open frames that are over a collector's limits as refused, and lets go of them. O(open frames) when the
    /// limits are not those of the welcome before.
    mutating func keep(within announced: CollectorLimits) {
        guard announced != limits else { return }
        limits = announced
        for (sequence, fault) in frames.faults(limits) {
            guard let released = frames.refuse(sequence) else { continue }
            count(refused: released)
            note(sequence, RefusalFrame(fault))
        }
    }

    /// A frame that was given after the welcome.
    mutating func refuseUnwritten(_ sequence: UInt64, recordCount: Int, _ fault: FrameError) {
        var released = UnacknowledgedFrames.Released()
        released.frames = 1
        released.records = UInt64(recordCount)
        count(refused: released)
        note(sequence, RefusalFrame(fault))
    }
}

extension UnacknowledgedFrames {
    /// The open frames that a collector does not take. One that is being written is left out: it must be written to its end.
    fileprivate func faults(_ limits: CollectorLimits) -> [(sequence: UInt64, fault: FrameError)] {
        (entries.start..<entries.end).compactMap { index in
            let entry = entries[index]
            guard entry.doneRun == 0, index != cursor || cursorOffset == 0 else { return nil }
            return limits.fault(byteCount: entry.byteCount, recordCount: entry.recordCount).map { (entry.sequence, $0) }
        }
    }
}
