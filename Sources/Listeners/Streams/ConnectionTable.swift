// The open connections of one TCP listener: their caps, and the way to them.
//
// Limits: `connectionsMax` in all, `connectionsPerAddressMax` from one address.

import Accounting
import LinuxSystem
import NIOCore
import Synchronization

/// Who is connected. Safe from any thread.
final class ConnectionTable: Sendable {
    struct Limits: Sendable {
        let connectionsMax: Int
        let connectionsPerAddressMax: Int
    }

    private struct State {
        var byAddress: [IPAddress: Int] = [:]
        var handlers: [UInt64: NIOLoopBound<ConnectionHandler>] = [:]
        /// Those that were asked to stop and have handed over all that came.
        var quiet: Set<UInt64> = []
        var isClosed = false
    }

    private let limits: Limits
    private let state = Mutex(State())

    init(limits: Limits) {
        self.limits = limits
    }

    /// Takes a connection in.
    ///
    /// - Parameter number: see `SessionRegistry.openConnection`.
    func admit(
        _ number: UInt64, _ handler: NIOLoopBound<ConnectionHandler>, from address: IPAddress
    ) throws(ConnectionNotAdmitted) {
        let result: Result<Void, ConnectionNotAdmitted> = state.withLock { state in
            guard !state.isClosed else { return .failure(ConnectionNotAdmitted(reason: .stopping)) }
            guard state.handlers.count < limits.connectionsMax else {
                return .failure(ConnectionNotAdmitted(reason: .tooManyConnections))
            }
            let fromAddress = state.byAddress[address, default: 0]
            guard fromAddress < limits.connectionsPerAddressMax else {
                return .failure(ConnectionNotAdmitted(reason: .tooManyFromAddress))
            }
            state.byAddress[address] = fromAddress + 1
            state.handlers[number] = handler
            return .success(())
        }
        try result.get()
    }

    /// Takes no more in: one that is accepted at this moment would hand frames over that nobody takes.
    func close() { state.withLock { $0.isClosed = true } }

    /// Forgets a connection that is closed and whose frames are all handed over.
    func remove(_ number: UInt64, from address: IPAddress) {
        state.withLock { state in
            guard state.handlers.removeValue(forKey: number) != nil else { return }
            state.quiet.remove(number)
            let fromAddress = state.byAddress[address, default: 1] - 1
            state.byAddress[address] = fromAddress > 0 ? fromAddress : nil
        }
    }

    /// A connection has handed over all that came before the stop.
    func becameQuiet(_ number: UInt64) {
        state.withLock { if $0.handlers[number] != nil { $0.quiet.insert(number) } }
    }

    var count: Int { state.withLock { $0.handlers.count } }
    /// Connections that may still hand frames over.
    var busyCount: Int { state.withLock { $0.handlers.count - $0.quiet.count } }

    /// Runs `body` for each connection that is there now, on its own event loop.
    func forEach(_ body: @escaping @Sendable (ConnectionHandler) -> Void) {
        let handlers = state.withLock { Array($0.handlers.values) }
        for handler in handlers {
            handler.eventLoop.execute { body(handler.value) }
        }
    }
}

/// There are as many connections as may be, or the collector stops.
struct ConnectionNotAdmitted: Error {
    let reason: ConnectionRefusal
}
