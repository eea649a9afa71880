// `spillway dead-letters`: what the database refused.

import ArgumentParser
import Collector
import FrameCodec
import JSONLines
import LinuxSystem
import Maintenance
import MetricKinds
import Postgres
import Text

struct DeadLettersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Look at records that the database refused, store them after all, or throw them away.",
        discussion: """
            EXAMPLES:
              spillway dead-letters list --database postgresql://metrics@db.example/metrics
              spillway dead-letters show --kind routing --limit 10
              spillway dead-letters resend                 when the cause is gone
              spillway dead-letters resend --sqlstate 22008 --any-time    times out of bounds that are right

            To correct records by hand, with the last id that 'list' shows, so that later letters stay:
              spillway dead-letters show --records --up-to 1234 > refused.jsonl     exit 65 names letters without records
              spillway dead-letters discard --up-to 1234
              spillway send --to tcp://127.0.0.1:8127 --file refused.jsonl          once the lines are corrected
            """,
        subcommands: [List.self, Show.self, Resend.self, Discard.self])

    struct Selection: ParsableArguments {
        @Option(help: "Only this letter. Repeatable.") var id: [Int64] = []
        @Option(help: "Only letters up to this one: later ones stay as they are.") var upTo: Int64?
        @Option(help: "Only letters of this kind of record.") var kind: String?
        @Option(help: "Only letters with this code, for example 22003.") var sqlstate: String?

        var isEmpty: Bool { id.isEmpty && upTo == nil && kind == nil && sqlstate == nil }

        func filter() throws(CommandError) -> DeadLetterFilter {
            var filter = DeadLetterFilter()
            filter.ids = id
            filter.upToID = upTo
            filter.sqlstate = sqlstate
            if let kind {
                guard let known = MetricKind(name: kind) else {
                    let names = MetricKind.allCases.map(\.name).joined(separator: ", ")
                    throw CommandError(.usage, "--kind \(kind): there is no such kind; there are \(names)")
                }
                filter.kind = known
            }
            return filter
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show how many there are, by kind and reason.")

        @OptionGroup var location: DatabaseArguments
        @OptionGroup var selection: Selection
        @Flag(help: "Print a JSON object a line.") var json = false

        func run() throws {
            let filter = try selection.filter()
            let connection = try location.connect(as: "spillway dead-letters")
            let groups = try talking { () throws(DatabaseError) in try DeadLetterBox(connection).groups(filter) }
            if json {
                return try writeOutput(groups.map { $0.json + "\n" }.joined())
            }
            guard !groups.isEmpty else { return try writeOutput(line: "no dead letters") }
            var rows = [["KIND", "LETTERS", "RECORDS", "FIRST", "LAST", "LAST ID", "CODE", "REASON"]]
            for group in groups {
                rows.append([
                    group.kind ?? "-", "\(group.letters)", "\(group.records)", group.first, group.last,
                    "\(group.lastID)", group.sqlstate ?? "-", group.reason,
                ])
            }
            try writeOutput(textTable(rows, rightAligned: [1, 2, 5]))
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the letters as JSON lines, oldest first: the record, why it was refused, when.",
            discussion: """
                With --records, a letter that holds no records that this program can read, for example a malformed frame, is \
                named on standard error, and the exit code is 65: 'show --id' prints its frame.
                """)

        @OptionGroup var location: DatabaseArguments
        @OptionGroup var selection: Selection
        @Option(help: "Letters at most.") var limit: Int = .max
        @Flag(help: "Print only the records, as 'spillway encode' and 'send' take them.") var records = false

        private static let letterNamesMax = 20

        func run() throws {
            guard limit > 0 else { throw CommandError(.usage, "--limit \(limit): it is 1 or more") }
            let filter = try selection.filter()
            let connection = try location.connect(as: "spillway dead-letters")
            var output = try ByteOutput(path: nil)
            var withoutRecords = 0
            let box = DeadLetterBox(connection)
            // What 'discard --up-to' removes must have been shown.
            if filter.upToID != nil { DeadLettersCommand.settle(box) }
            do {
                try box.forEach(filter, limit: limit) { (letter) throws(CommandError) in
                    let lines = letter.recordLines
                    guard records else { return try output.write(line: letter.json(lines)) }
                    for line in lines ?? [] { try output.write(line: line) }
                    guard lines == nil else { return }
                    withoutRecords += 1
                    if withoutRecords <= Self.letterNamesMax {
                        report(
                            "letter \(letter.id) is not shown: it holds no record that can be read: \(letter.reason)")
                    }
                }
            } catch let error as DatabaseError {
                throw CommandError(.unavailable, "\(error)")
            }
            try output.flush()
            guard withoutRecords == 0 else {
                throw CommandError(
                    .badData,
                    "\(counted(withoutRecords, "letter")) without readable records: 'dead-letters show --id ID' prints a letter's frame; "
                        + "'discard' would remove them as well")
            }
        }
    }

    private static func settle(_ box: DeadLetterBox) {
        do throws(DatabaseError) {
            try box.settle()
        } catch {
            report(
                "letters that are being stored at this moment may be missing, though their ids are lower: \(error)")
        }
    }

    struct Resend: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Store the records in their tables and remove their letters, in one transaction. Safe to repeat.",
            discussion: "What the database refuses again stays. Without a selection it tries all of them.")

        @OptionGroup var location: DatabaseArguments
        @OptionGroup var selection: Selection
        @Flag(help: "Also the records that are here for their times alone (SQLSTATE 22008).") var anyTime = false
        @Flag(help: "Print what was done as JSON.") var json = false

        func run() throws {
            let filter = try selection.filter()
            let connection = try location.connect(as: "spillway dead-letters", isForWriting: true)
            let outcome = try talking { () throws(DatabaseError) in
                try DeadLetterBox(connection).sendAgain(filter, anyTime: anyTime)
            }
            if json {
                var object = JSONObject()
                object.add("letters", UInt64(outcome.letters))
                object.add("records_stored", UInt64(outcome.recordsStored))
                object.add("letters_left", UInt64(outcome.lettersLeft))
                try writeOutput(line: object.text)
            } else {
                let stored = counted(outcome.recordsStored, "record", isGrouped: false)
                try writeOutput(
                    line: "\(stored) stored, \(counted(outcome.lettersLeft, "letter", isGrouped: false)) left")
            }
            if let reason = outcome.lastReason {
                throw CommandError(
                    .badData,
                    "\(counted(outcome.lettersLeft, "letter")) could not be stored, the last one because: \(reason)")
            }
        }
    }

    struct Discard: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove letters for good.",
            discussion: """
                --all removes the letters that arrived since you read them, too: with --up-to and the last id that you read, those \
                stay.
                """)

        @OptionGroup var location: DatabaseArguments
        @OptionGroup var selection: Selection
        @Flag(help: "All letters.") var all = false

        func run() throws {
            guard all == selection.isEmpty else {
                throw CommandError(.usage, "which letters? Give --id, --up-to, --kind or --sqlstate, or --all")
            }
            let filter = try selection.filter()
            let connection = try location.connect(as: "spillway dead-letters", isForWriting: true)
            let count = try talking { () throws(DatabaseError) in try DeadLetterBox(connection).discard(filter) }
            try writeOutput(line: "\(counted(count, "letter", isGrouped: false)) removed")
        }
    }
}

