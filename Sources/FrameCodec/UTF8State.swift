// Where in a sequence of UTF-8 a text is, after the Unicode standard's table 3-7 of well-formed sequences.
//
// A byte's word holds, for each state, the state behind the byte. A state is the number of bits by which its entry is
// shifted down: so a step is one load, which depends on the byte alone, and one shift. A shift takes six bits of the
// state; what a word has above them does no harm.

/// What may come next, as a number of bits.
enum UTF8State: UInt64, CaseIterable {
    /// Any scalar but U+0000.
    case start = 0
    /// Nothing makes the text whole again.
    case fault = 6
    case oneContinuation = 12
    case twoContinuations = 18
    case threeContinuations = 24
    // Behind these leads some continuations would be overlong, surrogates or above U+10FFFF.
    case behindE0 = 30
    case behindED = 36
    case behindF0 = 42
    case behindF4 = 48

    /// The word of each byte.
    static let steps: [UInt64] = (UInt8.min...UInt8.max).map { byte in
        allCases.reduce(0) { $0 | $1.after(byte).rawValue << $1.rawValue }
    }

    /// Whether a shifted word is at `start`.
    @inline(__always)
    static func isStart(_ state: UInt64) -> Bool { state & 0x3F == start.rawValue }

    private func after(_ byte: UInt8) -> UTF8State {
        switch (self, byte) {
        case (.start, 0x01...0x7F): .start
        case (.start, 0xC2...0xDF): .oneContinuation
        case (.start, 0xE0): .behindE0
        case (.start, 0xED): .behindED
        case (.start, 0xE1...0xEF): .twoContinuations
        case (.start, 0xF0): .behindF0
        case (.start, 0xF1...0xF3): .threeContinuations
        case (.start, 0xF4): .behindF4
        case (.oneContinuation, 0x80...0xBF): .start
        case (.twoContinuations, 0x80...0xBF), (.behindE0, 0xA0...0xBF), (.behindED, 0x80...0x9F): .oneContinuation
        case (.threeContinuations, 0x80...0xBF), (.behindF0, 0x90...0xBF), (.behindF4, 0x80...0x8F): .twoContinuations
        default: .fault
        }
    }
}
