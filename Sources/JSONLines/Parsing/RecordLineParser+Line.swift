// The one pass over a line: each member into its place.

import FrameCodec
import MetricKinds

extension RecordLineParser {
    mutating func read(_ line: UnsafeRawBufferPointer) throws(RecordLineError) {
        isComplete = false
        guard line.count <= RecordLineLimits.lineBytesMax else {
            throw RecordLineError(
                .lineTooLong(bytesMax: RecordLineLimits.lineBytesMax), column: RecordLineLimits.lineBytesMax + 1)
        }
        guard line.count > 0 else { throw RecordLineError(.invalidJSON(expected: "an object"), column: 1) }
        texts.truncate(to: 0)
        (present, seenFields, seenMembers, hasTime) = (0, 0, 0, false)
        (tags, metadata) = (nil, nil)
        integerTimeColumn = 0

        var cursor = LineCursor(line)
        cursor.skipSpace()
        let start = cursor.position
        guard cursor.take("{") else { throw cursor.unexpected("an object") }
        cursor.skipSpace()
        kind = try findKind(cursor, start: start)
        let fields = plans.fields(of: kind)
        var next = 0
        repeat {
            if next < fields.count, cursor.take(memberName(fields[next])) {
                // As `decode` writes it: the name of the field that comes next, and its colon.
                try readField(&cursor, next, fields[next])
                next &+= 1
            } else {
                try readMember(&cursor, fields, &next)
            }
        } while try cursor.takeComma()
        cursor.skipSpace()
        guard cursor.position == cursor.end else { throw cursor.unexpected("the end of the line") }
        guard hasTime else { throw RecordLineError(.missingField, field: "time", column: start + 1) }
        // Last: what else is wrong with the line is nearer to its cause.
        guard acceptsAnyTime || integerTimeColumn == 0 || RecordLineLimits.plausibleTimes.contains(time) else {
            throw RecordLineError(.implausibleTime(time), field: "time", column: integerTimeColumn)
        }
        isComplete = true
    }

    /// `"name":`
    @inline(__always)
    private func memberName(_ field: FieldPlan) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: plans.member(field)[1...])
    }

    /// Looks for the kind without moving the reader.
    private mutating func findKind(_ start: LineCursor, start offset: Int) throws(RecordLineError) -> MetricKind {
        var cursor = start
        guard !cursor.take("}") else { throw RecordLineError(.missingField, field: "kind", column: offset + 1) }
        repeat {
            let name = try cursor.string(into: &texts)
            let isKind = texts[name].elementsEqual("kind".utf8)
            texts.truncate(to: 0)
            try cursor.takeColon()
            guard isKind, !cursor.takeWord("null") else {
                if !isKind { try cursor.skipValue() }
                continue
            }
            let column = cursor.position + 1
            do throws(RecordLineError) {
                let text = try cursor.string(into: &texts)
                defer { texts.truncate(to: 0) }
                for kind in MetricKind.allCases where texts[text].elementsEqual(kind.name.utf8) { return kind }
                let found = String(decoding: texts[text].prefix(40), as: UTF8.self)
                throw RecordLineError(.unknownKind(found), column: column)
            } catch {
                throw error.in(field: "kind")
            }
        } while try cursor.takeComma()
        throw RecordLineError(.missingField, field: "kind", column: offset + 1)
    }

    // MARK: Members

    /// The members that every kind has.
    private enum Member: UInt8 {
        case kind, time, tags, metadata

        var bit: UInt8 { 1 << rawValue }
    }

    private mutating func readMember(
        _ cursor: inout LineCursor, _ fields: UnsafeBufferPointer<FieldPlan>, _ next: inout Int
    ) throws(RecordLineError) {
        let start = cursor.position
        let textStart = texts.count
        let range = try cursor.string(into: &texts)
        let name = texts[range]
        var member: Member?
        var index: Int?
        if name.elementsEqual("time".utf8) {
            member = .time
        } else if name.elementsEqual("kind".utf8) {
            member = .kind
        } else if name.elementsEqual("tags".utf8) {
            member = .tags
        } else if name.elementsEqual("metadata".utf8) {
            member = .metadata
        } else {
            index = fields.firstIndex { plans.name($0).elementsEqual(name) }
        }
        guard member != nil || index != nil else {
            throw RecordLineError(
                .unknownField(kind: kind.name), field: String(decoding: name.prefix(64), as: UTF8.self),
                column: start + 1)
        }
        texts.truncate(to: textStart)
        if let index {
            try cursor.takeColon()
            try readField(&cursor, index, fields[index], nameStart: start)
            next = index + 1
        } else if let member {
            try readMember(&cursor, member, start: start)
        }
    }

    private mutating func readMember(
        _ cursor: inout LineCursor, _ member: Member, start: Int
    ) throws(RecordLineError) {
        do throws(RecordLineError) {
            guard seenMembers & member.bit == 0 else { throw cursor.fault(.duplicateField, at: start) }
            seenMembers |= member.bit
            try cursor.takeColon()
            if cursor.takeWord("null") { return }
            switch member {
            case .kind: try cursor.skipValue()
            case .time:
                if cursor.peek != UInt8(ascii: "\"") { integerTimeColumn = cursor.position + 1 }
                time = try cursor.time(&texts)
                hasTime = true
            case .tags: tags = try cursor.tags(&texts)
            case .metadata: metadata = try cursor.metadata()
            }
        } catch {
            throw error.in(field: "\(member)")
        }
    }

    @inline(__always)
    private mutating func readField(
        _ cursor: inout LineCursor, _ index: Int, _ field: FieldPlan, nameStart: Int? = nil
    ) throws(RecordLineError) {
        let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: index)
        do throws(RecordLineError) {
            if seenFields & bit != 0 {
                throw cursor.fault(.duplicateField, at: nameStart ?? cursor.position - (field.textCount - 1))
            }
            seenFields |= bit
            cursor.skipSpace()
            if cursor.peek == UInt8(ascii: "n"), cursor.takeWord("null") { return }
            try readValue(&cursor, index, field.type)
            present |= bit
        } catch {
            throw error.in(field: String(decoding: plans.name(field), as: UTF8.self))
        }
    }

    @inline(__always)
    private mutating func readValue(
        _ cursor: inout LineCursor, _ index: Int, _ type: ColumnType
    ) throws(RecordLineError) {
        switch type {
        case .text:
            let start = cursor.position
            let range = try cursor.string(into: &texts)
            guard range.count <= FrameLimits.stringBytesMax else {
                throw cursor.fault(.textTooLong(bytes: range.count), at: start)
            }
            values[index].textStart = range.lowerBound
            values[index].textEnd = range.upperBound
        case .bool:
            if cursor.takeWord("true") {
                values[index].bits = 1
            } else if cursor.takeWord("false") {
                values[index].bits = 0
            } else {
                throw cursor.wrongType("true or false")
            }
        case .int32:
            values[index].bits = UInt64(bitPattern: try cursor.integer(in: Int64(Int32.min)...Int64(Int32.max)))
        case .int64: values[index].bits = UInt64(bitPattern: try cursor.integer(in: .min ... .max))
        case .float32: values[index].bits = UInt64(try cursor.float32(&texts).bitPattern)
        case .float64: values[index].bits = try cursor.float64(&texts).bitPattern
        }
    }
}

extension RecordLineError {
    /// The same fault, in this field or in a part of it.
    func `in`(field name: String) -> RecordLineError {
        RecordLineError(reason, field: field.map { "\(name).\($0)" } ?? name, column: column)
    }
}
