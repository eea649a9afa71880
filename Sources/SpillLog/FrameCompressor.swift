// LZ4 frames by liblz4: independent blocks of up to 64 KiB with checksums, so that damage in one block is found in that block.
//
// The last bytes are a block of their own, too short to shrink, which LZ4 therefore stores: the lz4 program of version 1.9.4
// reads four bytes too far where a compressed block comes last, behind one of 64 KiB. A checksum of the content would keep it
// from that as well, for a quarter of the time, and would find nothing that those of the blocks do not.

import CLZ4

/// Makes frames, and takes them apart.
struct FrameCompressor: ~Copyable {
    /// Faster than LZ4's usual: a fifth less time of the thread that spills, for 9 % more bytes. Faster still gains little:
    /// the checksums and the write remain.
    private static let level: Int32 = -4
    /// LZ4 does not shrink so few bytes, whatever they are: its matches end before them.
    private static let tailBytesMax = 12

    private let context: OpaquePointer

    init() {
        var context: OpaquePointer?
        let result = LZ4F_createCompressionContext(&context, UInt32(LZ4F_VERSION))
        guard LZ4F_isError(result) == 0, let context else { preconditionFailure("no memory for compressing") }
        self.context = context
    }

    deinit { LZ4F_freeCompressionContext(context) }

    private static func preferences(contentBytes: Int) -> LZ4F_preferences_t {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.blockSizeID = LZ4F_max64KB
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled
        preferences.frameInfo.contentSize = UInt64(contentBytes)
        preferences.compressionLevel = level
        preferences.autoFlush = 1
        return preferences
    }

    /// The most bytes that a frame of so many can need.
    static func bound(contentBytes: Int) -> Int {
        var preferences = preferences(contentBytes: contentBytes)
        return LZ4F_compressFrameBound(contentBytes, &preferences) + LZ4F_compressBound(tailBytesMax, &preferences)
    }

    /// - Parameter target: at least `bound` bytes.
    /// - Returns: the frame's bytes.
    func compress(_ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int {
        var preferences = Self.preferences(contentBytes: bytes.count)
        var count = 0
        /// What a call made of its room, which is behind what those before it made.
        func put(_ call: (UnsafeMutableRawPointer?, Int) -> Int) {
            let result = call(target.baseAddress.map { $0 + count }, target.count - count)
            precondition(LZ4F_isError(result) == 0, "the target has the bound's size, so nothing can fail")
            count += result
        }
        let bodyBytes = bytes.count - min(bytes.count, Self.tailBytesMax)
        put { LZ4F_compressBegin(context, $0, $1, &preferences) }
        put { LZ4F_compressUpdate(context, $0, $1, bytes.baseAddress, bodyBytes, nil) }
        put {
            LZ4F_compressUpdate(context, $0, $1, bytes.baseAddress.map { $0 + bodyBytes }, bytes.count - bodyBytes, nil)
        }
        put { LZ4F_compressEnd(context, $0, $1, nil) }
        return count
    }

    /// Decompresses one frame that must give exactly the target's size.
    ///
    /// - Returns: nil, or what is wrong with it.
    static func decompress(_ frame: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> String? {
        let (consumed, reason) = decompressPrefix(frame, into: target)
        guard let consumed else { return reason }
        guard consumed == frame.count else { return "the LZ4 frame has \(consumed) bytes of \(frame.count)" }
        return nil
    }

    /// What the header of an LZ4 frame says of its content's size; nil where it says nothing or is none. Informational: hold it
    /// against a limit before anything is allocated.
    static func contentBytes(_ header: UnsafeRawBufferPointer) -> Int? {
        var context: OpaquePointer?
        guard LZ4F_isError(LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))) == 0 else { return nil }
        defer { LZ4F_freeDecompressionContext(context) }
        var info = LZ4F_frameInfo_t()
        var headerBytes = header.count
        guard LZ4F_isError(LZ4F_getFrameInfo(context, &info, header.baseAddress, &headerBytes)) == 0,
            info.contentSize > 0
        else { return nil }
        return Int(exactly: info.contentSize)
    }

    /// Decompresses the frame that the bytes begin with, which must give exactly the target's size.
    ///
    /// - Returns: the frame's bytes, or what is wrong with it.
    static func decompressPrefix(
        _ frame: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> (consumed: Int?, reason: String) {
        var context: OpaquePointer?
        guard LZ4F_isError(LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))) == 0 else {
            return (nil, "no memory for decompressing")
        }
        defer { LZ4F_freeDecompressionContext(context) }
        var read = 0
        var written = 0
        while true {
            var sourceBytes = frame.count - read
            var targetBytes = target.count - written
            let hint = LZ4F_decompress(
                context, target.baseAddress.map { $0 + written }, &targetBytes, frame.baseAddress.map { $0 + read },
                &sourceBytes, nil)
            if LZ4F_isError(hint) != 0 { return (nil, String(cString: LZ4F_getErrorName(hint))) }
            read += sourceBytes
            written += targetBytes
            if hint == 0 { break }
            guard sourceBytes > 0 || targetBytes > 0 else { return (nil, "the LZ4 frame is not whole") }
        }
        guard written == target.count else { return (nil, "the LZ4 frame has \(written) bytes of \(target.count)") }
        return (read, "")
    }
}
