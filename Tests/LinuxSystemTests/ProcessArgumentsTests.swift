import LinuxSystem
import Testing

@Suite struct ProcessArgumentsTests {
    /// What is hidden stands between brackets.
    @Test(arguments: [
        "postgresql://u:[geheim]@h/d", "postgresql://u:[ge@heim]@h/d", "postgresql://u:[a/b:c]@h:5432/d",
        "postgres://h/d?password=[geheim]", "postgres://h/d?password=[geheim&sslmode=require]",
        "postgres://u:[eins@h/d?sslpassword=zwei]", "host=h password=[geheim]", "host=h password =[ 'ge heim' user=u]",
        "postgresql://password:[geheim]@h/d", "--database=postgresql://u:[geheim]@h/d",
        "host=passwordhost password=[x]", "postgres://h/d?%70assword=[geheim]",
        "postgres://h/d?p%61ssw%6Frd=[ge%41heim]",
        "--where=tags.password=x password=[y]",
    ])
    func passwordsAreFoundInEveryForm(marked: String) {
        let text = marked.filter { $0 != "[" && $0 != "]" }
        let start = Array(marked.utf8).firstIndex(of: UInt8(ascii: "[")) ?? -1
        let end = (Array(marked.utf8).lastIndex(of: UInt8(ascii: "]")) ?? 0) - 1
        #expect(passwordRange(inArgument: text) == start..<end)
    }

    @Test(arguments: [
        "", "postgresql://u@h/d", "postgresql://h:5432/d", "postgresql://u:@h/d", "tcp://127.0.0.1:8127", "password",
        "password=", "--password-file", "host=h user=u", "user:name@host",
        "tags.password=x", "50%", "%7", "%zzpass%word=",
    ])
    func whatHoldsNoPasswordIsLeft(argument: String) {
        #expect(passwordRange(inArgument: argument) == nil)
    }
}
