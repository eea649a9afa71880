// The server's notices, on their way to a closure.

import CPostgreSQL

/// Gets the notices of one connection and passes the warnings on.
package final class NoticeForwarder {
    private let onWarning: ((ServerReport) -> Void)?
    /// All notices so far: tells a COPY that what it read was only a notice and no error.
    private(set) var count = 0
    /// The last warning of the server itself. One of a trigger or function has its place as the context.
    package var lastOwnWarning: ServerReport?

    package init(_ onWarning: ((ServerReport) -> Void)?) {
        self.onWarning = onWarning
    }

    /// The connection owns the forwarder and outlives its handle, so libpq may hold it unretained.
    package func install(on handle: OpaquePointer) {
        PQsetNoticeReceiver(
            handle,
            { context, result in
                guard let context, let result else { return }
                Unmanaged<NoticeForwarder>.fromOpaque(context).takeUnretainedValue().receive(result)
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func receive(_ result: OpaquePointer) {
        count += 1
        guard let report = ServerReport(result: result), report.severity == "WARNING" else { return }
        if report.context == nil { lastOwnWarning = report }
        onWarning?(report)
    }
}
