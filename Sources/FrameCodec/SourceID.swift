// The id of a source from its name: protocol/README.md, "Sequences and heartbeats".

/// Ids of sources.
public enum SourceID {
    /// The id of a name: FNV-1a with 64 bits over its UTF-8 bytes, and 1 where that gives 0. The same in every
    /// language, on every machine, for ever. O(n).
    public static func hash(_ name: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash == 0 ? 1 : hash
    }
}
