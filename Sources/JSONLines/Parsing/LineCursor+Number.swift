// JSON numbers: exact integers, and floats rounded once to the nearest value of their own type.

/// A number as it stands in the line.
struct NumberToken {
    /// Its bytes.
    var start = 0
    var end = 0
    var isNegative = false
    /// Without fraction and exponent.
    var isInteger = true
    /// All digits as one integer, unless there are more than 19 behind the leading zeros.
    var mantissa: UInt64 = 0
    var isTruncated = false
    /// The value is mantissa times ten to this.
    var exponent = 0
}

extension LineCursor {
    /// Reads a number in JSON's grammar.
    @inline(__always)
    mutating func number() throws(RecordLineError) -> NumberToken {
        var token = NumberToken()
        token.start = position
        token.isNegative = take("-")
        var significant = 0
        if !take("0") {
            guard isDigit else { throw token.isNegative ? unexpected("a digit") : wrongType("a number") }
            digits(&token, &significant)
        } else if isDigit {
            throw fault(.invalidJSON(expected: "a number without a leading zero"), at: token.start)
        }
        if take(".") {
            token.isInteger = false
            guard isDigit else { throw unexpected("a digit behind the decimal point") }
            token.exponent -= digits(&token, &significant)
        }
        if take("e") || take("E") {
            token.isInteger = false
            try exponent(&token)
        }
        token.end = position
        return token
    }

    @inline(__always)
    private var isDigit: Bool { peek &- UInt8(ascii: "0") <= 9 }

    /// - Returns: how many digits were passed.
    @inline(__always) @discardableResult
    private mutating func digits(_ token: inout NumberToken, _ significant: inout Int) -> Int {
        let start = position
        while true {
            let digit = peek &- UInt8(ascii: "0")
            guard digit <= 9 else { return position &- start }
            if significant > 0 || digit > 0 { significant &+= 1 }
            if significant <= 19 {
                token.mantissa = token.mantissa &* 10 &+ UInt64(digit)
            } else {
                token.isTruncated = true
            }
            advance(1)
        }
    }

    private mutating func exponent(_ token: inout NumberToken) throws(RecordLineError) {
        let isNegative = take("-")
        if !isNegative { _ = take("+") }
        guard isDigit else { throw unexpected("a digit of the exponent") }
        var value = 0
        while isDigit {
            // Far outside of every float already: more digits change nothing.
            if value < 100_000 { value = value * 10 + Int(peek &- UInt8(ascii: "0")) }
            advance(1)
        }
        token.exponent += isNegative ? -value : value
    }

    // MARK: Values

    /// An integer of `range`, which lies within 64 bits.
    @inline(__always)
    mutating func integer(in range: ClosedRange<Int64>) throws(RecordLineError) -> Int64 {
        let token = try number()
        guard token.isInteger else {
            throw fault(
                .wrongType(expected: "an integer", found: "a number with fraction or exponent"), at: token.start)
        }
        let limit = UInt64(Int64.max) + (token.isNegative ? 1 : 0)
        guard !token.isTruncated, token.mantissa <= limit else {
            throw fault(.integerOutOfRange(range), at: token.start)
        }
        let magnitude = Int64(bitPattern: token.mantissa)
        let value = token.isNegative ? 0 &- magnitude : magnitude
        guard range.contains(value) else { throw fault(.integerOutOfRange(range), at: token.start) }
        return value
    }

    /// The nearest f64, or one of the strings NaN, Infinity and -Infinity.
    mutating func float64(_ scratch: inout GrowingBytes) throws(RecordLineError) -> Double {
        if peek == UInt8(ascii: "\"") { return try notANumber(&scratch) }
        let token = try number()
        let value = Self.exactDouble(token) ?? Double(text(of: token)) ?? .nan
        guard value.isFinite else {
            throw fault(.floatOutOfRange(max: "\(Double.greatestFiniteMagnitude)"), at: token.start)
        }
        return value
    }

    /// The nearest f32, or one of the strings NaN, Infinity and -Infinity.
    @inline(__always)
    mutating func float32(_ scratch: inout GrowingBytes) throws(RecordLineError) -> Float {
        if peek == UInt8(ascii: "\"") { return Float(try notANumber(&scratch)) }
        let token = try number()
        let value = Self.exactFloat(token) ?? Float(text(of: token)) ?? .nan
        guard value.isFinite else {
            throw fault(.floatOutOfRange(max: "\(Float.greatestFiniteMagnitude)"), at: token.start)
        }
        return value
    }

    /// The number's text, for the standard library's own conversion.
    private func text(of token: NumberToken) -> String {
        String(decoding: bytes(from: token.start, to: token.end), as: UTF8.self)
    }

    private mutating func notANumber(_ scratch: inout GrowingBytes) throws(RecordLineError) -> Double {
        if takeWord("\"NaN\"") { return .nan }
        if takeWord("\"Infinity\"") { return .infinity }
        if takeWord("\"-Infinity\"") { return -.infinity }
        let start = position
        _ = try string(into: &scratch)
        throw fault(
            .wrongType(expected: "a number, \"NaN\", \"Infinity\" or \"-Infinity\"", found: "a string"), at: start)
    }

    /// The number's nearest f64 by one rounding of exact operands (W. D. Clinger, "How to Read Floating Point Numbers
    /// Accurately", 1990), or nil where that does not reach.
    @inline(__always)
    private static func exactDouble(_ token: NumberToken) -> Double? {
        guard !token.isTruncated, token.mantissa <= 1 << 53, abs(token.exponent) <= 22 else { return nil }
        let mantissa = Double(token.mantissa)
        let power = powersOfTen[abs(token.exponent)]
        let value = token.exponent < 0 ? mantissa / power : mantissa * power
        return token.isNegative ? -value : value
    }

    /// The number's nearest f32, or nil. The f64 in between does no harm unless it lies halfway between two normal f32:
    /// anywhere else it is on the same side as the number itself.
    @inline(__always)
    private static func exactFloat(_ token: NumberToken) -> Float? {
        guard let double = exactDouble(token) else { return nil }
        if double == 0 { return Float(double) }
        let halfway: UInt64 = 1 << 28
        guard double.significandBitPattern & (halfway << 1 - 1) != halfway,
            double.magnitude >= Double(Float.leastNormalMagnitude)
        else { return nil }
        return Float(double)
    }

    /// Ten to the power of 0 to 22: the ones that a Double holds exactly.
    private static let powersOfTen: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]
}
