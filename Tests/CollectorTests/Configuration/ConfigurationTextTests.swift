// Files as other systems write them, numbers with units, and names with a letter too many.

import Foundation
import Testing

@testable import Collector

@Suite struct ConfigurationTextTests {
    private func file(_ bytes: [UInt8]) throws -> (path: String, remove: () -> Void) {
        let url = FileManager.default.temporaryDirectory.appending(path: "spillway-\(UUID().uuidString).conf")
        try Data(bytes).write(to: url)
        return (url.path, { unlink(url.path) })
    }

    private func settings(
        _ bytes: [UInt8], flags: [Setting: [String]] = [:], environment: [String: String] = [:]
    ) throws -> CollectorSettings {
        let (path, remove) = try file(bytes)
        defer { remove() }
        return try CollectorSettings(ConfigurationResolver(flags: flags, environment: environment, filePath: path))
    }

    private func refusal(
        _ text: String = "", flags: [Setting: [String]] = [:], environment: [String: String] = [:]
    ) -> String {
        do {
            _ = try settings(Array(text.utf8), flags: flags, environment: environment)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    private static let lines = [
        "# site A", "lanes = 7", "retention = 30d", "database = discard", "system-id = \"a # b\"",
    ]

    @Test(
        arguments: [
            ("\r\n", ""), ("\n", ""), ("\r", ""), ("\r\n", "\u{FEFF}"), ("\n", "\u{FEFF}"), (" \t\r\n\r\n", ""),
            ("\n\r", ""),
        ] as [(String, String)])
    func everySettingCountsWhateverTheLineEnds(_ end: String, _ start: String) throws {
        for isEnded in [true, false] {
            let text = start + Self.lines.joined(separator: end) + (isEnded ? end : "")
            let found = try settings(Array(text.utf8))
            #expect(found.lanes == 7 && found.database == .discard && found.systemID == "a # b")
            #expect(found.report.first { $0.setting == .retention }?.values == ["30d"])
        }
    }

    @Test func theLineOfAnErrorIsThatOfTheEditor() {
        #expect(
            refusal("lanes = 2\r\n\r\nlans = 3\r\n").contains(
                ".conf:3: there is no setting 'lans'; did you mean 'lanes'?"))
        #expect(refusal("\u{FEFF}lans = 3").contains(".conf:1: there is no setting 'lans'"))
    }

    @Test func aCombiningCharacterIsNoPartOfASign() {
        // With it the sign is another character, and the line would have none.
        #expect(refusal("lanes =\u{301}7\n").contains("lanes = '\u{301}7'"))
        #expect(refusal("#\u{301}lanes = x\n") == "accepted")
    }

    /// What `${URL}` becomes where URL is not set.
    @Test func anEmptyVariableIsNotTakenForNone() throws {
        #expect(
            refusal(environment: ["SPILLWAY_DATABASE": ""])
                == "environment SPILLWAY_DATABASE is set and empty: give it a value, or unset it")
        let found = try settings(
            Array("database = discard".utf8), environment: ["SPILLWAY_LANES": "", "SPILLWAY_RETENTION": "30d"])
        #expect(found.warnings == ["environment SPILLWAY_LANES is set and empty, which counts as not set"])
    }

    @Test func otherEncodingsAreNamed() throws {
        for encoding in [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian] {
            let bytes = try #require("lanes = 7\n".data(using: encoding))
            #expect(throws: ConfigurationError.self) { try settings(Array(bytes)) }
            do { _ = try settings(Array(bytes)) } catch { #expect("\(error)".contains("UTF-16"), "\(error)") }
        }
        do { _ = try settings([0x6C, 0xFF, 0x0A]) } catch {
            #expect("\(error)".contains("not text in UTF-8"), "\(error)")
        }
    }

    @Test func anUnknownVariableIsAnErrorWithTheNearestName() {
        let typo = refusal(environment: ["SPILLWAY_LANESS": "7"])
        #expect(typo == "environment SPILLWAY_LANESS: there is no such setting; did you mean SPILLWAY_LANES?")
        #expect(refusal(environment: ["SPILLWAY_FLUSHINTERVAL": "7"]).contains("did you mean SPILLWAY_FLUSH_INTERVAL?"))
        #expect(refusal(environment: ["SPILLWAY_XYZZY": "7"]).contains("see 'spillway serve --help'"))
        #expect(refusal(environment: ["SPILLWAY_CONFIG": "/etc/x"]).contains("--config FILE"))
        #expect(
            refusal(environment: ["SPILLWAY_LANESS": "", "SPILLWAY_TIMESCALEDB_ROOT": "/x", "SPILLWAYS": "1"])
                == "accepted")
        for setting in Setting.allCases { #expect(EnvironmentNames.known.contains(setting.variable)) }
    }

    @Test func aMisspeltVariableOfTheDatabaseIsAWarning() throws {
        let found = try settings([], environment: ["TIMESCALEDB_HOST": "h", "TIMESCALEDB_USERNAM": "me"])
        #expect(found.warnings == ["environment TIMESCALEDB_USERNAM is not read; did you mean TIMESCALEDB_USERNAME?"])
        let longer = try settings([], environment: ["TIMESCALEDB_HOSTNAME": "h"])
        #expect(longer.warnings == ["environment TIMESCALEDB_HOSTNAME is not read; did you mean TIMESCALEDB_HOST?"])
        #expect(
            try settings([], environment: ["TIMESCALEDB_COMMUNITY_URL": "x", "TIMESCALEDB_HOST": "h"]).warnings.isEmpty)
    }

