// Where records come from: lines of JSON, or the generator. Both go straight into the frame that is being made.

import JSONLines
import LinuxSystem
import SpillwayClient

/// What became of the next record.
enum FeedResult {
    case appended
    /// The frame goes on: it has no room for the next record, which comes again, or there is no next one yet.
    case frameFull
    case end
}

/// An ordered source of records.
protocol RecordFeed: ~Copyable {
    /// Whether the last frame was finished since no record came for some time: it must not wait for others.
    var isIdle: Bool { get }
    /// Appends the next record to the encoder's frame.
    mutating func appendNext(to encoder: inout FrameEncoder) throws(CommandError) -> FeedResult
}

/// Records as JSON lines. Lines without anything but whitespace are passed over.
struct LineFeed: RecordFeed, ~Copyable {
    private var lines: LineInput
    private var parser: RecordLineParser
    /// The parser holds a record that did not fit into the frame before.
    private var isWaiting = false
    /// The records of the frame that is being made.
    private var holdBack = HoldBack()
    private(set) var isIdle = false
    private let waitsForWholeFrames: Bool
    private(set) var recordCount = 0

    /// - Parameters:
    ///   - anyTime: whether integer times may be of any year.
    ///   - waitsForWholeFrames: a frame does not go on before it is full, however slowly the lines come, so that the same lines
    ///     always give the same frames.
    init(_ lines: consuming LineInput, anyTime: Bool, waitsForWholeFrames: Bool = false) {
        self.lines = lines
        self.waitsForWholeFrames = waitsForWholeFrames
        parser = RecordLineParser(acceptsAnyTime: anyTime)
    }

    mutating func appendNext(to encoder: inout FrameEncoder) throws(CommandError) -> FeedResult {
        isIdle = false
        while !isWaiting {
            // A pipe that stays open must not hold back the records that came.
            if encoder.recordCount == 0 || waitsForWholeFrames {
                holdBack.end()
            } else if try !lines.waitForLine(holdBack) {
                isIdle = true
                return .frameFull
            }
            let fault = try lines.next { (line) throws(CommandError) -> LineResult in
                if Self.isBlank(line) { return .blank }
                do throws(RecordLineError) {
                    try parser.parse(line)
                    return .record
                } catch {
                    return .fault(error)
                }
            }
            switch fault {
            case nil: return .end
            case .blank: continue
            case .record: isWaiting = true
            case .fault(let error): throw bad(error)
            }
        }
        do throws(RecordLineError) {
            guard try parser.append(to: &encoder) else { return .frameFull }
        } catch {
            throw bad(error)
        }
        isWaiting = false
        recordCount += 1
        holdBack.begin()
        return .appended
    }

    private enum LineResult {
        case blank
        case record
        case fault(RecordLineError)
    }

    private borrowing func bad(_ error: RecordLineError) -> CommandError {
        CommandError(.badData, "\(lines.place):\(error.column): \(error)")
    }

    private static func isBlank(_ line: RawSpan) -> Bool {
        line.withUnsafeBytes { bytes in
            guard let first = bytes.first else { return true }
            guard first <= 0x20 else { return false }
            return bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
        }
    }
}

/// Generated records, so many of them.
struct GeneratedFeed: RecordFeed, ~Copyable {
    private var generator: RecordGenerator
    private var left: Int
    var isIdle: Bool { false }

    init(_ options: RecordGenerator.Options, count: Int) {
        generator = RecordGenerator(options)
        left = count
    }

    mutating func appendNext(to encoder: inout FrameEncoder) throws(CommandError) -> FeedResult {
        guard left > 0 else { return .end }
        do throws(RecordError) {
            guard try generator.append(to: &encoder) else { return .frameFull }
        } catch {
            throw CommandError(
                .usage, "a generated record does not fit: \(error); allow larger frames with --frame-bytes")
        }
        left -= 1
        return .appended
    }
}
