// TLS to a server with certificates of the test's own: what works, and what is refused with which words.

import Foundation
import TestSupport
import Testing

@testable import Postgres

@Suite(.serialized) struct TLSTests {
    /// One server for all tests: it takes nothing but TLS, and user `certified` with a client certificate alone.
    private struct Setting {
        let server: HostPostgres
        let authority: TestAuthority
        let stranger: TestAuthority
        let expired: (certificate: String, key: String)
        let valid: (certificate: String, key: String)

        init() throws {
            authority = try TestAuthority("authority")
            stranger = try TestAuthority("stranger")
            valid = try authority.issue(
                "server", commonName: "server", alternativeNames: "DNS:localhost,DNS:db.example,IP:127.0.0.1")
            expired = try authority.issue(
                "expired", commonName: "server", alternativeNames: "IP:127.0.0.1", days: -1)
            server = try HostPostgres()
            try install(valid)
            try server.write(String(contentsOfFile: authority.certificate, encoding: .utf8), to: "ca.crt")
            try server.setAccessRules([
                "local all all trust", "hostssl all certified 127.0.0.1/32 cert",
                "hostssl all postgres 127.0.0.1/32 trust",
                "hostssl all scrammed 127.0.0.1/32 scram-sha-256",
            ])
            let folder = server.folder
            try server.start([
                "ssl=on", "ssl_cert_file=\(folder)/server.crt", "ssl_key_file=\(folder)/server.key",
                "ssl_ca_file=\(folder)/ca.crt",
            ])
            try DatabaseConnection(server.location()).execute(
                "CREATE ROLE certified LOGIN; CREATE ROLE scrammed LOGIN PASSWORD 'canary5'")
        }

        func install(_ pair: (certificate: String, key: String)) throws {
            try server.write(String(contentsOfFile: pair.certificate, encoding: .utf8), to: "server.crt")
            try server.write(String(contentsOfFile: pair.key, encoding: .utf8), to: "server.key")
        }
    }

    // The tests of the suite run one after the other.
    nonisolated(unsafe) private static let shared = Result { try Setting() }
    private let setting: Setting

    init() throws { setting = try Self.shared.get() }

    private func location(_ more: String, user: String = "postgres", host: String = "host=127.0.0.1") throws
        -> DatabaseLocation
    {
        try DatabaseLocation("\(host) port=\(setting.server.port) user=\(user) dbname=postgres \(more)")
    }

    private func version(_ location: DatabaseLocation) throws -> String? {
        try DatabaseConnection(location).query("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl")
            .first?[0]
    }

    private func refusal(_ location: DatabaseLocation) throws -> DatabaseError {
        let error = try databaseError { () throws(DatabaseError) in _ = try DatabaseConnection(location) }
        #expect(!error.description.contains("\n"), "\(error)")
        return error
    }

    @Test func requireEncryptsWithoutKnowingTheAuthority() throws {
        #expect(try version(location("sslmode=require")) == "TLSv1.3")
    }

    @Test(arguments: ["host=127.0.0.1", "host=localhost", "host=db.example hostaddr=127.0.0.1"])
    func verifyFullTakesTheNamesOfTheCertificate(host: String) throws {
        let rooted = "sslmode=verify-full sslrootcert=\(setting.authority.certificate)"
        #expect(try version(location(rooted, host: host)) == "TLSv1.3")
    }

    @Test(arguments: ["verify-ca", "verify-full"]) func anotherAuthorityIsRefused(mode: String) throws {
        let error = try refusal(location("sslmode=\(mode) sslrootcert=\(setting.stranger.certificate)"))
        #expect(error.description.contains("certificate verify failed"), "\(error)")
        #expect(error.description.contains("look at sslmode, sslrootcert"), "\(error)")
    }

    @Test func aNameThatTheCertificateDoesNotHaveIsRefused() throws {
        let rooted = "sslrootcert=\(setting.authority.certificate)"
        let host = "host=other.example hostaddr=127.0.0.1"
        let error = try refusal(location("sslmode=verify-full \(rooted)", host: host))
        #expect(error.description.contains("does not match host name \"other.example\""), "\(error)")
        // The name is all that was wrong.
        #expect(try version(location("sslmode=verify-ca \(rooted)", host: host)) != nil)
    }

    @Test func aMissingRootCertificateIsNamed() throws {
        let error = try refusal(location("sslmode=verify-full sslrootcert=/nowhere/root.crt"))
        #expect(error.description.contains("/nowhere/root.crt"), "\(error)")
    }

    @Test func anExpiredCertificateIsRefused() throws {
        let rooted = "sslmode=verify-full sslrootcert=\(setting.authority.certificate)"
        let owner = try DatabaseConnection(location("sslmode=require"))
        try setting.install(setting.expired)
        defer {
            #expect(throws: Never.self) {
                try setting.install(setting.valid)
                try owner.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
            }
        }
        try owner.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
        let error = try refusal(location(rooted))
        #expect(error.description.contains("certificate verify failed"), "\(error)")
        #expect(try version(location("sslmode=require")) != nil)
    }

    @Test func aServerThatWantsTLSRefusesAPlainConnection() throws {
        let error = try refusal(location("sslmode=disable"))
        #expect(error.sqlstate == .invalidAuthorization && error.description.contains("no encryption"), "\(error)")
    }

    @Test func aServerWithoutTLSIsRefusedWhereItIsRequired() throws {
        let server = try TestServers.server(.plain)
        let error = try refusal(DatabaseLocation("host=127.0.0.1 port=\(server.port) user=postgres sslmode=require"))
        #expect(error.description.contains("does not support SSL"), "\(error)")
    }

    @Test func aClientCertificateIsThePassword() throws {
        let rooted = "sslmode=verify-full sslrootcert=\(setting.authority.certificate)"
        func key(_ pair: (certificate: String, key: String)) -> String {
            "\(rooted) sslcert=\(pair.certificate) sslkey=\(pair.key)"
        }
        let own = try setting.authority.issue("client", commonName: "certified")
        #expect(try version(location(key(own), user: "certified")) == "TLSv1.3")

        let none = try refusal(location("\(rooted) sslcert=/nowhere sslkey=/nowhere", user: "certified"))
        #expect(none.description.contains("certificate"), "\(none)")
        let others = try setting.authority.issue("others", commonName: "somebody")
        #expect(try refusal(location(key(others), user: "certified")).sqlstate == .invalidAuthorization)
        let forged = try setting.stranger.issue("forged", commonName: "certified")
        let error = try refusal(location(key(forged), user: "certified"))
        #expect(error.description.contains("unknown ca"), "\(error)")
        chmod(own.key, 0o644)
        let open = try refusal(location(key(own), user: "certified"))
        #expect(open.description.contains("\(own.key)"), "\(open)")
    }

    @Test func aPasswordFileIsReadWhenOnlyItsOwnerMayAndSCRAMIsBoundToTheChannel() throws {
        let file = setting.authority.folder + "/pgpass"
        try Data("127.0.0.1:\(setting.server.port):*:scrammed:canary5\n".utf8).write(to: URL(fileURLWithPath: file))
        chmod(file, 0o600)
        let given = "sslmode=require channel_binding=require passfile=\(file)"
        #expect(try version(location(given, user: "scrammed")) == "TLSv1.3")
        chmod(file, 0o644)
        let error = try refusal(location(given, user: "scrammed"))
        #expect(
            error.description.contains("no password supplied") && error.description.contains("~/.pgpass"), "\(error)")
        #expect(!error.description.contains("canary5"))
    }
}
