// Text from outside on a terminal: what would move its cursor, change its colours or turn its lines round is shown as an
// escape.

extension String {
    /// The text as `printable`, cut to a number of characters.
    package func printable(charactersMax: Int) -> String {
        let text = printable
        return text.count > charactersMax ? text.prefix(max(charactersMax - 1, 0)) + "…" : text
    }

    /// The text in one line, with every character that does more than take up space as `\\u{...}`. O(n).
    package var printable: String {
        var text = ""
        for scalar in unicodeScalars {
            if scalar.isShownAsItIs {
                text.unicodeScalars.append(scalar)
            } else {
                text += "\\u{" + String(scalar.value, radix: 16, uppercase: true) + "}"
            }
        }
        return text
    }
}

extension Unicode.Scalar {
    /// Not a control character, a line end, or a character that only changes how others are shown.
    package var isShownAsItIs: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
        default: true
        }
    }
}
