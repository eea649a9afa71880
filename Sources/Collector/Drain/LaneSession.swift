// What a lane stores through: a connection that is made when it is needed and again when it was lost.

import Delivery
import LinuxSystem
import Logging
import TimescaleStore

/// Where a lane's batches go.
enum LaneTarget: Sendable {
    case database(StoreGate)
    /// Decoding is all that is done.
    case discard
}

/// A lane's connection. Used by the lane's thread.
struct LaneSession {
    private let lane: Int
    private let target: LaneTarget
    private let giveUp: WakeEvent
    private let log: Logger
    private var connection: DatabaseConnection?

    init(lane: Int, target: LaneTarget, giveUp: WakeEvent, log: Logger) {
        self.lane = lane
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
        guard case .database(let gate) = target, !isConnected else { return }
        connection = nil
        let location = try gate.location()
        let options = ConnectionOptions(applicationName: "spillway lane \(lane)")
        let log = log
        connection = try DatabaseConnection(location, options: options, stop: giveUp) { report in
            log.warning("the database warns", metadata: ["message": "\(report.message)"])
        }
    }

    /// One attempt to store a batch.
    ///
    /// - Returns: nil when there was nothing to store.
    mutating func store(
        _ identity: BatchIdentity, frames: UnsafeRawBufferPointer, decoded: DecodedBatch
    ) throws(DatabaseError) -> StoredBatch? {
        guard decoded.recordCount > 0 else { return nil }
        guard case .database(let gate) = target else { return StoredBatch() }
        try connect()
        guard let connection else { preconditionFailure("connect() throws or connects") }
        do throws(DatabaseError) {
            return try BatchWriter(connection).store(identity, frames: frames, decoded: decoded)
        } catch {
            // Dropped and made again by somebody while we run.
            if error.sqlstate == .undefinedTable || error.sqlstate == SQLState("3F000") { gate.close(error) }
            throw error
        }
    }
}
