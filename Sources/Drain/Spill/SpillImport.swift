// Stores what a spill directory holds, without a collector: one of another machine, or of one that is gone. Batch by batch and
// each once: what the ledger has is passed over, so that it may be interrupted and repeated.

import Delivery
import FrameCodec
import LinuxSystem
import Postgres
import SpillLog
import StoreSchema
import StoreWriter

/// How far an import has come, and what came of it.
package struct SpillImportProgress: Sendable {
    package var batches = 0
    package var batchesDone = 0
    package var recordsStored = 0
    /// Records of batches that were stored before, and of frames that an earlier run had stored.
    package var recordsStoredBefore = 0
    package var recordsDeadLettered = 0
    /// Records that a trigger of the database kept out of their table.
    package var recordsSuppressed = 0
    /// Records of malformed datagrams, which no client waits for.
    package var recordsRefused = 0
    /// Records that are damaged on disk; their segments go to the quarantine.
    package var recordsDamaged = 0
    package var batchesDamaged = 0
    /// Segments that could not be read, and so are still there.
    package var segmentsLeftAlone = 0
}

/// Brings a directory's batches into a database.
package struct SpillImport {
    private let directory: SpillDirectory
    private let connection: DatabaseConnection
    private let bounds: TimeBounds
    private let oldChunks: OldChunkBudget?
    /// To store a batch of which others store frames at the same time.
    private static let attemptsMax = 10

    /// - Parameters:
    ///   - directory: open, and so owned by this process.
    ///   - bounds: the times of records that are accepted, as their collector would have.
    package init(_ directory: SpillDirectory, _ connection: DatabaseConnection, bounds: TimeBounds) {
        self.directory = directory
        self.connection = connection
        self.bounds = bounds
        oldChunks = bounds.past == nil ? nil : OldChunkBudget()
    }

    /// Stores all batches, oldest first, and removes each segment when all of it is stored.
    ///
    /// - Throws: `SpillError` when the directory fails, `DatabaseError` when the database does: repeat it then.
    package func run(_ show: (SpillImportProgress) -> Void) throws -> SpillImportProgress {
        // A batch's sessions are read again with it.
        let recovery = try SpillRecovery(fileSystem: directory.fileSystem, onSessions: { _, _ in })
        var progress = SpillImportProgress()
        progress.batches = recovery.batches
        progress.batchesDamaged = recovery.damagedBatches
        progress.recordsDamaged = recovery.damagedRecords
        progress.segmentsLeftAlone = recovery.leftAlone.count
        let fence = CommitFence(key: Int64(bitPattern: directory.directoryID))
        try fence.waitForEarlierRuns(connection)
        let reader = ReplayReader(directory)
        let decoded = DecodedBatch()
        let hasHypertables = try ServerIdentity.detect(connection).flavour.hasHypertables
        var remover = SpillWriter(
            fileSystem: directory.fileSystem, directoryID: directory.directoryID, epoch: 0, limits: SpillLimits())
        var removalFailure: SpillError?
        // Damaged ones, of which a later segment may have another copy.
        var damaged: Set<BatchIdentity> = []
        for segment in recovery.segments {
            var keepInQuarantine = segment.mustKeepInQuarantine
            for batch in segment.batches + segment.copies.filter({ damaged.contains($0.summary.identity) }) {
                let summary: BatchSummary
                do throws(SpillError) {
                    summary = try reader.summary(of: batch)
                    try reader.read(batch)
                } catch {
                    guard case .damaged = error else { throw error }
                    keepInQuarantine = true
                    if damaged.insert(batch.summary.identity).inserted {
                        progress.batchesDamaged += 1
                        progress.recordsDamaged += batch.summary.recordCount
                    }
                    continue
                }
                if damaged.remove(batch.summary.identity) != nil {
                    progress.batchesDamaged -= 1
                    progress.recordsDamaged -= batch.summary.recordCount
                }
                try reader.withFrames { (frames) throws(DatabaseError) in
                    decoded.judgement = TimeJudgement(bounds, watchesOldDays: oldChunks != nil && hasHypertables)
                    progress.add(decoded, try store(summary, frames, decoded, fence))
                }
                progress.batchesDone += 1
                show(progress)
            }
            do throws(SpillError) {
                try remover.remove(segment.name, keepInQuarantine: keepInQuarantine)
            } catch {
                // The batches of the other segments do not wait for it.
                removalFailure = removalFailure ?? error
            }
        }
        if let removalFailure { throw removalFailure }
        return progress
    }

    /// Clients of the collector that is gone may be sending to another one by now: what that one has stored is passed over.
    private func store(
        _ summary: BatchSummary, _ frames: UnsafeRawBufferPointer, _ decoded: DecodedBatch, _ fence: CommitFence
    ) throws(DatabaseError) -> StoredBatch {
        var attempts = 0
        while true {
            attempts += 1
            do throws(DatabaseError) {
                decoded.decode(
                    frames, summary, storedBefore: try SessionLedger(connection).storedFrames(among: summary.sessions))
                return try BatchWriter(connection, fence: fence, oldChunks: oldChunks).store(
                    summary, frames: frames, decoded: decoded, keepsMalformed: true)
            } catch {
                guard error.kind == .framesStoredBefore, attempts < Self.attemptsMax else { throw error }
            }
        }
    }
}

extension SpillImportProgress {
    fileprivate mutating func add(_ decoded: DecodedBatch, _ stored: StoredBatch) {
        let rows = decoded.sources.values.reduce(0) { $0 + $1.rows + $1.outOfBounds }
        let resent = decoded.sources.values.reduce(0) { $0 + $1.resent }
        let dead = stored.deadLetters.values.reduce(0, +)
        let parts = stored.partRecords.values.reduce(0, +)
        recordsStoredBefore += resent + parts + (stored.wasStoredBefore ? rows : 0)
        recordsRefused += decoded.refused.reduce(0) { $0 + ($1.isAcknowledged ? 0 : $1.recordCount) }
        guard !stored.wasStoredBefore else { return }
        recordsDeadLettered += dead
        let malformed = decoded.refused.reduce(0) { $0 + ($1.isAcknowledged ? $1.recordCount : 0) }
        let suppressed = stored.suppressed.values.reduce(0, +)
        recordsSuppressed += suppressed
        recordsStored += max(0, rows - max(0, dead - malformed - stored.partDeadLetters) - suppressed)
    }
}
