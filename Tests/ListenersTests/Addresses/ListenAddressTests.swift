import Testing

@testable import Listeners

@Suite struct ListenAddressTests {
    @Test(arguments: [
        "127.0.0.1:8127", "0.0.0.0:0", "[::1]:8127", "[::]:65535", "[2001:db8::1]:1", "192.0.2.7:80",
    ])
    func readsWhatItWrites(text: String) throws {
        #expect(try ListenAddress(parsing: text).description == text)
    }

    @Test func localhostIsIPv4Loopback() throws {
        #expect(try ListenAddress(parsing: "localhost:1").ip == .loopback)
    }

    @Test(arguments: [
        ("127.0.0.1", "port is missing"), ("127.0.0.1:", "not a number"), ("127.0.0.1:65536", "not a number"),
        ("127.0.0.1:+1", "not a number"), (":8127", "host is missing"), ("::1:8127", "in brackets"),
        ("[::1:8127", "not closed"), ("[127.0.0.1]:1", "not an IPv6"), ("[fe80::1%eth0]:1", "zones"),
        ("example.org:1", "not looked up"), ("256.0.0.1:1", "not an IP"), ("", "port is missing"),
    ])
    func saysWhatIsWrong(text: String, advice: String) {
        let error = #expect(throws: ListenAddressError.self) { try ListenAddress(parsing: text) }
        #expect(error?.description.contains(advice) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("'\(text)'") == true)
    }

    @Test func knowsLoopback() throws {
        for text in ["127.0.0.1:1", "127.255.3.4:1", "[::1]:1"] {
            #expect(try ListenAddress(parsing: text).isLoopback)
        }
        for text in ["0.0.0.0:1", "[::]:1", "128.0.0.1:1", "[::2]:1", "[::ffff:127.0.0.1]:1"] {
            #expect(try !ListenAddress(parsing: text).isLoopback)
        }
    }
}
