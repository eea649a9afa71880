// Streams in, frames in the ring: the server socket of one TCP address.

import Accounting
import Delivery
import FrameCodec
import FrameRing
import LinuxSystem
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Accepts connections on one address.
package final class TCPListener: Sendable {
    package struct Configuration: Sendable {
        package var address: ListenAddress
        /// Connections in all. What comes beyond it is closed at once and counted.
        package var connectionsMax = 1_024
        /// Connections from one address.
        package var connectionsPerAddressMax = 256
        /// A frame that has begun must be whole within this time.
        package var frameDeadline = TimeAmount.seconds(30)
        /// A connection on which nothing comes for this time is closed.
        package var idleDeadline = TimeAmount.minutes(10)
        /// How long a receipt waits for what the connection brought to become durable.
        package var receiptDeadline = TimeAmount.seconds(60)
        /// The kernel's receive buffer of a connection: bounds, with a frame and a read, what it can hold here.
        package var receiveBufferBytes = 1 << 20
        /// Listen beyond loopback although anybody who reaches the port can send.
        package var allowUnauthenticated = false
        /// How long `stop()` waits for what is on its way.
        package var drainMilliseconds = 5_000

        package init(address: ListenAddress) {
            self.address = address
        }
    }

    /// What is read from a connection at once, in bytes.
    static let readBytesMax = 64 << 10
    private static let backlogMax: Int32 = 1_024

    /// With the actual port.
    package let localAddress: ListenAddress
    private let isStopped = Atomic<Bool>(false)
    private let shared: ConnectionContext
    private let channel: any Channel
    /// The group to shut down with the listener, if it is the listener's own.
    private let ownGroup: MultiThreadedEventLoopGroup?

    private init(
        _ localAddress: ListenAddress, _ shared: ConnectionContext, _ channel: any Channel,
        _ ownGroup: MultiThreadedEventLoopGroup?
    ) {
        self.localAddress = localAddress
        self.shared = shared
        self.channel = channel
        self.ownGroup = ownGroup
    }

    /// Opens the socket and starts to accept.
    ///
    /// - Parameters:
    ///   - ring: its claims have room for a frame and a read: 8 MiB at least.
    ///   - registry: knows which frames came already, and notifies connections of durable ones.
    ///   - acceptFailed: gets the error's number when a connection waits because no descriptor is free.
    ///   - group: threads for the connections; without it the listener makes one of its own.
    package static func start(
        _ configuration: Configuration, ring: FrameRing, accounting: Accounting, registry: SessionRegistry,
        logger: Logger,
        group: MultiThreadedEventLoopGroup? = nil,
        acceptFailed: @escaping @Sendable (CInt) -> Void = { _ in }
    ) async throws(ListenerError) -> TCPListener {
        // A read holds as many frames as headers fit in it, and each takes a few bytes more in the ring.
        try ListenerError.check(
            configuration.address, allowUnauthenticated: configuration.allowUnauthenticated, ring: ring,
            frameBytesMax: FrameLimits.frameBytesMax + 2 * readBytesMax)
        let shared = ConnectionContext(
            configuration: configuration, ring: ring, accounting: accounting, log: RefusalLog(logger),
            registry: registry,
            table: ConnectionTable(
                limits: ConnectionTable.Limits(
                    connectionsMax: configuration.connectionsMax,
                    connectionsPerAddressMax: configuration.connectionsPerAddressMax)))
        let ownGroup = group == nil ? MultiThreadedEventLoopGroup(numberOfThreads: 1) : nil
        do {
            guard let loops = group ?? ownGroup else { preconditionFailure("one of the two is there") }
            let address = try SocketAddress(
                ipAddress: "\(configuration.address.ip)", port: Int(configuration.address.port))
            let channel = try await bootstrap(shared, group: loops, acceptFailed).bind(to: address).get()
            let port = UInt16(clamping: channel.localAddress?.port ?? 0)
            return TCPListener(
                ListenAddress(ip: configuration.address.ip, port: port), shared, channel, ownGroup)
        } catch {
            await shutDown(ownGroup, logger: logger)
            if let error = error as? IOError {
                throw ListenerError(call: "bind", code: error.errnoCode, address: configuration.address)
            }
            throw .other(configuration.address, "\(error)")
        }
    }

    private static func bootstrap(
        _ shared: ConnectionContext, group: MultiThreadedEventLoopGroup,
        _ acceptFailed: @escaping @Sendable (CInt) -> Void
    ) -> ServerBootstrap {
        let receiveBufferBytes = SocketOptionValue(Int32(clamping: shared.configuration.receiveBufferBytes))
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try AcceptPause.add(to: channel, onFailure: acceptFailed) }
            }
            .serverChannelOption(.backlog, value: backlogMax)
            // A restart must not wait for the connections of the run before; a port in use is still an error.
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.socketOption(.so_rcvbuf), value: receiveBufferBytes)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: readBytesMax))
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ConnectionHandler(shared, eventLoop: channel.eventLoop))
                }
            }
        if shared.configuration.address.ip.isIPv6 {
            let ipv6Only = ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only)
            bootstrap = bootstrap.serverChannelOption(ipv6Only, value: 1)
        }
        return bootstrap
    }

    /// The open connections.
    package var connectionCount: Int { shared.table.count }

    /// Stops at once: `quiesce` and `finish`.
    package func stop() async {
        await quiesce()
        await finish()
    }

    /// Accepts no more, and takes what is on its way into the ring. The connections stay, so that what they brought can
    /// be acknowledged. Returns after `drainMilliseconds` at most and a moment; frames that the ring had no room for until
    /// then are counted as dropped. A second call does nothing.
    package func quiesce() async {
        // Relaxed: the exchange itself decides, nothing else is handed on.
        guard !isStopped.exchange(true, ordering: .relaxed) else { return }
        do {
            try await channel.close()
        } catch {
            // Closed already, with its event loop.
        }
        let milliseconds = UInt64(max(0, shared.configuration.drainMilliseconds))
        let deadline = monotonicNanoseconds() &+ milliseconds &* 1_000_000
        shared.table.close()
        while shared.table.busyCount > 0, monotonicNanoseconds() < deadline &+ Self.stopGraceNanoseconds {
            shared.table.forEach { $0.stop(deadlineNanoseconds: deadline) }
            await Self.pause()
        }
    }

    /// Closes the connections, after what is to be acknowledged. A second call does nothing.
    package func finish() async {
        let deadline = monotonicNanoseconds() &+ Self.finishNanoseconds
        shared.table.forEach { $0.finish() }
        while shared.table.count > 0, monotonicNanoseconds() < deadline { await Self.pause() }
        await Self.shutDown(ownGroup, logger: nil)
    }

    private static func pause() async {
        do {
            try await Task.sleep(for: .milliseconds(5))
        } catch {
            // Cancelled: the deadlines still hold, and they are short.
            await Task.yield()
        }
    }

    /// For the peers to read their last replies and close.
    private static let finishNanoseconds: UInt64 = 2_500_000_000
    /// For the connections to act on the deadline.
    private static let stopGraceNanoseconds: UInt64 = 500_000_000

    private static func shutDown(_ group: MultiThreadedEventLoopGroup?, logger: Logger?) async {
        guard let group else { return }
        do {
            try await group.shutdownGracefully()
        } catch {
            logger?.warning("cannot stop the threads of a TCP listener: \(error)")
        }
    }
}

typealias SocketOptionValue = ChannelOptions.Types.SocketOption.Value

extension TCPListener.Configuration {
    /// How often deadlines are looked at: often enough that an eighth of the shortest is the error.
    var tickPeriod: TimeAmount {
        let shortest = min(frameDeadline, idleDeadline).nanoseconds / 8
        return .nanoseconds(min(max(shortest, 5_000_000), 1_000_000_000))
    }
}

extension TimeAmount {
    var unsignedNanoseconds: UInt64 { UInt64(max(0, nanoseconds)) }
}
