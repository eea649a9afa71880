// What an operator is shown of delivery.

import Delivery
import MetricKinds

/// A table that accepts nothing.
package struct HeldTable {
    /// With its schema.
    package let table: String
    /// One line.
    package let reason: String
    /// Records in the spill that wait for it and nothing else.
    package let records: Int

    package var warning: String {
        "\(table) accepts nothing; \(records) records wait in the spill until the cause is removed: \(reason)"
    }
}

/// Delivery at one moment.
package struct DeliveryView {
    package let batchesWaiting: Int
    package let spillBatches: Int
    package let spillRecords: UInt64
    package let spillBytes: UInt64
    package let oldestSpilledMicroseconds: Int64?
    /// Replayed records per second in the last while; 0 without any.
    package let replayRecordsPerSecond: Double
    /// Why the spill takes nothing.
    package let spillBlock: String?
    package let isStuck: Bool
    /// In the order of their names.
    package let heldTables: [HeldTable]
    /// What an operator should know of the spill.
    package let warnings: [String]
    package let damage: SpillDamageCounts
    /// Segments that something other than the collector removed, replaced or cut.
    package let segmentsDisturbed: Int

    package init(
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
    package var secondsToCatchUp: Double? {
        guard spillRecords > 0 else { return 0 }
        return replayRecordsPerSecond > 0 ? Double(spillRecords) / replayRecordsPerSecond : nil
    }
}

/// Damage of the spill, found at the start or since.
package struct SpillDamageCounts {
    /// How many records such a batch held may not be known.
    package var batches = 0
    /// Ends of segments that are no whole batch and not empty.
    package var ends = 0

    package var warnings: [String] {
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
