// Fuzzes the frame codec.
//
// Built plainly, it runs the files given, or all files of the folders given, once each: `FrameFuzzer Corpus`.
// Built with LIBFUZZER defined and -sanitize=fuzzer, it is libFuzzer's program, with libFuzzer's options:
//
//     swift build -c release --product FrameFuzzer --scratch-path .build-fuzz \
//         -Xswiftc -sanitize=fuzzer,address -Xswiftc -DLIBFUZZER
//     SWIFT_BACKTRACE=enable=no .build-fuzz/release/FrameFuzzer -max_total_time=3600 -max_len=4096 FOUND Corpus

import Foundation

#if LIBFUZZER
    @_silgen_name("LLVMFuzzerRunDriver")
    private func runFuzzer(
        _ argumentCount: UnsafeMutablePointer<Int32>,
        _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
        _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
    ) -> Int32
#endif

/// libFuzzer's entry: any bytes may come; 0 says that they may be kept.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var frame = FuzzedFrame()
    frame.run(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count))
    return 0
}

@main
struct FrameFuzzer {
    static func main() throws {
        #if LIBFUZZER
            var count = CommandLine.argc
            var arguments = CommandLine.unsafeArgv
            exit(runFuzzer(&count, &arguments, testOneInput))
        #else
            let paths = CommandLine.arguments.dropFirst()
            guard !paths.isEmpty else {
                print("usage: FrameFuzzer FILE-OR-FOLDER...")
                exit(64)
            }
            var replayed = 0
            for path in paths {
                let url = URL(fileURLWithPath: path)
                let isFolder = try url.resourceValues(forKeys: [.isDirectoryKey]).isDirectory ?? false
                let files =
                    isFolder
                    ? try FileManager.default.contentsOfDirectory(at: url, includingPropertiesForKeys: nil) : [url]
                for file in files {
                    try Data(contentsOf: file).withUnsafeBytes { input in
                        _ = testOneInput(input.baseAddress?.assumingMemoryBound(to: UInt8.self), input.count)
                    }
                    replayed += 1
                }
            }
            print("\(replayed) inputs replayed")
        #endif
    }
}
