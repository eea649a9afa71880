// What the collector says on a connection, and what follows from it for the frames that are kept.

import LinuxSystem

extension AcknowledgedSender {
    mutating func read(waitMilliseconds: Int, wantsToWrite: Bool) throws(ClientError) {
        guard try connection.hasInput(waitMilliseconds: waitMilliseconds, wantsToWrite: wantsToWrite) else { return }
        for _ in 0..<Self.readsPerStepMax {
            let received = try connection.receive()
            if received == .bytes { liveness.received() }
            try takeReplies()
            switch received {
            case .bytes: continue
            case .nothingYet: return
            case .end: throw .closed(address)
            }
        }
    }

    mutating func takeReplies() throws(ClientError) {
        while let (reply, from) = try connection.nextReply() {
            let session = sessions.index(of: from)
            switch (reply, session) {
            case (.receipt(let last), _): receipt = last
            case (.welcome(let welcome), let session?):
                sessions.welcomed(session)
                acknowledge(welcome.durable, in: session)
                keep(within: CollectorLimits(welcome))
            case (.acknowledgement(let acknowledgement), let session?):
                liveness.acknowledged(acknowledgement.durable)
                acknowledge(acknowledgement.durable, in: session)
            case (.refusal(let refusal, let sequence), let session?) where sequence > 0:
                refuse(sequence, in: session, refusal)
            case (.refusal(let refusal, _), _): note(0, refusal)
            case (.welcome, nil), (.acknowledgement, nil): continue
            }
        }
    }

    private mutating func acknowledge(_ durable: SequenceRanges, in session: Int) {
        let released = frames.acknowledge(sessions.numbers(of: durable, in: session))
        guard released.frames > 0 else { return }
        statistics.framesAcknowledged += released.frames
        statistics.recordsAcknowledged += released.records
        statistics.framesStoredEarlier += released.framesUnwritten
        statistics.recordsStoredEarlier += released.recordsUnwritten
        sessions.storedEarlier(session, frames: released.framesUnwritten, records: released.recordsUnwritten)
        lastProgress = monotonicNanoseconds()
        backoffMilliseconds = Self.backoffFirstMilliseconds
        onAcknowledged(sessions.session(session), sessions.sequences(of: released.sequences, in: session))
    }

    private mutating func refuse(_ sequence: UInt64, in session: Int, _ refusal: RefusalFrame) {
        guard let number = sessions.number(of: sequence, in: session) else { return }
        let isForSession = refusal.reasonCode == UInt64(FrameError.Reason.sequenceRefused.rawValue)
        if !isForSession, frames.isOpen(number), sessions.mayBeOfHeartbeat(sequence, in: session) {
            // An earlier collector names in a heartbeat's refusal the last record frame, which it has. What the frame itself
            // is worth it says when the frame comes again.
            note(0, refusal)
            isRewindDue = true
            return
        }
        guard let released = frames.refuse(number) else { return }
        count(refused: released)
        note(sequence, refusal)
        guard isForSession, renewsSession, sessions.isCurrent(session) else { return }
        sessions.renew(&frames, welcomeDeadlineNanoseconds: monotonicNanoseconds() &+ Self.welcomeNanoseconds)
        statistics.sessionsRenewed += 1
        isHeartbeatDue = true
    }

    mutating func count(refused released: UnacknowledgedFrames.Released) {
        statistics.framesRefused += released.frames
        statistics.recordsRefused += released.records
        lastProgress = monotonicNanoseconds()
    }

    mutating func note(_ sequence: UInt64, _ refusal: RefusalFrame) {
        if refusals.count < Self.refusalsMax { refusals.append((sequence, refusal)) }
    }
}
