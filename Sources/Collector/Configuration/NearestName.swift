// What an operator probably meant by a name that is not known.

/// The known name that differs least from `name`, if it differs little; nil otherwise. The first of several.
///
/// Letters that were left out, added, exchanged or swapped with their neighbour count 1 each (optimal string alignment); a third
/// of the letters may differ.
/// - Complexity: O(known names × length²). Names over 64 bytes have no neighbour.
package func nearestName(_ name: String, of known: [String]) -> String? {
    let wanted = Array(name.lowercased().utf8)
    guard (1...64).contains(wanted.count) else { return nil }
    var best: (name: String, distance: Int)?
    for candidate in known where candidate.utf8.count <= 64 {
        let letters = Array(candidate.lowercased().utf8)
        let distance = editDistance(wanted, letters)
        guard distance <= max(1, min(wanted.count, letters.count) / 3), distance < best?.distance ?? .max else {
            continue
        }
        best = (candidate, distance)
    }
    return best?.name
}

private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for row in left.indices {
        var current = [row + 1]
        for column in right.indices {
            let isSame = left[row] == right[column]
            var least = min(last[column] + (isSame ? 0 : 1), last[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                least = min(least, beforeLast[column - 1] + 1)
            }
            current.append(least)
        }
        (beforeLast, last) = (last, current)
    }
    return last[right.count]
}
