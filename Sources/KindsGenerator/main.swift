// Writes the Swift that comes from protocol/kinds.json, or with --check says which file is stale.
//
//     swift run kinds-generator [--check]      from the package's folder

import Foundation

do {
    let check = CommandLine.arguments.dropFirst() == ["--check"]
    guard check || CommandLine.arguments.count == 1 else {
        throw GeneratorError(text: "usage: kinds-generator [--check]")
    }
    let file = try KindsFile(path: "protocol/kinds.json")
    var stale: [String] = []
    for generated in generatedFiles(file) {
        let url = URL(fileURLWithPath: generated.path)
        let present = FileManager.default.contents(atPath: generated.path)
        if present == Data(generated.text.utf8) { continue }
        if check {
            stale.append(generated.path)
        } else {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(generated.text.utf8).write(to: url)
            print("wrote \(generated.path)")
        }
    }
    guard stale.isEmpty else {
        throw GeneratorError(
            text: "not as protocol/kinds.json says: \(stale.joined(separator: ", ")); run kinds-generator")
    }
} catch {
    FileHandle.standardError.write(Data("kinds-generator: \(error)\n".utf8))
    exit(1)
}
