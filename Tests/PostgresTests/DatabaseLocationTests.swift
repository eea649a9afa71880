import TestSupport
import Testing

@testable import Postgres

@Suite struct DatabaseLocationTests {
    @Test(arguments: [
        ("postgresql://u:geheim@db.example:6000/m?sslmode=require", "postgresql://u:***@db.example:6000/m"),
        ("postgresql://u@[::1]/m", "postgresql://u@[::1]:5432/m"),
        ("host=/run/x port=7 user=u dbname=m password=geheim", "postgresql://u:***@/m?host=/run/x&port=7"),
        ("postgresql://u:a%40b@h/m", "postgresql://u:***@h:5432/m"),
    ])
    func descriptionMasksThePassword(text: String, expected: String) throws {
        let location = try DatabaseLocation(text)
        #expect(location.description == expected)
        var dumped = ""
        dump(location, to: &dumped)
        #expect(!dumped.contains("geheim") && !String(reflecting: location).contains("geheim"))
    }

    @Test(arguments: [
        "postgresql://u:gehe@im@h/m", "postgresql://u:gehe/im@h/m", "postgresql://u@h/m?passwort=geheim",
        "password='geheim", "geheim", "host=h geheim", "postgresql://u:p@h:99999/m", "postgresql://u:geheim@[::1/m",
    ])
    func unreadableTextIsRefusedWithoutShowingIt(text: String) throws {
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseLocation(text) }
        guard case .invalidLocation = error.kind else {
            Issue.record("\(error.kind)")
            return
        }
        #expect(!error.description.contains("geh") && !error.description.contains("\n"))
        #expect(error.description.contains("postgresql://USER@HOST:PORT/DATABASE"))
    }

    @Test func anEnvironmentWithoutSettingsNamesNoDatabase() throws {
        #expect(try DatabaseLocation.fromEnvironment(["HOME": "/", "TIMESCALEDB_COMMUNITY_URL": "x"]) == nil)
        #expect(try DatabaseLocation.fromEnvironment(["TIMESCALEDB_HOST": ""]) == nil)
    }

    @Test func timescaleVariablesFillUpWithTheirDefaults() throws {
        let location = try DatabaseLocation.fromEnvironment(["TIMESCALEDB_PASSWORD": "geheim"])
        #expect(location?.description == "postgresql://postgres:***@localhost:5432/capibara6_metrics")
        let named = try DatabaseLocation.fromEnvironment([
            "TIMESCALEDB_HOST": "h", "TIMESCALEDB_PORT": "1", "TIMESCALEDB_DATABASE": "d", "TIMESCALEDB_USERNAME": "u",
            "PGHOST": "other", "PGHOSTADDR": "10.0.0.1",
        ])
        #expect(named?.description == "postgresql://u@h:1/d")
    }

    @Test func libpqVariablesAreLeftToLibpq() throws {
        // What PGHOST says is not repeated: the description shows libpq's default in this process, which has no PGHOST.
        let location = try #require(try DatabaseLocation.fromEnvironment(["PGHOST": "h"]))
        #expect(location.database == "capibara6_metrics")
        let service = try #require(try DatabaseLocation.fromEnvironment(["PGSERVICE": "s"]))
        #expect(service.database != "capibara6_metrics")
    }

    @Test(arguments: ["54x", "0", "1,2x", "5432,"]) func aBadPortInTheEnvironmentIsRefused(port: String) throws {
        let error = try databaseError { () throws(DatabaseError) in
            _ = try DatabaseLocation.fromEnvironment(["TIMESCALEDB_PORT": port])
        }
        #expect(error.description.contains("TIMESCALEDB_PORT"))
    }

    @Test func theEnvironmentMayNameSeveralServers() throws {
        let location = try DatabaseLocation.fromEnvironment([
            "TIMESCALEDB_HOST": "a,b", "TIMESCALEDB_PORT": "1,2", "TIMESCALEDB_DATABASE": "d",
            "TIMESCALEDB_USERNAME": "u",
        ])
        #expect(location?.description == "postgresql://u@a,b/d?port=1,2")
    }
}