    @Test func sizesAndTimesTakeUnits() throws {
        let found = try settings(
            Array("spill-quota = 2GiB\nbatch-bytes = 4 MiB\nring-bytes=32M\nidle-deadline = 2h\n".utf8),
            flags: [
                .flushInterval: ["2s"], .databaseTimeout: ["1min"], .daysAhead: ["2d"], .replayShare: ["25%"],
                .receiveBuffer: ["100kB"], .shutdownDeadline: ["90"],
            ])
        #expect(found.spillQuotaBytes == 2 << 30 && found.batch.bytesMax == 4 << 20 && found.ringBytes == 32 << 20)
        #expect(found.flushMilliseconds == 2_000 && found.databaseTimeoutSeconds == 60 && found.daysAhead == 2)
        #expect(
            found.replaySharePercent == 25 && found.receiveBufferBytes == 100_000 && found.idleDeadlineSeconds == 7_200)
        #expect(found.shutdownDeadlineSeconds == 90)
    }

    @Test(
        arguments: [
            (Setting.flushInterval, "2h", "from 1ms to 1min"),
            (.flushInterval, "1M", "without a unit is in milliseconds"),
            (.databaseTimeout, "250ms", "whole seconds from 2s to 1d"), (.spillQuota, "10GB5", "from 1MiB to 1PiB"),
            (.spillQuota, "99999999999TiB", "from 1MiB to 1PiB"), (.lanes, "4MiB", "a whole number from 1 to 64"),
            (.replayShare, "120%", "from 0% to 100%"), (.daysAhead, "12h", "whole days from 1d to 366d"),
            (.ringBytes, "33000000", "a power of two, for example 16MiB or 32MiB"),
            (.batchBytes, "-1", "without a unit is in bytes"),
        ] as [(Setting, String, String)])
    func anErrorSaysRangeAndUnit(_ setting: Setting, _ value: String, _ part: String) {
        let error = refusal(flags: [setting: [value]])
        #expect(error.contains("\(setting.rawValue) = '\(value)'") && error.contains(part), "\(error)")
    }

    @Test func everyDefaultIsReadBackAsItIsShown() throws {
        let all = try settings([])
        let again = try settings(Array(all.reportText.utf8))
        #expect(again.report.map(\.values) == all.report.map(\.values))
        for quantity in [Quantity.bytes, .milliseconds, .seconds, .days, .percent, .count] {
            // A hundred years at most, which are 36,525 days.
            for value in [1, 59, 60, 1_000, 1_024, 3_600, 86_400, 1 << 20, 90_061]
            where quantity != .days || value < 36_525 {
                #expect(quantity.value(quantity.text(value)) == value, "\(quantity) \(value) \(quantity.text(value))")
            }
        }
    }

    @Test func aNameThatFitsNoRecordIsRefusedWithoutBeingRepeated() {
        let error = refusal(flags: [.systemID: [String(repeating: "n", count: 70_000)]])
        #expect(
            error.contains("it has 70000 bytes; at most 255 are allowed") && error.utf8.count < 300,
            "\(error.prefix(300))")
        #expect(refusal(flags: [.systemID: ["a\nb"]]).contains("control characters"))
        #expect(refusal(flags: [.systemID: [String(repeating: "n", count: 255)]]) == "accepted")
    }

    @Test(
        arguments: [
            ("mysql://u:canary@h/d", "it is a URL of mysql"), ("https://u:canary@h/d", "it is a URL of https"),
            ("embeded", "did you mean 'embedded'?"),
            ("embedded:data/x", "embedded:DIR needs an absolute path, for example embedded:/"),
            ("embedded:", "needs an absolute path"), ("db.example", "neither a URL nor keywords"),
        ])
    func aDatabaseThatIsNoneIsExplained(_ value: String, _ part: String) {
        let error = refusal(flags: [.database: [value]])
        #expect(error.contains(part) && error.contains("flag --database") && !error.contains("canary"), "\(error)")
    }

    @Test func anIndexNamesAKindAndAField() throws {
        let found = try settings([], flags: [.index: ["routing=query_id,rag=query_id", "system=system_id"]])
        #expect(found.indexes.map { "\($0)" } == ["routing=query_id", "rag=query_id", "system=system_id"])
        #expect(refusal(flags: [.index: ["routing=query"]]).contains("routing has no field 'query'"))
        #expect(refusal(flags: [.index: ["query_id"]]).contains("KIND=FIELD"))
        #expect(refusal(flags: [.index: ["route=query_id"]]).contains("there is no kind 'route'"))
    }
}
