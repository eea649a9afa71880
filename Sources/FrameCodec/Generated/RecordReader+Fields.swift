// Generated from protocol/kinds.json by `swift run kinds-generator`: change it there.
// swift-format-ignore-file

import MetricKinds

extension RecordReader {
    /// Reads the fields of one record of `kind` and hands each to the visitor, absent ones too.
    @inlinable @inline(__always)
    mutating func readFields<Visitor: FrameVisitor & ~Copyable>(
        of kind: MetricKind, _ visitor: inout Visitor
    ) throws(FrameError) {
        switch kind {
        case .routing: try routingFields(&visitor)
        case .memory: try memoryFields(&visitor)
        case .attention: try attentionFields(&visitor)
        case .compute: try computeFields(&visitor)
        case .execution: try executionFields(&visitor)
        case .agentEvolution: try agentEvolutionFields(&visitor)
        case .rag: try ragFields(&visitor)
        case .system: try systemFields(&visitor)
        case .point: try pointFields(&visitor)
        }
    }

    @inlinable
    mutating func routingFields<Visitor: FrameVisitor & ~Copyable>(
        _ visitor: inout Visitor
    ) throws(FrameError) {
        try prefixedText(column: 0, bit: 2, slot: 0, &visitor)
        try text(column: 1, bit: 3, &visitor)
        try float32(column: 2, bit: 4, &visitor)
        try float32(column: 3, bit: 5, &visitor)
        try text(column: 4, bit: 6, &visitor)
        try int32(column: 5, bit: 7, &visitor)
        try int32(column: 6, bit: 8, &visitor)
        try int32(column: 7, bit: 9, &visitor)
        try int32(column: 8, bit: 10, &visitor)
        try int32(column: 9, bit: 11, &visitor)
        try int32(column: 10, bit: 12, &visitor)
        try text(column: 11, bit: 13, &visitor)
        try text(column: 12, bit: 14, &visitor)
    }

    @inlinable
    mutating func memoryFields<Visitor: FrameVisitor & ~Copyable>(
        _ visitor: inout Visitor
    ) throws(FrameError) {
        try text(column: 0, bit: 2, &visitor)
        try text(column: 1, bit: 3, &visitor)
        try text(column: 2, bit: 4, &visitor)
        try int64(column: 3, bit: 5, &visitor)
        try int32(column: 4, bit: 6, &visitor)
        try int32(column: 5, bit: 7, &visitor)
        bool(column: 6, bit: 8, &visitor)
        try float32(column: 7, bit: 10, &visitor)
        try float32(column: 8, bit: 11, &visitor)
        try int32(column: 9, bit: 12, &visitor)
    }

    @inlinable
    mutating func attentionFields<Visitor: FrameVisitor & ~Copyable>(
        _ visitor: inout Visitor
    ) throws(FrameError) {
        try text(column: 0, bit: 2, &visitor)
        try int32(column: 1, bit: 3, &visitor)
        try int32(column: 2, bit: 4, &visitor)
        try text(column: 3, bit: 5, &visitor)
        try float32(column: 4, bit: 6, &visitor)
        try float32(column: 5, bit: 7, &visitor)
        try float32(column: 6, bit: 8, &visitor)
        try int32(column: 7, bit: 9, &visitor)
        try float32(column: 8, bit: 10, &visitor)
    }

    @inlinable
    mutating func computeFields<Visitor: FrameVisitor & ~Copyable>(
        _ visitor: inout Visitor
    ) throws(FrameError) {
        try text(column: 0, bit: 2, &visitor)
        try text(column: 1, bit: 3, &visitor)
        try int32(column: 2, bit: 4, &visitor)
        try int32(column: 3, bit: 5, &visitor)
        try int64(column: 4, bit: 6, &visitor)
        try int32(column: 5, bit: 7, &visitor)
        try float32(column: 6, bit: 8, &visitor)
        try float32(column: 7, bit: 9, &visitor)
        try float32(column: 8, bit: 10, &visitor)
        try float32(column: 9, bit: 11, &visitor)
        try float32(column: 10, bit: 12, &visitor)
        try float32(column: 11, bit: 13, &visitor)
        try float32(column: 12, bit: 14, &visitor)
        try float32(column: 13, bit: 15, &visitor)
    }

