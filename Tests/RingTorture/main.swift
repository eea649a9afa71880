import FrameRing
import Glibc

/// Drives a ring with many producers and checks what comes out: to be run under the thread sanitizer.
///
///     swift build -c release --sanitize=thread --product RingTorture
///
/// In release, because the sanitizer sees the accesses that are compiled into this program: in debug those to the
/// ring's bytes are calls into the standard library, and a missing ordering goes unnoticed.
///
///     RingTorture [--producers 8] [--records 100000] [--seed 1] [--capacity 65536]
///
/// `--records` is per producer, `--capacity` in bytes. Exit codes: 0 all records came once, in order and whole;
/// 1 they did not; 2 wrong arguments.
let usage = "usage: RingTorture [--producers N] [--records N] [--seed N] [--capacity BYTES]"

var plan = TorturePlan()
var arguments = CommandLine.arguments.dropFirst()
while let name = arguments.popFirst() {
    guard let text = arguments.popFirst(), let number = UInt32(text), plan.set(name, to: Int(number)) else {
        print(usage)
        exit(2)
    }
}
guard plan.isSound else {
    print(usage)
    print("producers: 1 to 256; records: 1 or more; capacity: a power of two from 4096 to 2^30 bytes")
    exit(2)
}

print("\(plan.producers) producers, \(plan.records) records each, seed \(plan.seed), \(plan.capacityBytes) bytes")
let report = runTorture(plan)
print(report)
exit(report.isGood ? 0 : 1)
