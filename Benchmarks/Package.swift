// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nobody who builds the collector builds the tools that measure it.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
]

func spillway(_ name: String) -> Target.Dependency { .product(name: name, package: "spillway") }

let package = Package(
    name: "spillway-benchmarks",
    products: [.executable(name: "spillway-bench", targets: ["SpillwayBench"])],
    dependencies: [
        .package(name: "spillway", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    ],
    targets: [
        // Warnings of C are errors by `#pragma` in its files: a flag here would be an unsafe one.
        .target(name: "CAllocations"),
        .target(name: "CFloor"),
        // Boost and moodycamel's queue are headers of the system.
        .target(name: "CRingPeers"),
        .target(name: "CStatsD"),
        .executableTarget(
            name: "SpillwayBench",
            dependencies: [
                "CAllocations", "CFloor", "CRingPeers", "CStatsD", spillway("FrameCodec"), spillway("FrameRing"),
                spillway("JSONLines"), spillway("SpillLog"), spillway("SpillwayClient"), spillway("Postgres"),
                spillway("EmbeddedPostgres"), spillway("StoreSchema"), spillway("StoreWriter"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx17
)
