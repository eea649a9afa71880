// What a source is called. Heartbeats carry it; nothing depends on it.

/// The name of a source, for people. At most `FrameLimits.controlTextBytesMax` bytes of any characters but U+0000: it is
/// escaped wherever it is shown.
package struct SourceName: Equatable, Sendable {
    package let text: String
    /// The source's id is the name's hash.
    let isOwn: Bool
    /// Counts the sources that have a name, from 0, in the order in which they got one.
    package let number: Int
}
