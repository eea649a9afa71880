// What a server socket does when no descriptor is free for the next connection: the connection waits in the kernel, and the
// thread does not spin. The socket stays readable all the time, so without a pause its event loop would try again at once,
// without end. NIO's own `AcceptBackoffHandler` puts off the next read alone, and the one that failed stays pending.

import Glibc
import NIOCore

/// A handler for the pipeline of a server socket.
package enum AcceptPause {
    /// Before the next attempt.
    private static let pause = TimeAmount.milliseconds(200)
    /// Of the process, the machine or the network stack: they pass when something is closed.
    private static let exhaustion: Set<CInt> = [EMFILE, ENFILE, ENOBUFS, ENOMEM]

    /// Adds it.
    ///
    /// - Parameter onFailure: called on the event loop with the error's number, after each attempt that found nothing free.
    package static func add(to channel: any Channel, onFailure: @escaping @Sendable (CInt) -> Void) throws {
        try channel.pipeline.syncOperations.addHandler(Handler(onFailure))
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = any Channel
        private let onFailure: @Sendable (CInt) -> Void
        private var isPausing = false

        init(_ onFailure: @escaping @Sendable (CInt) -> Void) { self.onFailure = onFailure }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            guard let error = error as? IOError, exhaustion.contains(error.errnoCode) else {
                return context.fireErrorCaught(error)
            }
            onFailure(error.errnoCode)
            guard !isPausing else { return }
            isPausing = true
            setReading(false, context.channel)
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            let channel = context.channel
            context.eventLoop.scheduleTask(in: pause) {
                bound.value.isPausing = false
                bound.value.setReading(true, channel)
            }
        }

        /// Takes the socket out of the event loop's poll, or puts it back.
        private func setReading(_ isReading: Bool, _ channel: any Channel) {
            // Fails on a channel that is closed, which reads nothing more.
            channel.setOption(.autoRead, value: isReading).whenFailure { _ in }
        }
    }
}
