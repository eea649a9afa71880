// What a collector did to its spill, to its clients and to the database, in the order in which the kernel saw it: read from a
// trace that strace has written.

import Delivery
import Foundation
import FrameCodec

/// One thing that a collector did.
enum TracedEvent {
    /// A segment was made. Its name is durable behind the next sync of the folder.
    case created(String)
    case wrote(String, offset: Int, bytes: [UInt8])
    case truncated(String, size: Int)
    /// Behind its return all that was written to the segment before is durable.
    case synced(String)
    case unlinked(String)
    /// Names that were made or taken away are durable.
    case syncedFolder
    /// The folder itself was made, and is durable behind the sync of the one that it is in.
    case madeFolder
    case syncedParent
    /// The database has said that these frames are committed.
    case committed([SessionFrames])
    /// A client is about to be told that these frames are durable.
    case told([SessionFrames])
}

/// Reads a trace. The calls must have been traced with `-f -X raw -xx`.
struct SystemCallTrace {
    static let calls = "mkdir,openat,pwrite64,fdatasync,fsync,ftruncate,unlinkat,write,sendto,recvfrom"

    private(set) var events: [TracedEvent] = []

    private let folder: String
    private let parent: String
    /// What descriptors stand for: a segment's name, or a folder's path.
    private var names: [Int: String] = [:]
    /// Frames of the transaction that is open on a connection to the database.
    private var transactions: [Int: [SessionFrames]] = [:]
    /// Calls that have begun, by thread.
    private var begun: [Substring: Substring] = [:]

    init(_ path: String, spillFolder: String) throws {
        folder = spillFolder
        parent = URL(fileURLWithPath: spillFolder).deletingLastPathComponent().path
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
        for line in text.split(separator: "\n") { take(line) }
    }

    private mutating func take(_ line: Substring) {
        guard let space = line.firstIndex(of: " ") else { return }
        let thread = line[..<space]
        var rest = line[space...].drop { $0 == " " }
        if rest.hasPrefix("<... ") {
            guard let resumed = rest.range(of: "resumed>"), let start = begun.removeValue(forKey: thread) else {
                return
            }
            return end(Call(start + rest[resumed.upperBound...]))
        }
        if rest.hasSuffix("<unfinished ...>") {
            rest.removeLast("<unfinished ...>".count)
            begun[thread] = rest
            return begin(Call(rest))
        }
        let call = Call(rest)
        begin(call)
        end(call)
    }

    /// What a call may do from its beginning on.
    private mutating func begin(_ call: Call) {
        guard let descriptor = call.number(0) else { return }
        switch call.name {
        case "pwrite64":
            guard let name = names[descriptor], let offset = call.number(call.arguments.count - 1) else { return }
            events.append(.wrote(name, offset: offset, bytes: call.bytes))
        case "ftruncate":
            if let name = names[descriptor], let size = call.number(1) { events.append(.truncated(name, size: size)) }
        case "unlinkat":
            let name = String(decoding: call.bytes, as: UTF8.self)
            if SegmentName(name) != nil { events.append(.unlinked(name)) }
        case "write", "sendto":
            if let told = Self.told(call.bytes) { events.append(.told(told)) }
            if let frames = Self.ledgerFrames(call.bytes) { transactions[descriptor] = frames }
        default: return
        }
    }

    /// What a call has done at its end.
    private mutating func end(_ call: Call) {
        guard let result = call.result, result >= 0 else { return }
        switch call.name {
        case "mkdir": if String(decoding: call.bytes, as: UTF8.self) == folder { events.append(.madeFolder) }
        case "openat":
            let path = String(decoding: call.bytes, as: UTF8.self)
            names[result] = SegmentName(path) != nil || path == folder || path == parent ? path : nil
            let isMade = call.arguments.count > 2 && (Int(call.arguments[2].dropFirst(2), radix: 16) ?? 0) & 0o100 != 0
            if isMade, SegmentName(path) != nil { events.append(.created(path)) }
        case "fdatasync", "fsync":
            guard let name = call.number(0).flatMap({ names[$0] }) else { return }
            events.append(name == folder ? .syncedFolder : name == parent ? .syncedParent : .synced(name))
        case "recvfrom":
            guard let descriptor = call.number(0), call.bytes.contains(Self.commitTag),
                let frames = transactions.removeValue(forKey: descriptor)
            else { return }
            events.append(.committed(frames))
        default: return
        }
    }

