// When a client's datagram socket is replaced. A connected socket keeps the source address that it was given, and fails for ever once
// the host has lost that address; and the collector's name may get another address.
//
// Limits: one look-up at a time, on a thread of its own, as no name server may keep the flushing thread; one replacement a second
// after errors, and one a minute without.

import LinuxSystem

/// Of one client over UDP. Used by the flushing thread.
struct AddressRefresh {
    /// When `advance` is to be called, at the latest.
    private(set) var nextNanoseconds: UInt64

    private let address: CollectorAddress
    private let resolver: HostResolver
    private var lookup: NameLookup?
    private var lastNanoseconds: UInt64

    private static let periodNanoseconds: UInt64 = 60_000_000_000
    private static let retryNanoseconds: UInt64 = 1_000_000_000
    private static let lookupNanoseconds: UInt64 = 50_000_000

    /// - Parameter isNeeded: there is no socket yet.
    init(of address: CollectorAddress, by resolver: @escaping HostResolver, isNeeded: Bool) {
        self.address = address
        self.resolver = resolver
        lastNanoseconds = monotonicNanoseconds()
        // Over TCP each connection resolves the name by itself.
        nextNanoseconds =
            address.transport == .udp
            ? lastNanoseconds &+ (isNeeded ? Self.retryNanoseconds : Self.periodNanoseconds) : .max
    }

    mutating func advance(_ buffer: RecordBuffer, nowNanoseconds now: UInt64) {
        guard address.transport == .udp else { return }
        if lookup == nil {
            let pause = buffer.needsReopening ? Self.retryNanoseconds : Self.periodNanoseconds
            guard now >= lastNanoseconds &+ pause else {
                nextNanoseconds = lastNanoseconds &+ pause
                return
            }
            lastNanoseconds = now
            if let numeric = HostAddress.numeric(address) { return finish(buffer, .success(numeric)) }
            do throws(SystemCallError) {
                lookup = try NameLookup(of: address, by: resolver)
            } catch {
                return finish(buffer, .failure(.system(error)))
            }
        }
        guard let result = lookup?.result(waitMilliseconds: 0) else {
            nextNanoseconds = now &+ Self.lookupNanoseconds
            return
        }
        finish(buffer, result)
    }

    private mutating func finish(_ buffer: RecordBuffer, _ result: Result<[HostAddress], ClientError>) {
        lookup = nil
        buffer.reopen(result)
        nextNanoseconds = lastNanoseconds &+ (buffer.needsReopening ? Self.retryNanoseconds : Self.periodNanoseconds)
    }
}
