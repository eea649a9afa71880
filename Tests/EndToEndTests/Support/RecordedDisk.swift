// What a disk may hold after a power loss, given what was written to it and what was synced: of everything that was not
// synced any part may be there, sector by sector, name by name.

import Foundation
import TestSupport

/// The spill's folder as a trace has built it.
struct RecordedDisk {
    private static let sectorBytes = 512

    fileprivate enum Change {
        case wrote(offset: Int, bytes: [UInt8])
        case truncated(size: Int)
    }

    private struct File {
        var durable: [UInt8] = []
        var pending: [Change] = []
    }

    private var files: [String: File] = [:]
    private var names: Set<String> = []
    private var durableNames: Set<String> = []
    private var isFolderDurable = true

    /// What is left out on purpose, to see that the check notices.
    enum Omission: CaseIterable {
        case fileSync, folderSync
    }

    mutating func apply(_ event: TracedEvent, without omission: Omission? = nil) {
        switch event {
        case .created(let name):
            files[name] = File()
            names.insert(name)
        case .wrote(let name, let offset, let bytes): files[name]?.pending.append(.wrote(offset: offset, bytes: bytes))
        case .truncated(let name, let size): files[name]?.pending.append(.truncated(size: size))
        case .synced(let name):
            guard omission != .fileSync, var file = files[name] else { return }
            for change in file.pending { file.durable.apply(change) }
            file.pending = []
            files[name] = file
        case .unlinked(let name): names.remove(name)
        case .syncedFolder:
            guard omission != .folderSync else { return }
            durableNames = names
            files = files.filter { names.contains($0.key) }
        case .madeFolder: isFolderDurable = false
        case .syncedParent: isFolderDurable = true
        case .committed, .told: return
        }
    }

    /// One of the states that a power loss may leave now.
    func afterPowerLoss(_ generator: inout SeededGenerator) -> [String: [UInt8]] {
        guard isFolderDurable || Bool.random(using: &generator) else { return [:] }
        var left: [String: [UInt8]] = [:]
        for name in names.union(durableNames).sorted() {
            let isCertain = names.contains(name) && durableNames.contains(name)
            guard isCertain || Bool.random(using: &generator), let file = files[name] else { continue }
            var bytes = file.durable
            for change in file.pending {
                switch change {
                case .truncated: if Bool.random(using: &generator) { bytes.apply(change) }
                case .wrote(let offset, let written):
                    for start in stride(from: 0, to: written.count, by: Self.sectorBytes)
                    where Bool.random(using: &generator) {
                        let sector = Array(written[start..<min(start + Self.sectorBytes, written.count)])
                        bytes.apply(.wrote(offset: offset + start, bytes: sector))
                    }
                }
            }
            left[name] = bytes
        }
        return left
    }
}

extension [UInt8] {
    fileprivate mutating func apply(_ change: RecordedDisk.Change) {
        switch change {
        case .truncated(let size): if size < count { removeLast(count - size) }
        case .wrote(let offset, let bytes):
            if count < offset + bytes.count {
                append(contentsOf: repeatElement(0, count: offset + bytes.count - count))
            }
            replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }
    }
}
