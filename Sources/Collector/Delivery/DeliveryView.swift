// What an operator is shown of delivery.

import Delivery
import MetricKinds

/// A table that accepts nothing.
struct HeldTable {
    /// With its schema.
    let table: String
    /// One line.
    let reason: String
    /// Records in the spill that wait for it and nothing else.
    let records: Int

    var warning: String {
        "\(table) accepts nothing; \(records) records wait in the spill until the cause is removed: \(reason)"
    }
}

/// Delivery at one moment.
struct DeliveryView {
    let batchesWaiting: Int
    let spillBatches: Int
    let spillRecords: UInt64
    let spillBytes: UInt64
    let oldestSpilledMicroseconds: Int64?
    /// Replayed records per second in the last while; 0 without any.
    let replayRecordsPerSecond: Double
    /// Why the spill takes nothing.
    let spillBlock: String?
    let isStuck: Bool
    /// In the order of their names.
    let heldTables: [HeldTable]
    /// What an operator should know of the spill.
    let warnings: [String]
    let damage: SpillDamageCounts
    /// Segments that something other than the collector removed, replaced or cut.
    let segmentsDisturbed: Int

    init(
        _ plan: borrowing DeliveryPlan, recordsPerSecond: Double, warnings: [String] = [],
        damage: SpillDamageCounts = SpillDamageCounts(), segmentsDisturbed: Int = 0
    ) {
        self.damage = damage
        self.segmentsDisturbed = segmentsDisturbed
        self.warnings = warnings + damage.warnings
        batchesWaiting = plan.places.count { $0 == .waiting || $0 == .toSpill }
        spillBatches = plan.spillBatches
        spillRecords = plan.spillRecords
        spillBytes = plan.spillBytes
        oldestSpilledMicroseconds = plan.oldestSpilledMicroseconds
        replayRecordsPerSecond = recordsPerSecond
        spillBlock = plan.spillBlock?.reason
        isStuck = plan.isStuck
        heldTables = plan.holds.map { kind, hold in
            HeldTable(
                table: "\(MetricKind.schemaName).\(kind.tableName)", reason: hold.reason,
                records: plan.recordsHeld[kind] ?? 0)
        }.sorted { $0.table < $1.table }
    }

    /// When the spill is empty at the present pace, in seconds; nil where nobody can tell.
    var secondsToCatchUp: Double? {
        guard spillRecords > 0 else { return 0 }
        return replayRecordsPerSecond > 0 ? Double(spillRecords) / replayRecordsPerSecond : nil
    }
}

/// Damage of the spill, found at the start or since.
struct SpillDamageCounts {
    /// How many records such a batch held may not be known.
    var batches = 0
    /// Ends of segments that are no whole batch and not empty.
    var ends = 0

    var warnings: [String] {
        var lines: [String] = []
        if batches > 0 {
            lines.append(
                "damaged batches of the spill: \(batches); acknowledged records in them are not stored, and what is left of them "
                    + "is in its folder quarantine; records_damaged has their number where it is known")
        }
        if ends > 0 {
            lines.append(
                "torn ends of the spill: \(ends); an interrupted write leaves one without acknowledged records, damage may "
                    + "leave one with them; they are in its folder quarantine")
        }
        return lines
    }
}

/// How fast the replay goes: records over a window that moves on in steps.
struct ReplayPace {
    private static let windowNanoseconds: UInt64 = 10_000_000_000
    private var startedAt: UInt64 = 0
    private var records = 0
    private var lastRecordsPerSecond = 0.0
    private var lastEndedAt: UInt64 = 0

    mutating func add(records added: Int, now: UInt64) {
        if now &- startedAt > Self.windowNanoseconds {
            if records > 0 {
                lastRecordsPerSecond = Double(records) * 1e9 / Double(now &- startedAt)
                lastEndedAt = now
            }
            startedAt = now
            records = 0
        }
        records += added
    }

    func recordsPerSecond(now: UInt64) -> Double {
        let age = now &- startedAt
        if records > 0, age < 2 * Self.windowNanoseconds, age > 1_000_000_000 || lastEndedAt == 0 {
            return Double(records) * 1e9 / Double(max(age, 1))
        }
        return now &- lastEndedAt < 2 * Self.windowNanoseconds ? lastRecordsPerSecond : 0
    }
}
