// One GET over a socket: all that `stats` needs of HTTP.

import Glibc
import LinuxSystem
import SpillwayClient

/// A GET request to a collector's HTTP address.
struct HTTPRequest {
    let host: String
    let port: UInt16

    static let portDefault: UInt16 = 8_128
    private static let timeoutMilliseconds: Int32 = 5_000
    private static let responseBytesMax = 67_108_864

    /// - Parameter address: `ADDR:PORT`, `[IPV6]:PORT`, either without a port, a port alone, or a URL of these.
    init(address: String) throws(CommandError) {
        func invalid(_ reason: String) -> CommandError { CommandError(.usage, "--http \(address): \(reason)") }
        guard !address.hasPrefix("https://") else {
            throw invalid("a collector does not speak TLS there: write http://")
        }
        var place = Substring(address)
        if place.hasPrefix("http://") {
            place = place.dropFirst("http://".count)
            if let slash = place.firstIndex(of: "/") { place = place[..<slash] }
        }
        if place.hasPrefix(":") { place = place.dropFirst() }
        if !place.isEmpty, place.allSatisfy({ $0.isASCII && $0.isNumber }) {
            guard let number = UInt16(place), number > 0 else { throw invalid("a port is from 1 to 65535") }
            (host, port) = ("127.0.0.1", number)
            return
        }
        guard let parts = CollectorAddress.hostAndPort(place, portDefault: Self.portDefault) else {
            throw invalid("expected ADDR:PORT, for example 127.0.0.1:8128")
        }
        (host, port) = parts
    }

    private var authority: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

    /// The body of the response to `GET path`.
    ///
    /// - Throws: exit code 69 when there is no collector, or when it answers anything but 200.
    func get(_ path: String) throws(CommandError) -> [UInt8] {
        let response: [UInt8]
        do throws(ClientError) {
            response = try exchange("GET \(path) HTTP/1.1\r\nHost: \(authority)\r\nConnection: close\r\n\r\n")
        } catch {
            throw unavailable("\(error)")
        }
        guard let end = Self.headEnd(response) else { throw unavailable("the answer is not HTTP") }
        let lines = textLines(String(decoding: response[..<end], as: UTF8.self))
        let status = lines.first?.split(separator: " ") ?? []
        guard status.count >= 2, status[0].hasPrefix("HTTP/1.") else { throw unavailable("the answer is not HTTP") }
        guard status[1] == "200" else { throw unavailable("it answers \(status.dropFirst().joined(separator: " "))") }
        let body = Array(response[(end + 4)...])
        let isChunked = lines.contains { $0.lowercased().replacing(" ", with: "") == "transfer-encoding:chunked" }
        guard let whole = isChunked ? Self.unchunked(body) : body else { throw unavailable("its answer is cut off") }
        return whole
    }

    private func unavailable(_ reason: String) -> CommandError {
        CommandError(
            .unavailable,
            "no statistics from http://\(authority): \(reason); is a collector running there?"
        )
    }

    private func exchange(_ request: String) throws(ClientError) -> [UInt8] {
        let address = CollectorAddress(transport: .tcp, host: host, port: port)
        let socket = try Socket.connected(to: address, timeoutMilliseconds: Self.timeoutMilliseconds)
        do throws(SystemCallError) {
            // A request of a few hundred bytes fits into every socket's buffer at once.
            let bytes = Array(request.utf8)
            try checkedCall("send", object: authority) {
                Glibc.send(socket.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            }
            var response: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while response.count <= Self.responseBytesMax {
                let events = try socket.wait(for: POLLIN, timeoutMilliseconds: Self.timeoutMilliseconds)
                guard events != 0 else { throw SystemCallError(call: "recv", code: ETIMEDOUT, object: authority) }
                let received = try systemCall("recv", object: authority) {
                    chunk.withUnsafeMutableBytes { recv(socket.descriptor, $0.baseAddress, $0.count, 0) }
                }
                guard case .value(let count) = received else { continue }
                if count == 0 { break }
                response += chunk[..<count]
            }
            return response
        } catch {
            throw .system(error)
        }
    }

    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return (0...bytes.count - 4).first { bytes[$0..<$0 + 4].elementsEqual([13, 10, 13, 10]) }
    }

    /// The content of chunks, or nil when they are not whole.
    private static func unchunked(_ bytes: [UInt8]) -> [UInt8]? {
        var content: [UInt8] = []
        var rest = bytes[...]
        while let lineEnd = rest.firstIndex(of: 10) {
            let digits = String(decoding: rest[..<lineEnd], as: UTF8.self).prefix { $0.isHexDigit }
            guard let size = Int(digits, radix: 16), size <= responseBytesMax else { return nil }
            if size == 0 { return content }
            rest = rest[(lineEnd + 1)...]
            guard rest.count >= size + 2 else { return nil }
            content += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        return nil
    }
}
