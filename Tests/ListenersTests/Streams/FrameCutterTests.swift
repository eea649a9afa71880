import Accounting
import Admission
import FrameCodec
import LinuxSystem
import NIOCore
import TestSupport
import Testing

@testable import Listeners

@Suite struct FrameCutterTests {
    /// What a stream gives when it is cut in chunks: frames that are whole, and what is wrong.
    private func cut(_ chunks: [ArraySlice<UInt8>]) -> (found: [FrameCut], frames: [[UInt8]], truncation: FrameError?) {
        var cutter = FrameCutter()
        var found: [FrameCut] = []
        var frames: [[UInt8]] = []
        for chunk in chunks {
            var arrivals: [FrameArrival] = []
            var isBroken = false
            cutter.cut(ByteBuffer(bytes: chunk)) { cut, bytes, place, offset in
                found.append(cut)
                if case .broken = cut { isBroken = true }
                guard case .frame(let header) = cut else { return }
                arrivals.append(
                    FrameArrival(
                        header, at: offset, inBuffer: place.rawValue, beginsDatagram: false,
                        peer: PeerAddress(ip: .loopback, port: 1)))
            }
            cutter.forEachFrame(arrivals) { frame in frames.append(frame.withUnsafeBytes { Array($0) }) }
            if isBroken { return (found, frames, nil) }
            cutter.finishChunk()
        }
        return (found, frames, cutter.truncation)
    }

    private func split(_ bytes: [UInt8], chunkBytesMax: Int, _ random: inout SeededGenerator) -> [ArraySlice<UInt8>] {
        var chunks: [ArraySlice<UInt8>] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...chunkBytesMax, using: &random)
            chunks.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return chunks
    }

    @Test(arguments: 1...300 as ClosedRange<UInt64>)
    func splitPointsChangeNothing(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let frames = (1...20 as ClosedRange<UInt64>).map { sequence in
            TestFrame(
                sequence: sequence,
                payload: (0..<Int.random(in: 0...300, using: &random)).map { UInt8(truncatingIfNeeded: $0) }
            ).bytes
        }
        let chunks = split(
            frames.flatMap { $0 }, chunkBytesMax: [1, 3, 60, 500, 10_000][Int(seed % 5)], &random)
        let result = cut(chunks)
        #expect(result.frames == frames, "seed \(seed)")
        #expect(result.truncation == nil, "seed \(seed)")
    }

    @Test(arguments: 1...300 as ClosedRange<UInt64>)
    func splitPointsChangeNoFaultEither(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var bytes = (1...6 as ClosedRange<UInt64>).flatMap { TestFrame(sequence: $0).bytes }
        bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
        let whole = cut([bytes[...]])
        let parts = cut(split(bytes, chunkBytesMax: 70, &random))
        #expect(parts.found == whole.found, "seed \(seed)")
        #expect(parts.frames == whole.frames, "seed \(seed)")
        #expect(parts.truncation == whole.truncation, "seed \(seed)")
    }

    @Test func skipsWhatItRefusesWhereLengthsAreSound() {
        let unknown = TestFrame(type: 200, sequence: 5, recordCount: 0).bytes
        let empty = TestFrame(sequence: 6, recordCount: 0).bytes
        let signed = TestFrame(flags: 1, headerLength: 80, sequence: 7).bytes
        let reply = TestFrame(type: 17, recordCount: 0).bytes
        let good = TestFrame(sequence: 8).bytes
        let result = cut([(unknown + empty + signed + reply + good)[...]])
        #expect(result.frames == [good])
        let errors = result.found.compactMap { cut -> FrameError? in
            if case .refused(let error, _, _) = cut { error } else { nil }
        }
        #expect(
            errors == [
                FrameError(.unknownType, at: 6), FrameError(.emptyFrame, at: 48), FrameError(.unknownKey, at: 52),
                FrameError(.unknownType, at: 6),
            ])
    }

    @Test func anUnknownTypeWithADamagedFrameBreaksTheStream() {
        var frame = TestFrame(type: 200).bytes
        frame[55] ^= 1
        #expect(cut([(frame + TestFrame().bytes)[...]]).found == [.broken(FrameError(.unknownType, at: 6))])
        frame = TestFrame(type: 200, headerLength: 60).bytes
        frame[5] = 51
        #expect(cut([frame[...]]).found == [.broken(FrameError(.unknownType, at: 6))])
    }

    @Test func theEndOfAStreamInAFrameIsTruncation() {
        let bytes = TestFrame().bytes
        for count in 1..<bytes.count {
            let reason: FrameError.Reason = count < 52 ? .truncatedHeader : .truncatedPayload
            #expect(cut([bytes.prefix(count)]).truncation == FrameError(reason, at: count))
        }
    }

    @Test func aPromisedLengthTakesNoMemory() {
        var cutter = FrameCutter()
        let large = TestFrame(payload: [UInt8](repeating: 0, count: 1_000_000)).bytes
        cutter.cut(ByteBuffer(bytes: large.prefix(100))) { _, _, _, _ in }
        cutter.finishChunk()
        #expect(cutter.partialBytes == 100)
        #expect(cutter.carry.capacity <= 4_096)
    }
}
