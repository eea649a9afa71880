// What a lane stores through: a connection that is made when it is needed and again when it was lost.

import Delivery
import FrameCodec
import LinuxSystem
import Logging
import TimescaleStore

/// Where a lane's batches go.
enum LaneTarget: Sendable {
    case database(StoreGate, CommitFence)
    /// Decoding is all that is done.
    case discard
}

/// A lane's connection. Used by the lane's thread.
struct LaneSession {
    private let name: String
    private let target: LaneTarget
    private let giveUp: WakeEvent
    private let log: Logger
    private var connection: DatabaseConnection?
    /// Of a connection that compresses rows while they come in.
    private var compression: DirectCompression?

    init(name: String, target: LaneTarget, giveUp: WakeEvent, log: Logger) {
        self.name = name
        self.target = target
        self.giveUp = giveUp
        self.log = log
    }

    var isConnected: Bool {
        switch target {
        case .discard: true
        case .database: connection?.isUsable ?? false
        }
    }

    /// Makes a connection if there is none.
    mutating func connect() throws(DatabaseError) {
        guard case .database(let gate, _) = target, !isConnected else { return }
        connection = nil
        let location = try gate.location()
        let log = log
        let made = try DatabaseConnection(location, options: gate.options(name), stop: giveUp) { report in
            log.warning("a warning of the database", metadata: ["message": "\(report.message)"])
        }
        compression = gate.compressesDirectly ? try DirectCompression(made) : nil
        connection = made
    }

    /// What is stored of these sessions.
    mutating func storedFrames(of keys: [SessionKey]) throws(DatabaseError) -> [SessionKey: SequenceRanges] {
        guard case .database = target else { return [:] }
        try connect()
        guard let connection else { preconditionFailure("connect() throws or connects") }
        return try SessionLedger(connection).storedFrames(of: keys)
    }

    /// Which frames of a batch are stored already, by whichever collector.
    mutating func storedFrames(
        among frames: [SessionFrames]
    ) throws(DatabaseError) -> [SessionKey: SequenceRanges] {
        guard case .database = target, !frames.isEmpty else { return [:] }
        try connect()
        guard let connection else { preconditionFailure("connect() throws or connects") }
        return try SessionLedger(connection).storedFrames(among: frames)
    }

    /// One attempt to store a batch.
    ///
    /// - Parameter isReplay: it came from the spill, and may be stored already.
    mutating func store(
        _ summary: BatchSummary, frames: UnsafeRawBufferPointer, decoded: DecodedBatch, isReplay: Bool
    ) throws(DatabaseError) -> StoredBatch {
        // Of a batch that is nothing but malformed there is nothing to store; one of the spill may be in the ledger.
        guard decoded.recordCount > 0 || isReplay, case .database(let gate, let fence) = target else {
            return StoredBatch()
        }
        try connect()
        guard let connection else { preconditionFailure("connect() throws or connects") }
        do throws(DatabaseError) {
            return try BatchWriter(connection, fence: fence, compression: compression).store(
                summary, frames: frames, decoded: decoded, keepsMalformed: isReplay)
        } catch {
            // Dropped and made again by somebody while we run.
            if error.sqlstate == .undefinedTable || error.sqlstate == SQLState("3F000") { gate.close(error) }
            throw error
        }
    }
}
