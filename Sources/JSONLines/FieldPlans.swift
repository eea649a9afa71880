// What the parser and the printer need to know of each kind's fields, laid out flat: a record looks up its fields
// without touching an array or a string.

import MetricKinds

/// One field of a kind.
struct FieldPlan {
    /// Where `,"name":` begins in the plans' text.
    let textOffset: Int
    /// Bytes of `,"name":`.
    let textCount: Int
    let type: ColumnType
    /// The field's first bit in the presence bitmap.
    let bit: Int
    /// Which of the kind's texts with a shared prefix it is; -1 for every other field.
    let prefixSlot: Int
}

/// The fields of all kinds.
struct FieldPlans: ~Copyable {
    /// Positions in a mask of fields take one word: more fields than presence bits cannot be.
    static let fieldsMax = 64

    private let plans: UnsafeMutablePointer<FieldPlan>
    private let ranges: [(start: Int, count: Int)]
    private let text: GrowingBytes

    init() {
        var all: [FieldPlan] = []
        var ranges: [(start: Int, count: Int)] = []
        var text = GrowingBytes(capacity: 4_096)
        for kind in MetricKind.allCases {
            precondition(Int(kind.rawValue) == ranges.count + 1 && kind.columns.count <= Self.fieldsMax)
            ranges.append((all.count, kind.columns.count))
            var slots = 0
            for column in kind.columns {
                let offset = text.count
                text.append(",\"\(column.name)\":")
                let isPrefix = column.coding == .prefix
                all.append(
                    FieldPlan(
                        textOffset: offset, textCount: text.count - offset, type: column.type,
                        bit: column.presenceBit, prefixSlot: isPrefix ? slots : -1))
                if isPrefix { slots += 1 }
            }
        }
        plans = .allocate(capacity: all.count)
        plans.initialize(from: all, count: all.count)
        self.ranges = ranges
        self.text = text
    }

    deinit { plans.deallocate() }

    /// The fields of a kind in their order. The memory lives as long as the plans.
    @inline(__always)
    func fields(of kind: MetricKind) -> UnsafeBufferPointer<FieldPlan> {
        let range = ranges[Int(kind.rawValue) &- 1]
        return UnsafeBufferPointer(start: plans + range.start, count: range.count)
    }

    /// `,"name":`
    @inline(__always)
    func member(_ plan: FieldPlan) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: text.base + plan.textOffset, count: plan.textCount)
    }

    /// The name alone.
    @inline(__always)
    func name(_ plan: FieldPlan) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: text.base + plan.textOffset + 2, count: plan.textCount &- 4)
    }
}
