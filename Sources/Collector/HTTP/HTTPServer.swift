// The collector's HTTP side, on SwiftNIO: a few GETs with short answers. It reads no bodies, and holds no state of a client. It has
// an event loop of its own: with ten thousand sources an answer takes a while, and frames do not wait for it.
//
// Limits: as many connections as are given, `requestSeconds` for a request, `answerSeconds` for its answer to be taken, and
// NIO's own limits on a request's head.

import Listeners
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Serves GET requests by a closure. Safe from any thread.
final class HTTPServer: Sendable {
    /// From the connection to the end of its request, however slowly it comes.
    static let requestSeconds: Int64 = 5
    static let answerSeconds: Int64 = 30

    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel

    /// Where it listens, with the port that was chosen for 0.
    var localAddress: SocketAddress? { channel.localAddress }

    /// Binds and begins to serve.
    ///
    /// - Parameters:
    ///   - connectionsMax: at a time.
    ///   - acceptFailed: gets the error's number when a connection waits because no descriptor is free.
    ///   - respond: the answer for a path, or nil for one that does not exist. Called on the event loop: all other requests wait
    ///     for it.
    init(
        host: String, port: Int, connectionsMax: Int, acceptFailed: @escaping @Sendable (CInt) -> Void,
        respond: @escaping @Sendable (String) -> HTTPResponse?
    ) throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            channel = try Self.listen(host, port, group, connectionsMax, acceptFailed, respond)
        } catch {
            try group.syncShutdownGracefully()
            throw error
        }
    }

    private static func listen(
        _ host: String, _ port: Int, _ group: any EventLoopGroup, _ connectionsMax: Int,
        _ acceptFailed: @escaping @Sendable (CInt) -> Void,
        _ respond: @escaping @Sendable (String) -> HTTPResponse?
    ) throws -> any Channel {
        let connections = HTTPConnections(limit: connectionsMax)
        return try ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try AcceptPause.add(to: channel, onFailure: acceptFailed) }
            }
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let number = connections.admit(channel) else {
                        channel.close(promise: nil)
                        return
                    }
                    channel.closeFuture.whenComplete { _ in connections.leave(number) }
                    let operations = channel.pipeline.syncOperations
                    try operations.configureHTTPServerPipeline(withErrorHandling: true)
                    try operations.addHandler(HTTPHandler(respond: respond) { connections.isAnswering(number) })
                }
            }
            .bind(host: host, port: port).wait()
    }

    /// Stops listening, and ends the event loop. Not on an event loop: it waits.
    ///
    /// - Throws: when the event loop did not end.
    func close() throws {
        do {
            try channel.close().wait()
        } catch {
            // It was closed already, which is what is wanted.
        }
        try group.syncShutdownGracefully()
    }
}

/// Answers the requests of one connection.
private final class HTTPHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let respond: @Sendable (String) -> HTTPResponse?
    private var head: HTTPRequestHead?
    private let onRequest: () -> Void
    private var isAnswered = false
    private var deadline: Scheduled<Void>?

    /// - Parameter onRequest: called when the request is complete.
    init(respond: @escaping @Sendable (String) -> HTTPResponse?, onRequest: @escaping () -> Void) {
        self.respond = respond
        self.onRequest = onRequest
    }

    func handlerAdded(context: ChannelHandlerContext) {
        close(context.channel, after: .seconds(HTTPServer.requestSeconds))
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    private func close(_ channel: any Channel, after time: TimeAmount) {
        deadline?.cancel()
        deadline = channel.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): if !isAnswered { self.head = head }
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            isAnswered = true
            onRequest()
            close(context.channel, after: .seconds(HTTPServer.answerSeconds))
            write(answer(head), for: head, context)
        }
    }

    private func answer(_ head: HTTPRequestHead) -> HTTPResponse {
        guard head.method == .GET || head.method == .HEAD else {
            return .text("only GET is answered here\n", status: 405)
        }
        let path = String(head.uri.prefix { $0 != "?" })
        return respond(path) ?? .text("there is no \(path) here; see /healthz /readyz /stats /metrics\n", status: 404)
    }

    private func write(_ response: HTTPResponse, for request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: response.contentType)
        headers.add(name: "content-length", value: "\(response.body.utf8.count)")
        headers.add(name: "cache-control", value: "no-store")
        headers.add(name: "connection", value: "close")
        headers.add(name: "x-content-type-options", value: "nosniff")
        let head = HTTPResponseHead(
            version: request.version, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: response.body)))), promise: nil)
        }
        // One request a connection: who asks for much and reads nothing holds one answer here, not a pipeline of them.
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in bound.value.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
