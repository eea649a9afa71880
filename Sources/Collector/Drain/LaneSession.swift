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
    private let accepted = AcceptedRows()

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
        return try noting { (connection) throws(DatabaseError) in
            try SessionLedger(connection).storedFrames(of: keys)
        }
    }

    /// Which frames of a batch are stored already, by whichever collector.
    mutating func storedFrames(
        among frames: [SessionFrames]
    ) throws(DatabaseError) -> [SessionKey: SequenceRanges] {
        guard case .database = target, !frames.isEmpty else { return [:] }
        return try noting { (connection) throws(DatabaseError) in
            try SessionLedger(connection).storedFrames(among: frames)
        }
    }

    /// Whether rows of new days make chunks.
    var hasHypertables: Bool {
        guard case .database(let gate, _) = target else { return false }
        return gate.identity?.flavour.hasHypertables ?? false
    }

    /// One attempt to store a batch.
    ///
    /// - Parameters:
    ///   - isReplay: it came from the spill, and may be stored already.
    ///   - held: kinds whose rows are left out.
    ///   - counted: what this run has counted of a batch that was stored in part.
    ///   - oldChunks: how many chunks of long ago sources may open; nil for any number.
    mutating func store(
        _ summary: BatchSummary, frames: UnsafeRawBufferPointer, decoded: DecodedBatch, isReplay: Bool,
        without held: KindSet = [], counted: StoredPart? = nil, oldChunks: OldChunkBudget? = nil
    ) throws(DatabaseError) -> StoredBatch {
        // Of a batch that is nothing but malformed there is nothing to store; one of the spill may be in the ledger.
        guard decoded.recordCount > 0 || isReplay, case .database(_, let fence) = target else { return StoredBatch() }
        try connect()
        let (compression, accepted) = (compression, accepted)
        return try noting { (connection) throws(DatabaseError) in
            try BatchWriter(
                connection, fence: fence, compression: compression, accepted: accepted, oldChunks: oldChunks
            ).store(
                summary, frames: frames, decoded: decoded, keepsMalformed: isReplay, without: held, counted: counted)
        }
    }

    /// Works with the connection. The keeper is notified of any statement which finds that a part of the schema is missing: it
    /// makes what was dropped again.
    private mutating func noting<Result>(
        _ body: (DatabaseConnection) throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        try connect()
        guard let connection else { preconditionFailure("connect() throws or connects") }
        do throws(DatabaseError) {
            return try body(connection)
        } catch {
            if case .database(let gate, _) = target, error.maySchemaBeIncomplete { gate.requestRepair() }
            throw error
        }
    }
}