extension DeadLetterGroup {
    fileprivate var json: String {
        var object = JSONObject()
        object.add("kind", kind)
        object.add("sqlstate", sqlstate)
        object.add("reason", reason)
        object.add("letters", letters)
        object.add("records", records)
        object.add("first", first)
        object.add("last", last)
        object.add("last_id", lastID)
        return object.text
    }
}

extension StoredDeadLetter {
    /// The letter's records as JSON lines; nil where they, or some of them, cannot be read: a frame that is malformed, or of a kind
    /// that only a later version knows.
    fileprivate var recordLines: [String]? {
        var printer = RecordLinePrinter()
        var decoder = FrameDecoder()
        let printed: Bool = frame.withUnsafeBytes { bytes in
            do throws(FrameError) {
                let header = try FrameHeader.read(bytes.bytes)
                try printer.print(bytes.bytes.extracting(first: header.frameLength), header: header, using: &decoder)
                return true
            } catch {
                return false
            }
        }
        guard printed else { return nil }
        let lines = printer.withBytes { bytes in
            textLines(bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }).filter { !$0.isEmpty }.map(
                String.init)
        }
        guard let recordIndex, let kind else {
            return printer.skippedCount == 0 && !lines.isEmpty ? lines : nil
        }
        let ofKind = lines.filter { $0.hasPrefix("{\"kind\":\"\(kind)\"") }
        return recordIndex < ofKind.count ? [ofKind[recordIndex]] : nil
    }

    fileprivate func json(_ lines: [String]?) -> String {
        var object = JSONObject()
        object.add("id", id)
        object.add("at", at)
        object.add("kind", kind)
        object.add("source", hexadecimal(source))
        object.add("sqlstate", sqlstate)
        object.add("reason", reason)
        if let lines, lines.count == 1 {
            object.add("record", raw: lines[0])
        } else {
            object.add("records", UInt64(records))
            object.add("frame", frame.map { hexadecimal(UInt64($0), digits: 2) }.joined())
        }
        return object.text
    }
}
