import Delivery
import FrameCodec
import Foundation
import Testing

@testable import SpillLog

/// A spill directory of a test, removed with it.
final class SpillFolder {
    let path: String
    private(set) var directory: SpillDirectory

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/spill-test-\(UUID().uuidString)"
        directory = try SpillDirectory.open(path)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch { print("\(error)") }
    }

    var fileSystem: any SpillFileSystem { directory.fileSystem }

    func file(_ name: SegmentName) -> URL { URL(fileURLWithPath: path + "/" + name.text) }

    var quarantined: [String] {
        do { return try FileManager.default.contentsOfDirectory(atPath: path + "/quarantine").sorted() } catch {
            return []
        }
    }

    func recover(verifies: Bool = true, isReadOnly: Bool = false) throws -> SpillRecovery {
        try SpillRecovery(fileSystem: fileSystem, isReadOnly: isReadOnly, verifiesSealedBodies: verifies)
    }

    /// What the batches hold, as they are read back; damaged ones left out.
    func contents(_ recovery: SpillRecovery) throws -> [BatchIdentity: [UInt8]] {
        let reader = SpillReader(fileSystem: fileSystem)
        var found: [BatchIdentity: [UInt8]] = [:]
        for batch in recovery.segments.flatMap(\.batches) {
            var bytes = [UInt8](repeating: 0, count: batch.summary.byteCount)
            do throws(SpillError) {
                var span = bytes.mutableSpan
                var target = span.mutableBytes
                try target.withUnsafeMutableBytes { (target) throws(SpillError) in try reader.read(batch, into: target)
                }
            } catch {
                guard case .damaged = error else { throw error }
                continue
            }
            found[batch.summary.identity] = bytes
        }
        return found
    }
}

/// A batch with its bytes.
struct TestBatch {
    private(set) var summary: BatchSummary
    let bytes: [UInt8]

    /// Bytes that compress about as frames do, behind some that do not compress.
    init(
        _ sequence: Int64, byteCount: Int, noiseBytes: Int = 0, using generator: inout some RandomNumberGenerator,
        sessions: Int = 0
    ) {
        var bytes = (0..<noiseBytes).map { _ in UInt8.random(in: 0...255, using: &generator) }
        while bytes.count < byteCount {
            bytes += Array("query_\(UInt32.random(in: 0...99_999, using: &generator)) ".utf8)
        }
        self.bytes = Array(bytes.prefix(byteCount))
        summary = BatchSummary(
            identity: BatchIdentity(epoch: 77, sequence: sequence), recordCount: byteCount / 50 + 1,
            frameCount: byteCount / 500 + 1, byteCount: byteCount, openedMicroseconds: 1_700_000_000_000_000 + sequence,
            sessions: (0..<sessions).map {
                SessionFrames(
                    key: SessionKey(source: UInt64($0) + 1, session: 5), sequences: SequenceRanges([1..<9, 11..<12]))
            })
        guard sessions > 0 else { return }
        var flags = FrameFlags()
        for _ in 0..<summary.frameCount { flags.append(Bool.random(using: &generator)) }
        summary.acknowledged = flags
    }
}

extension SpillWriter {
    mutating func append(_ batch: TestBatch) throws(SpillError) -> SpilledBatch {
        try batch.bytes.span.bytes.withUnsafeBytes { (bytes) throws(SpillError) in
            try append(batch.summary, frames: bytes, nowMicroseconds: 1_700_000_000_000_000)
        }
    }
}

/// SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