    // MARK: What was sent

    private static let commitTag = Array("C\0\0\0\u{0B}COMMIT\0".utf8)

    /// The frames that bytes for a client say are durable.
    private static func told(_ bytes: [UInt8]) -> [SessionFrames]? {
        guard bytes.starts(with: Array("SPWY".utf8)) else { return nil }
        var told: [SessionFrames] = []
        var offset = 0
        do throws(FrameError) {
            while offset < bytes.count {
                let rest = bytes.span.bytes.extracting(offset..<bytes.count)
                let header = try FrameHeader.read(rest)
                let durable: SequenceRanges =
                    switch header.type {
                    case .welcome: try WelcomeFrame(frame: rest, header: header).durable
                    case .acknowledgement: try AcknowledgementFrame(frame: rest, header: header).durable
                    default: SequenceRanges()
                    }
                told.append(SessionFrames(key: SessionKey(header.identity), sequences: durable))
                offset += header.frameLength
            }
        } catch {
            return nil
        }
        return told
    }

    /// The frames that a batch's transaction names.
    private static func ledgerFrames(_ bytes: [UInt8]) -> [SessionFrames]? {
        // The sessions come in a statement of their own, behind the rows.
        let text = String(decoding: bytes, as: UTF8.self)
        guard let start = text.range(of: "INSERT INTO spillway.session_frames"), text.contains("VALUES") else {
            return bytes.contains(Array("INSERT INTO spillway.batches".utf8)) ? [] : nil
        }
        return text[start.upperBound...].matches(of: /\((-?\d+),(-?\d+),(\d+),(\d+)\)/).compactMap { match in
            guard let source = Int64(match.1), let session = Int64(match.2), let first = UInt64(match.3),
                let behind = UInt64(match.4)
            else { return nil }
            return SessionFrames(
                key: SessionKey(source: UInt64(bitPattern: source), session: UInt64(bitPattern: session)),
                sequences: SequenceRanges([first..<behind]))
        }
    }
}

/// A line of a trace, or the part of it that stands at the call's beginning.
private struct Call {
    let name: Substring
    let arguments: [Substring]
    /// What its strings hold, one behind the other.
    let bytes: [UInt8]
    /// Nil at the call's beginning.
    let result: Int?

    init(_ text: Substring) {
        let open = text.firstIndex(of: "(") ?? text.endIndex
        name = text[..<open]
        let close = text.lastIndex(of: ")")
        let inside = open < text.endIndex ? text[text.index(after: open)..<(close ?? text.endIndex)] : ""
        arguments = inside.split(separator: ",").map { $0.drop { $0 == " " } }
        result = close.flatMap { close in
            let words = text[close...].split(separator: " ")
            return words.count > 2 ? Int(words[2]) : nil
        }
        var bytes: [UInt8] = []
        var isInside = false
        var high: UInt8?
        for character in inside.utf8 {
            if character == UInt8(ascii: "\"") {
                isInside.toggle()
            } else if isInside, character != UInt8(ascii: "\\"), character != UInt8(ascii: "x") {
                let digit = character <= UInt8(ascii: "9") ? character - 48 : character - 87
                if let first = high {
                    bytes.append(first << 4 | digit)
                    high = nil
                } else {
                    high = digit
                }
            }
        }
        self.bytes = bytes
    }

    func number(_ index: Int) -> Int? {
        arguments.indices.contains(index)
            ? Int(arguments[index].prefix { $0 != " " && $0 != ")" }) : nil
    }
}
