// A spill directory for people or as JSON.

import Collector
import Drain
import FrameCodec
import Glibc
import SpillLog
import Text

extension SpillQuarantine {
    /// One line.
    var text: String {
        "kept of damage and torn ends: \(counted(files, "file")) with \(counted(bytes, "byte")) in \(path)"
    }
}

/// What was found in a spill directory.
struct SpillReport {
    private let recovery: SpillRecovery
    private let nowMicroseconds: Int64
    private var unreadable: [String] = []

    private let quarantine: SpillQuarantine
    private let database: String?

    init(_ recovery: SpillRecovery, _ directory: SpillDirectory, nowMicroseconds: Int64) {
        self.recovery = recovery
        quarantine = directory.quarantine
        database = directory.database
        self.nowMicroseconds = nowMicroseconds
    }

    /// Something that was found when a batch was read.
    mutating func add(_ damage: String) { unreadable.append(damage) }

    var isSound: Bool {
        unreadable.isEmpty && recovery.leftAlone.isEmpty && recovery.unreadableSegments.isEmpty
            && recovery.segments.allSatisfy(\.damage.isEmpty)
    }

    private func ageSeconds(_ segment: RecoveredSegment) -> Double? {
        segment.batches.map(\.summary.openedMicroseconds).min().map {
            max(0, Double(nowMicroseconds) - Double($0)) / 1e6
        }
    }

    private func records(_ segment: RecoveredSegment) -> Int {
        segment.batches.reduce(0) { $0 + $1.summary.recordCount }
    }

    var text: String {
        var rows = [["SEGMENT", "BYTES", "BATCHES", "RECORDS", "OLDEST", "STATE"]]
        for segment in recovery.segments {
            rows.append([
                segment.name.text, grouped(UInt64(segment.sizeBytes)), grouped(UInt64(segment.batches.count)),
                grouped(UInt64(records(segment))), ageSeconds(segment).map { Self.age($0) } ?? "-",
                segment.damage.isEmpty ? (segment.isSealed ? "ended" : "open") : "damaged",
            ])
        }
        var out = recovery.segments.isEmpty ? "" : textTable(rows, rightAligned: [1, 2, 3])
        out += recovery.segments.isEmpty ? "" : "\n"
        out += "\(counted(recovery.segments.count, "segment")), \(counted(recovery.batches, "batch")), "
        out += "\(counted(recovery.records, "record")), \(counted(recovery.bytes, "byte"))\n"
        if let database { out += "for the database \(database)\n" }
        for segment in recovery.segments {
            for damage in segment.damage { out += describe(damage) + "\n" }
        }
        for line in unreadable + recovery.warnings { out += line + "\n" }
        if quarantine.files > 0 { out += quarantine.text + "\n" }
        return out
    }

    /// What every byte was read for: one line.
    var verdict: String {
        let read =
            "\(counted(recovery.segments.count, "segment")) with \(counted(recovery.batches, "batch")) and "
            + counted(recovery.records, "record")
        guard !isSound else { return "sound: every byte was read; \(read)" }
        let places = unreadable.count + recovery.segments.reduce(0) { $0 + $1.damage.count }
        return
            "damaged: \(counted(places, "place")) in \(read) cannot be read; the rest is replayed when a collector starts"
    }

    private func describe(_ damage: SpillDamage) -> String {
        "\(damage.segment.text): bytes \(damage.offset) to \(damage.offset + damage.byteCount) hold no whole batch"
            + (damage.isTail ? " (at the end: cut off or damaged)" : "")
            + (damage.batches > 0 ? "; batches lost: \(damage.batches), records at least: \(damage.records)" : "")
    }

    var json: String {
        let segments = recovery.segments.map { segment in
            var object = JSONObject()
            object.add("segment", segment.name.text)
            object.add("bytes", UInt64(segment.sizeBytes))
            object.add("batches", UInt64(segment.batches.count))
            object.add("records", UInt64(records(segment)))
            if let age = ageSeconds(segment) { object.add("oldest_age_seconds", age, decimals: 3) }
            object.add("state", segment.isSealed ? "ended" : "open")
            object.add("damaged_places", UInt64(segment.damage.count))
            object.add("damaged_bytes", UInt64(segment.damage.reduce(0) { $0 + $1.byteCount }))
            return object.text
        }
        return "{\"segments\": [\(segments.joined(separator: ", "))], \"batches\": \(recovery.batches), "
            + "\"records\": \(recovery.records), \"bytes\": \(recovery.bytes), "
            + "\"damaged_batches\": \(recovery.damagedBatches + unreadable.count), "
            + "\"database\": \(database.map(jsonString) ?? "null"), "
            + "\"quarantined_files\": \(quarantine.files), \"quarantined_bytes\": \(quarantine.bytes), "
            + "\"sound\": \(isSound)}\n"
    }

    private static func age(_ seconds: Double) -> String {
        switch seconds {
        case ..<120: "\(Int(seconds)) s"
        case ..<7_200: "\(Int(seconds / 60)) min"
        case ..<172_800: "\(Int(seconds / 3_600)) h"
        default: "\(Int(seconds / 86_400)) d"
        }
    }
}

extension SpillImportProgress {
    var text: String {
        """
        stored          \(grouped(UInt64(recordsStored)))
        stored before   \(grouped(UInt64(recordsStoredBefore)))
        dead letters    \(grouped(UInt64(recordsDeadLettered)))
        suppressed      \(grouped(UInt64(recordsSuppressed)))
        refused         \(grouped(UInt64(recordsRefused)))
        damaged         \(grouped(UInt64(recordsDamaged)))
        """
    }

    var json: String {
        var object = JSONObject()
        object.add("batches", UInt64(batches))
        object.add("records_stored", UInt64(recordsStored))
        object.add("records_stored_before", UInt64(recordsStoredBefore))
        object.add("records_dead_lettered", UInt64(recordsDeadLettered))
        object.add("records_suppressed", UInt64(recordsSuppressed))
        object.add("records_refused", UInt64(recordsRefused))
        object.add("records_damaged", UInt64(recordsDamaged))
        object.add("batches_damaged", UInt64(batchesDamaged))
        return object.text
    }
}

/// One line with a bar on a terminal that is written over again; nothing where standard error is a file.
struct SpillProgressLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var hasShown = false
    private static let barWidth = 30

    mutating func show(_ unit: String, _ done: Int, of all: Int) {
        guard isTerminal, all > 0 else { return }
        hasShown = true
        let filled = Self.barWidth * done / all
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.barWidth - filled)
        writeStandardError("\r[\(bar)] \(unit) \(done) of \(all)\u{1B}[K")
    }

    func clear() { if hasShown { writeStandardError("\r\u{1B}[K") } }
}