    @inlinable
    mutating func executionFields<Visitor: FrameVisitor & ~Copyable>(
        _ visitor: inout Visitor
    ) throws(FrameError) {
        try prefixedText(column: 0, bit: 2, slot: 0, &visitor)
        try text(column: 1, bit: 3, &visitor)
        try text(column: 2, bit: 4, &visitor)
        try int32(column: 3, bit: 5, &visitor)
        try int32(column: 4, bit: 6, &visitor)
        try float32(column: 5, bit: 7, &visitor)
        try float32(column: 6, bit: 8, &visitor)
        bool(column: 7, bit: 9, &visitor)
        try text(column: 8, bit: 11, &visitor)
        try int32(column: 9, bit: 12, &visitor)
        try prefixedText(column: 10, bit: 13, slot: 1, &visitor)
        bool(column: 11, bit: 14, &visitor)
    }

    @inlinable
    mutating func agentEvolutionFields<Visitor: FrameVisitor & ~Copyable>(
        _ visitor: inout Visitor
    ) throws(FrameError) {
        try text(column: 0, bit: 2, &visitor)
        try text(column: 1, bit: 3, &visitor)
        try text(column: 2, bit: 4, &visitor)
        try int32(column: 3, bit: 5, &visitor)
        try float32(column: 4, bit: 6, &visitor)
        try float32(column: 5, bit: 7, &visitor)
        try float32(column: 6, bit: 8, &visitor)
        try float32(column: 7, bit: 9, &visitor)
        try int32(column: 8, bit: 10, &visitor)
        try int32(column: 9, bit: 11, &visitor)
        try float32(column: 10, bit: 12, &visitor)
    }

    @inlinable
    mutating func ragFields<Visitor: FrameVisitor & ~Copyable>(
        _ visitor: inout Visitor
    ) throws(FrameError) {
        try prefixedText(column: 0, bit: 2, slot: 0, &visitor)
        try text(column: 1, bit: 3, &visitor)
        try text(column: 2, bit: 4, &visitor)
        try int32(column: 3, bit: 5, &visitor)
        try int32(column: 4, bit: 6, &visitor)
        try int32(column: 5, bit: 7, &visitor)
        try float32(column: 6, bit: 8, &visitor)
        try int32(column: 7, bit: 9, &visitor)
        try int32(column: 8, bit: 10, &visitor)
        try text(column: 9, bit: 11, &visitor)
        try int32(column: 10, bit: 12, &visitor)
        try int32(column: 11, bit: 13, &visitor)
        try int32(column: 12, bit: 14, &visitor)
    }

    @inlinable
    mutating func systemFields<Visitor: FrameVisitor & ~Copyable>(
        _ visitor: inout Visitor
    ) throws(FrameError) {
        try text(column: 0, bit: 2, &visitor)
        try float32(column: 1, bit: 3, &visitor)
        try float32(column: 2, bit: 4, &visitor)
        try float32(column: 3, bit: 5, &visitor)
        try int64(column: 4, bit: 6, &visitor)
        try int32(column: 5, bit: 7, &visitor)
        try int32(column: 6, bit: 8, &visitor)
        try int64(column: 7, bit: 9, &visitor)
        try float32(column: 8, bit: 10, &visitor)
        try float32(column: 9, bit: 11, &visitor)
        try float32(column: 10, bit: 12, &visitor)
    }

    @inlinable
    mutating func pointFields<Visitor: FrameVisitor & ~Copyable>(
        _ visitor: inout Visitor
    ) throws(FrameError) {
        try text(column: 0, bit: 2, &visitor)
        try text(column: 1, bit: 3, &visitor)
        try float64(column: 2, bit: 4, &visitor)
        try text(column: 3, bit: 5, &visitor)
        try text(column: 4, bit: 6, &visitor)
    }
}

extension MetricKind {
    /// How many texts with a shared prefix any kind has: the size of the reader's memory for them.
    @inlinable static var prefixSlotsMax: Int { 2 }

    /// The bits of the presence bitmap that are values of bools.
    @inlinable
    var boolValueBits: UInt64 {
        switch self {
        case .routing: 0
        case .memory: 1 << 9
        case .attention: 0
        case .compute: 0
        case .execution: 1 << 10 | 1 << 15
        case .agentEvolution: 0
        case .rag: 0
        case .system: 0
        case .point: 0
        }
    }
}
