// Certificate authorities and certificates, made by the openssl command.

import Foundation
import TestSupport

@testable import Postgres

/// One authority with a folder of its own.
final class TestAuthority {
    let folder: String
    var certificate: String { folder + "/ca.crt" }

    init(_ name: String) throws {
        folder = try TestServers.folder.get() + "/\(name)-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try openssl(["req", "-x509"] + Self.newKey("ca") + ["-out", "ca.crt", "-days", "2", "-subj", "/CN=\(name)"])
    }

    /// Makes `NAME.crt` and `NAME.key`.
    ///
    /// - Parameters:
    ///   - alternativeNames: for example `DNS:localhost,IP:127.0.0.1`; without them the common name counts.
    ///   - days: negative for one that has expired.
    /// - Returns: the paths of certificate and key.
    func issue(
        _ name: String, commonName: String, alternativeNames: String? = nil, days: Int = 2
    ) throws -> (certificate: String, key: String) {
        try openssl(["req"] + Self.newKey(name) + ["-out", "\(name).csr", "-subj", "/CN=\(commonName)"])
        var arguments = [
            "x509", "-req", "-in", "\(name).csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            "\(name).crt", "-days", "\(days)",
        ]
        if let alternativeNames {
            try Data("subjectAltName=\(alternativeNames)\n".utf8).write(
                to: URL(fileURLWithPath: "\(folder)/\(name).ext"))
            arguments += ["-extfile", "\(name).ext"]
        }
        try openssl(arguments)
        // libpq refuses a key that others may read.
        chmod("\(folder)/\(name).key", 0o600)
        return ("\(folder)/\(name).crt", "\(folder)/\(name).key")
    }

    private static func newKey(_ name: String) -> [String] {
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "\(name).key"]
    }

    private func openssl(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw MissingServer(description: "openssl \(arguments) failed: \(text)")
        }
    }
}
