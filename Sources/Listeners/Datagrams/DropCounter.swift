// The kernel's count of dropped datagrams, which comes by two ways: with a later datagram (SO_RXQ_OVFL), as it was when
// that datagram was queued, and asked for (SO_MEMINFO), as it is. Both are readings of one 32-bit total that wraps.

/// Turns readings of a wrapping total into increments, each drop counted once.
struct DropCounter {
    private var total: UInt32 = 0

    /// - Parameter reading: at most 2^31 ahead of the newest reading.
    /// - Returns: the drops since the newest reading; 0 for a reading that is older than it.
    mutating func observe(_ reading: UInt32) -> Int {
        let difference = Int32(bitPattern: reading &- total)
        guard difference > 0 else { return 0 }
        total = reading
        return Int(difference)
    }
}
