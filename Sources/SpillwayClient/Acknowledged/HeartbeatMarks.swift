// Which frames the heartbeats of a connection named, so that a heartbeat's refusal is not taken for theirs.
//
// A collector's refusal of a heartbeat has sequence 0. Those of earlier collectors have the heartbeat's own sequence, which is
// that of the last record frame before it. Limit: the last `marksMax` frames that heartbeats named.

/// The sequences in one connection's heartbeats.
struct HeartbeatMarks {
    private struct Mark {
        let session: UInt64
        let sequence: UInt64
        var heartbeats = 1
        var refusals = 0
    }

    private static let marksMax = 16

    private var marks: [Mark] = []

    /// Another connection has begun.
    mutating func removeAll() { marks = [] }

    mutating func wroteHeartbeat(session: UInt64, sequence: UInt64) {
        guard sequence > 0 else { return }
        if let index = index(session, sequence) {
            marks[index].heartbeats += 1
        } else {
            if marks.count == Self.marksMax { marks.removeFirst() }
            marks.append(Mark(session: session, sequence: sequence))
        }
    }

    /// Notes a refusal that names a frame.
    ///
    /// - Returns: whether it may be a heartbeat's: no more of them than heartbeats named the frame.
    mutating func refused(session: UInt64, sequence: UInt64) -> Bool {
        guard let index = index(session, sequence) else { return false }
        marks[index].refusals += 1
        return marks[index].refusals <= marks[index].heartbeats
    }

    private func index(_ session: UInt64, _ sequence: UInt64) -> Int? {
        marks.firstIndex { $0.session == session && $0.sequence == sequence }
    }
}
