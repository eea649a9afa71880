import Testing
import Text

@Suite struct PrintableTextTests {
    @Test(arguments: [
        ("import", "import"), ("größe 検索 🚀", "größe 検索 🚀"), ("", ""), ("a\nb", "a\\u{A}b"),
        ("\u{1B}[31m", "\\u{1B}[31m"), ("\u{9B}2J", "\\u{9B}2J"), ("a\u{202E}b", "a\\u{202E}b"),
        ("a\u{2028}b", "a\\u{2028}b"), ("\u{7F}", "\\u{7F}"), ("\u{E000}", "\\u{E000}"),
    ])
    func whatMovesTheCursorOrTurnsTheLineIsEscaped(_ text: String, _ shown: String) {
        #expect(text.printable == shown)
    }

    @Test func aLongTextIsCut() {
        #expect("abcdef".printable(charactersMax: 6) == "abcdef")
        #expect("abcdefg".printable(charactersMax: 6) == "abcde…")
    }
}
