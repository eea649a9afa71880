// What the tests of this target share: lines into frames, frames into lines.

import FrameCodec
import JSONLines
import MetricKinds

/// Encodes lines into frames as `spillway encode` does.
func encode(_ lines: String, recordsMax: Int = 1_000) throws(RecordLineError) -> [[UInt8]] {
    try encode(Array(lines.utf8), recordsMax: recordsMax)
}

func encode(_ text: [UInt8], recordsMax: Int = 1_000) throws(RecordLineError) -> [[UInt8]] {
    var parser = RecordLineParser()
    var encoder = FrameEncoder(frameBytesTarget: FrameLimits.frameBytesMax, recordsMax: recordsMax)
    var frames: [[UInt8]] = []
    for line in text.split(separator: UInt8(ascii: "\n")) {
        try parser.parse(line.span.bytes)
        while !(try parser.append(to: &encoder)) { finish(&encoder, &frames) }
    }
    finish(&encoder, &frames)
    return frames
}

/// Moves the encoder's frame to the end of `frames`.
func finish(_ encoder: inout FrameEncoder, _ frames: inout [[UInt8]]) {
    if let frame = encoder.finish(FrameIdentity(), { $0.withUnsafeBytes { Array($0) } }) { frames.append(frame) }
}

/// Decodes frames into lines as `spillway decode` does.
func decode(_ frames: [[UInt8]]) throws(FrameError) -> [UInt8] {
    var printer = RecordLinePrinter()
    var decoder = FrameDecoder()
    for frame in frames {
        let header = try FrameHeader.admit(frame.span.bytes)
        try printer.print(frame.span.bytes, header: header, using: &decoder)
    }
    return printer.withBytes { $0.withUnsafeBytes { Array($0) } }
}

/// What a line looks like after it went through a frame, without its line end.
func canonical(_ line: String) throws -> String {
    String(decoding: try decode(try encode(line)).dropLast(), as: UTF8.self)
}

/// The fault of a line, or nil.
func fault(_ line: String) -> RecordLineError? { fault(Array(line.utf8)) }

func fault(_ line: [UInt8]) -> RecordLineError? {
    var parser = RecordLineParser()
    do throws(RecordLineError) {
        try parser.parse(line.span.bytes)
        return nil
    } catch {
        return error
    }
}
