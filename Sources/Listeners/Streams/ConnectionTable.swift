// The open connections of one TCP listener: their numbers, their caps, and the way to them.
//
// Limits: `connectionsMax` in all, `connectionsPerAddressMax` from one address.

import NIOCore
import Synchronization

/// Who is connected. Safe from any thread.
final class ConnectionTable: Sendable {
    struct Limits: Sendable {
        let connectionsMax: Int
        let connectionsPerAddressMax: Int
    }

    private struct State {
        var lastNumber: UInt64 = 0
        var byAddress: [IPAddress: Int] = [:]
        var handlers: [UInt64: NIOLoopBound<ConnectionHandler>] = [:]
    }

    private let limits: Limits
    private let state = Mutex(State())

    init(limits: Limits) {
        self.limits = limits
    }

    /// Takes a connection in and numbers it, from 1; a number is never used twice.
    func admit(
        _ handler: NIOLoopBound<ConnectionHandler>, from address: IPAddress
    ) throws(ConnectionCapReached) -> UInt64 {
        let result: Result<UInt64, ConnectionCapReached> = state.withLock { state in
            guard state.handlers.count < limits.connectionsMax else {
                return .failure(ConnectionCapReached(reason: .tooManyConnections))
            }
            let fromAddress = state.byAddress[address, default: 0]
            guard fromAddress < limits.connectionsPerAddressMax else {
                return .failure(ConnectionCapReached(reason: .tooManyFromAddress))
            }
            state.lastNumber += 1
            state.byAddress[address] = fromAddress + 1
            state.handlers[state.lastNumber] = handler
            return .success(state.lastNumber)
        }
        return try result.get()
    }

    /// Forgets a connection that is closed and whose frames are all handed over.
    func remove(_ number: UInt64, from address: IPAddress) {
        state.withLock { state in
            guard state.handlers.removeValue(forKey: number) != nil else { return }
            let fromAddress = state.byAddress[address, default: 1] - 1
            state.byAddress[address] = fromAddress > 0 ? fromAddress : nil
        }
    }

    var count: Int { state.withLock { $0.handlers.count } }

    /// Runs `body` for each connection that is there now, on its own event loop.
    func forEach(_ body: @escaping @Sendable (ConnectionHandler) -> Void) {
        let handlers = state.withLock { Array($0.handlers.values) }
        for handler in handlers {
            handler.eventLoop.execute { body(handler.value) }
        }
    }
}

/// There are as many connections as may be.
struct ConnectionCapReached: Error {
    let reason: ConnectionRefusal
}
