// A database as a lane's sink: a connection that is made when it is needed and again when it was lost.

import Delivery
import FrameCodec
import LinuxSystem
import Logging
import MetricKinds
import Postgres
import StoreWriter

/// A connection to the database. Used by one thread.
package struct DatabaseSink: BatchSink {
    /// What all sinks of a collector share.
    package struct Context: Sendable {
        let availability: StoreAvailability
        let fence: CommitFence
        /// The times of records that are accepted.
        let bounds: TimeBounds
        /// Of all lanes together; nil where any number of old chunks may be made.
        let oldChunks: OldChunkBudget?
        let appended: AppendedSessions
        /// Signalled when the stop's deadline has passed: attempts end.
        let giveUp: WakeEvent
        let log: Logger

        package init(
            availability: StoreAvailability, fence: CommitFence, bounds: TimeBounds, oldChunks: OldChunkBudget?,
            appended: AppendedSessions, giveUp: WakeEvent, log: Logger
        ) {
            self.availability = availability
            self.fence = fence
            self.bounds = bounds
            self.oldChunks = oldChunks
            self.appended = appended
            self.giveUp = giveUp
            self.log = log
        }
    }

    private let name: String
    private let context: Context
    private var connection: DatabaseConnection?
    /// Of a connection that compresses rows while they come in.
    private var compression: DirectCompression?
    private let accepted = AcceptedRows()

    package init(name: String, _ context: Context) {
        self.name = name
        self.context = context
    }

    package var isConnected: Bool { connection?.isUsable ?? false }

    package var judgement: TimeJudgement {
        let hasHypertables = context.availability.identity?.flavour.hasHypertables ?? false
        return TimeJudgement(context.bounds, watchesOldDays: context.oldChunks != nil && hasHypertables)
    }

    /// Makes a connection if there is none.
    package mutating func connect() throws(DatabaseError) {
        guard !isConnected else { return }
        connection = nil
        let location = try context.availability.location()
        let log = context.log
        let made = try DatabaseConnection(
            location, options: context.availability.options(name), stop: context.giveUp
        ) { report in
            log.warning("a warning of the database", metadata: ["message": "\(report.message)"])
        }
        compression = context.availability.compressesDirectly ? try DirectCompression(made) : nil
        connection = made
    }

    /// What is stored of these sessions.
    package mutating func storedFrames(of keys: [SessionKey]) throws(DatabaseError) -> [SessionKey: SequenceRanges] {
        try requestingRepair { (connection) throws(DatabaseError) in
            try SessionLedger(connection).storedFrames(of: keys)
        }
    }

    package mutating func storedFrames(
        among frames: [SessionFrames]
    ) throws(DatabaseError) -> [SessionKey: SequenceRanges] {
        guard !frames.isEmpty else { return [:] }
        return try requestingRepair { (connection) throws(DatabaseError) in
            try SessionLedger(connection).storedFrames(among: frames)
        }
    }

    package mutating func store(
        _ summary: BatchSummary, frames: UnsafeRawBufferPointer, decoded: DecodedBatch, isReplay: Bool,
        without held: KindSet, counted: StoredPart?
    ) throws(DatabaseError) -> StoredBatch {
        // Of a batch that is nothing but malformed there is nothing to store; one of the spill may be in the ledger.
        guard decoded.recordCount > 0 || isReplay else { return StoredBatch() }
        let (compression, accepted, context) = (compression, accepted, context)
        let stored = try requestingRepair { (connection) throws(DatabaseError) in
            try BatchWriter(
                connection, fence: context.fence, compression: compression, accepted: accepted,
                oldChunks: context.oldChunks
            ).store(
                summary, frames: frames, decoded: decoded, keepsMalformed: isReplay, without: held, counted: counted)
        }
        if stored.waiting.isEmpty { context.appended.note(summary.sessions) }
        return stored
    }

    /// Works with the connection. Any statement which finds that a part of the schema is missing requests its repair.
    private mutating func requestingRepair<Result>(
        _ body: (DatabaseConnection) throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        try connect()
        guard let connection else { preconditionFailure("connect() throws or connects") }
        do throws(DatabaseError) {
            return try body(connection)
        } catch {
            if error.maySchemaBeIncomplete { context.availability.requestRepair() }
            throw error
        }
    }
}

extension DatabaseError: SinkFailure {
    package var areFramesStoredBefore: Bool { kind == .framesStoredBefore }
    package var passesByItself: Bool { [.framesStoredBefore, .batchStoredBefore, .cancelled].contains(kind) }
}
