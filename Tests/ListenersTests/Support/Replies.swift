// What a collector answered.

import FrameCodec

/// The frames that a collector sent in reply.
///
/// - Parameter withWelcomes: else those are left out that greet a session.
func replies(
    in bytes: [UInt8], withWelcomes: Bool = false
) throws -> [(header: FrameHeader, frame: [UInt8])] {
    var list: [(FrameHeader, [UInt8])] = []
    var offset = 0
    while offset < bytes.count {
        let header = try FrameHeader.admit(bytes.span.bytes.extracting(offset..<bytes.count))
        if withWelcomes || header.type != .welcome {
            list.append((header, Array(bytes[offset..<offset + header.frameLength])))
        }
        offset += header.frameLength
    }
    return list
}
