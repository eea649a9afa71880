import Foundation
import Testing

@testable import LinuxSystem

@Suite struct VolatileFolderTests {
    @Test func aFolderInMemoryIsToldFromOneOnADisk() throws {
        let mounts = try String(contentsOfFile: "/proc/mounts", encoding: .utf8).split(separator: "\n").map {
            $0.split(separator: " ")
        }
        if let memory = mounts.first(where: { $0[2] == "tmpfs" && $0[1].hasPrefix("/dev/shm") }) {
            #expect(isInMemoryAlone(String(memory[1])))
        }
        #expect(!isInMemoryAlone("/proc"))
        #expect(!isInMemoryAlone("/this/is/not/there"))
    }
}
