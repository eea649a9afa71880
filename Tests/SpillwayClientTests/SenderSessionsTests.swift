// Frames and sessions without a connection: random steps, and a reader of the bytes that come out. A frame is known by its base
// time, which is its caller's number.

import Testing

@testable import SpillwayClient

@Suite struct SenderSessionsTests {
    /// The sender's state, and what a reader of its connections has seen.
    private struct Model {
        var frames = UnacknowledgedFrames(bytesMax: FrameLimits.frameBytesMax, framesMax: 4_096)
        var sessions = SenderSessions(first: SourceIdentity(name: "test", session: 42))
        var number: UInt64 = 0
        /// Bytes of the present connection that are no whole frame yet.
        var stream: [UInt8] = []
        var identities: [UInt64: FrameIdentity] = [:]
        var numbers: [FrameIdentity: UInt64] = [:]
        var renewals = 0
        var settled: Set<UInt64> = []

        init() { sessions.connected(welcomeDeadlineNanoseconds: 0) }

        mutating func add(bytes: Int) throws {
            number += 1
            var encoder = FrameEncoder(frameBytesTarget: 8_192)
            let text = String(repeating: "x", count: bytes)
            #expect(try encoder.append(PointRecord(time: Int64(number), valueText: text)))
            let first = FrameIdentity(source: SourceIdentity.hash("test"), session: 42, sequence: number)
            let encoded = encoder.finish(first) { frame in frame.withUnsafeBytes { Array($0) } }
            let frame = try #require(encoded)
            guard !frames.isFull(for: frame.count) else {
                number -= 1
                return
            }
            let placed = sessions.add(number: number, records: 1, bytes: frame.count)
            frames.append(
                frame.span.bytes, sequence: number, recordCount: 1, identity: placed == first ? nil : placed)
        }

        mutating func write(atMost limit: Int) throws {
            let written = frames.withNextBytes(atMost: limit) { bytes in bytes.withUnsafeBytes { Array($0) } }
            guard let written else { return }
            stream += written
            _ = frames.advance(written.count)
            while stream.count >= FrameHeader.lengthMin {
                let held = stream
                let header = try FrameHeader.read(held.span.bytes)
                guard stream.count >= header.frameLength else { return }
                // The checksum is that of the identity.
                try read(FrameHeader.admit(held.span.bytes))
                stream.removeFirst(header.frameLength)
            }
        }

        private mutating func read(_ header: FrameHeader) throws {
            let number = UInt64(header.baseTime)
            #expect(identities[number] == nil || identities[number] == header.identity)
            #expect(numbers[header.identity] == nil || numbers[header.identity] == number)
            if identities[number] == nil, header.identity.sequence > 1 {
                var before = header.identity
                before.sequence -= 1
                #expect(numbers[before] != nil, "a gap before \(header.identity)")
            }
            identities[number] = header.identity
            numbers[header.identity] = number
        }

        mutating func cut() {
            stream = []
            frames.rewind()
            sessions.connected(welcomeDeadlineNanoseconds: 0)
        }

        /// The collector settles a frame that it has seen.
        mutating func settle(_ number: UInt64, isRefused: Bool) {
            guard let identity = identities[number], let index = sessions.index(of: identity) else { return }
            let ranges = SequenceRanges([identity.sequence..<identity.sequence + 1])
            let isNew = !settled.contains(number)
            if isRefused {
                #expect(sessions.number(of: identity.sequence, in: index) == number)
                #expect((frames.refuse(number) != nil) == isNew)
            } else {
                let released = frames.acknowledge(sessions.numbers(of: ranges, in: index))
                #expect(released.frames == (isNew ? 1 : 0))
                #expect(!isNew || sessions.sequences(of: released.sequences, in: index) == ranges)
            }
            settled.insert(number)
            sessions.removeEnded(oldestNumber: frames.oldestSequence, nowNanoseconds: 0)
        }

        mutating func renew() {
            sessions.renew(&frames, welcomeDeadlineNanoseconds: 0)
            renewals += 1
            _ = sessions.takeHeartbeats(baseTime: 0)
            sessions.wroteHeartbeats()
        }
    }

    @Test func framesThatWereWrittenKeepTheirIdentityAndTheOthersFollowWithoutGaps() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var generator = SplitMix(state: seed)
        for _ in 0..<20 {
            var model = Model()
            for _ in 0..<2_000 {
                switch generator.next() % 16 {
                case 0...5: try model.add(bytes: Int(generator.next() % 3_000))
                case 6...10: try model.write(atMost: Int(generator.next() % 6_000) + 1)
                case 11...13:
                    // Of the last hundred, and often the oldest one that is open.
                    let back = generator.next() % 100
                    let oldest = model.frames.oldestSequence ?? 1
                    let number = back < 50 ? oldest : model.number - min(back, model.number)
                    model.settle(number, isRefused: generator.next().isMultiple(of: 4))
                case 14: if generator.next().isMultiple(of: 4) { model.cut() }
                default: if generator.next().isMultiple(of: 8) { model.renew() }
                }
            }
            // Everything that is open goes out, and is acknowledged.
            model.cut()
            while model.frames.nextToSend != nil { try model.write(atMost: 65_536) }
            for number in 1...model.number { model.settle(number, isRefused: false) }
            #expect(model.frames.isEmpty)
            #expect(model.identities.count == Int(model.number))
            #expect(Set(model.identities.values.map(\.session)).count > 1 || model.renewals == 0)
            _ = model.sessions.takeHeartbeats(baseTime: 0)
            model.sessions.wroteHeartbeats()
            model.sessions.removeEnded(oldestNumber: nil, nowNanoseconds: 0)
            #expect(!model.sessions.hasEndedSessions)
        }
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
