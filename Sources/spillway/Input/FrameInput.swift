import FrameCodec

/// The frames of a file or of standard input.
struct FrameInput: ~Copyable {
    private var input: ByteInput

    init(_ input: consuming ByteInput) { self.input = input }

    /// Hands out the next frame, admitted.
    ///
    /// - Returns: nil after the last frame.
    /// - Throws: what `body` throws, a read that failed, bytes that are not a frame.
    mutating func next<Result>(
        _ body: (RawSpan, FrameHeader) throws(CommandError) -> Result
    ) throws(CommandError) -> Result? {
        while input.bytes.count < FrameHeader.lengthMin, try input.readMore() {}
        if input.bytes.isEmpty { return nil }
        // The header is checked before its length is believed.
        let length = try checked { (bytes) throws(FrameError) in try FrameHeader.read(bytes).frameLength }
        while input.bytes.count < length, try input.readMore() {}
        let header = try checked { (bytes) throws(FrameError) in try FrameHeader.admit(bytes) }
        let result = try body(input.bytes.bytes, header)
        input.consume(header.frameLength)
        return result
    }

    /// Waits until `next` can go on without waiting.
    ///
    /// - Parameter holdBack: what waits for the next frame.
    /// - Returns: false when that has waited long enough.
    mutating func waitForFrame(_ holdBack: HoldBack) throws(CommandError) -> Bool {
        while !input.hasEnded, try !hasFrame() {
            guard try input.waitForMore(milliseconds: holdBack.millisecondsLeft) else { return false }
            _ = try input.readMore()
        }
        return true
    }

    /// Whether a whole frame was read, or bytes that are none.
    private func hasFrame() throws(CommandError) -> Bool {
        guard input.bytes.count >= FrameHeader.lengthMin else { return false }
        return input.bytes.count
            >= (try checked { (bytes) throws(FrameError) in try FrameHeader.read(bytes).frameLength })
    }

    private func checked<Value>(_ body: (RawSpan) throws(FrameError) -> Value) throws(CommandError) -> Value {
        do throws(FrameError) {
            return try body(input.bytes.bytes)
        } catch {
            throw fault(error)
        }
    }

    /// A frame that cannot be read, and where it begins in the file.
    func fault(_ error: FrameError) -> CommandError {
        CommandError(.badData, "\(input.name): the frame at byte \(input.offset) of the file is bad: \(error)")
    }
}
