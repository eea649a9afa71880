// One frame without an acknowledgement must not keep the memory of all that were acknowledged after it.

extension UnacknowledgedFrames {
    /// Takes out the frames that are done and have an open frame before them, once they have half of the bytes or of the places.
    ///
    /// O(bytes of the open frames). Called when there is no room, it copies at most as much as it frees.
    mutating func removeDoneBetween() {
        let held = entries.end - entries.start
        guard held > 0, 2 * openBytes <= byteCount || 2 * frameCount <= held else { return }
        var (keptRing, keptEntries) = (ByteRing(), EntryRing())
        var (keptCursor, keptPlace) = (0, 0)
        var place = ring.start
        for index in entries.start..<entries.end {
            var entry = entries[index]
            if index == cursor { (keptCursor, keptPlace) = (keptEntries.end, keptRing.end + cursorOffset) }
            // A frame that has been begun must be written to its end.
            if entry.doneRun == 0 || index == cursor && cursorOffset > 0 {
                var copied = 0
                while copied < entry.byteCount {
                    copied += ring.withPiece(from: place + copied, count: entry.byteCount - copied) { piece in
                        keptRing.append(piece)
                        return piece.byteCount
                    }
                }
                entry.doneRun = min(entry.doneRun, 1)
                keptEntries.append(entry)
            }
            place += entry.byteCount
        }
        if cursor == entries.end { (keptCursor, keptPlace) = (keptEntries.end, keptRing.end) }
        (ring, entries) = (keptRing, keptEntries)
        (cursor, cursorPlace) = (keptCursor, keptPlace)
    }
}
