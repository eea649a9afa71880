// Datagrams in, frames in the ring: the sockets and threads of one UDP address.

import Accounting
import FrameCodec
import FrameRing
import LinuxSystem
import Logging
import Synchronization

/// Receives datagrams on one address, with one thread for each socket.
package final class UDPListener: Sendable {
    /// Sockets on one port: more than processors help nobody.
    package static let socketsMax = 64

    package struct Configuration: Sendable {
        package var address: ListenAddress
        /// Sockets that share the port, with a thread each. The kernel gives all datagrams of one sender's port to the
        /// same socket, so more than one helps only against many senders.
        package var sockets = 1
        /// For each socket. The kernel may grant less; that is logged with what to do.
        package var receiveBufferBytes = 8 << 20
        /// Listen beyond loopback although anybody who reaches the port can send.
        package var allowUnauthenticated = false
        /// How long `stop()` reads what the kernel still holds.
        package var drainMilliseconds = 1_000

        package init(address: ListenAddress) {
            self.address = address
        }
    }

    /// With the actual port.
    package let localAddress: ListenAddress
    /// What the kernel granted each socket.
    package let receiveBufferBytes: Int
    private let stopping: StopSignal
    private let threads: Mutex<[NamedThread]>

    /// Opens the sockets and starts to receive.
    ///
    /// - Parameter ring: its claims have room for a datagram: 512 KiB at least.
    package init(
        _ configuration: Configuration, ring: FrameRing, accounting: Accounting, logger: Logger
    ) throws(ListenerError) {
        precondition(
            configuration.sockets > 0 && configuration.sockets <= Self.socketsMax, "a listener has 1 to 64 sockets")
        try ListenerError.check(
            configuration.address, allowUnauthenticated: configuration.allowUnauthenticated, ring: ring,
            frameBytesMax: DatagramBatch.datagramBytesMax)
        let sharesPort = configuration.sockets > 1
        if sharesPort { try Self.probe(configuration.address) }

        var address = configuration.address
        var started: [NamedThread] = []
        var grantedBytes = Int.max
        do throws(SystemCallError) {
            stopping = try StopSignal()
        } catch {
            throw .system(error)
        }
        let context = UDPReceiverContext(
            ring: ring, accounting: accounting, log: RefusalLog(logger), stopping: stopping,
            drainNanoseconds: UInt64(max(0, configuration.drainMilliseconds)) * 1_000_000)
        do throws(ListenerError) {
            for index in 0..<configuration.sockets {
                let socket = try UDPSocket(
                    address: address, sharesPort: sharesPort, receiveBufferBytes: configuration.receiveBufferBytes)
                // The first socket settles the port for the others.
                address = socket.localAddress
                grantedBytes = min(grantedBytes, socket.receiveBufferBytes)
                started.append(try Self.start(socket, name: "udp-receive-\(index)", context: context))
            }
        } catch {
            stopping.set()
            for thread in started { thread.join() }
            throw error
        }
        localAddress = address
        receiveBufferBytes = grantedBytes
        threads = Mutex(started)
        if grantedBytes < configuration.receiveBufferBytes {
            logger.warning(
                """
                \(address): asked for a receive buffer of \(configuration.receiveBufferBytes) bytes, granted \
                \(grantedBytes): bursts will be dropped sooner; raise it with \
                `sysctl -w net.core.rmem_max=\(configuration.receiveBufferBytes)`
                """)
        }
    }

    /// Fails if anybody has the port already. Sockets that share a port would otherwise share it with those of another
    /// collector, and each would get a part of the datagrams.
    private static func probe(_ address: ListenAddress) throws(ListenerError) {
        _ = try UDPSocket(address: address, sharesPort: false, receiveBufferBytes: 0)
    }

    /// Carries a receiver, which cannot be copied, into its thread's closure, which could be called twice.
    private final class Handover: Sendable {
        private let receiver: Mutex<UDPReceiver?>

        init(_ receiver: consuming UDPReceiver) { self.receiver = Mutex(receiver) }

        func take() -> UDPReceiver? { receiver.withLock { $0.take() } }
    }

    private static func start(
        _ socket: consuming UDPSocket, name: String, context: UDPReceiverContext
    ) throws(ListenerError) -> NamedThread {
        do throws(SystemCallError) {
            let handover = Handover(try UDPReceiver(socket: socket, context: context))
            return try NamedThread(name: name) {
                guard var receiver = handover.take() else { preconditionFailure("a receiver has one thread") }
                receiver.run()
            }
        } catch {
            throw .system(error)
        }
    }

    /// Stops: what the kernel holds is received, what arrives from now on is counted as dropped, and the sockets are
    /// closed. Returns when all is in the ring. Blocks for `drainMilliseconds` at most; a second call does nothing.
    package func stop() {
        stopping.set()
        let running = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in running { thread.join() }
    }

    deinit { stop() }
}
