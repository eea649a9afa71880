// swift-tools-version: 6.2
import PackageDescription

/// Every target is Swift 6 language mode with warnings as errors.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
]

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")

let package = Package(
    name: "spillway",
    products: [
        .library(name: "SpillwayClient", targets: ["SpillwayClient"]),
        .library(name: "FrameCodec", targets: ["FrameCodec"]),
        .library(name: "FrameRing", targets: ["FrameRing"]),
        .library(name: "Listeners", targets: ["Listeners"]),
        .library(name: "SpillLog", targets: ["SpillLog"]),
        .library(name: "TimescaleStore", targets: ["TimescaleStore"]),
        .library(name: "Collector", targets: ["Collector"]),
        .library(name: "JSONLines", targets: ["JSONLines"]),
        .executable(name: "spillway", targets: ["spillway"]),
        .executable(name: "kinds-generator", targets: ["KindsGenerator"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    ],
    targets: [
        // The way of a frame, in its order.
        .target(name: "MetricKinds", swiftSettings: strict),
        .target(name: "CChecksum"),
        .target(name: "FrameCodec", dependencies: ["MetricKinds", "CChecksum"], swiftSettings: strict),
        .target(name: "FrameRing", swiftSettings: strict),
        .target(name: "CLinux"),
        .target(name: "LinuxSystem", dependencies: ["CLinux"], swiftSettings: strict),
        // What was sent and what has become of it, in numbers.
        .target(name: "Accounting", dependencies: ["FrameCodec", "LinuxSystem"], swiftSettings: strict),
        // What is decided on a frame's way, without I/O, threads and clocks.
        .target(name: "Delivery", dependencies: ["MetricKinds", "FrameCodec", "Accounting"], swiftSettings: strict),
        // What may enter, and how it gets into the ring.
        .target(
            name: "Admission", dependencies: ["FrameCodec", "FrameRing", "Accounting", "Delivery"],
            swiftSettings: strict),
        .target(
            name: "Listeners",
            dependencies: [
                "FrameCodec", "Admission", "FrameRing", "Accounting", "Delivery", "CLinux", "LinuxSystem", log, nioCore,
                nioPosix,
            ],
            swiftSettings: strict),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .target(
            name: "SpillLog", dependencies: ["FrameCodec", "Delivery", "CLZ4", "CChecksum", "CLinux", "LinuxSystem"],
            swiftSettings: strict),
        .systemLibrary(name: "CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .target(
            name: "TimescaleStore",
            dependencies: ["MetricKinds", "FrameCodec", "Delivery", "LinuxSystem", "CPostgreSQL", log],
            swiftSettings: strict),
        // From the ring to the database, by way of the spill.
        .target(
            name: "Drain",
            dependencies: [
                "MetricKinds", "FrameCodec", "FrameRing", "Accounting", "Delivery", "SpillLog", "TimescaleStore",
                "LinuxSystem", log,
            ],
            swiftSettings: strict),
        .target(
            name: "Collector",
            dependencies: [
                "MetricKinds", "FrameCodec", "FrameRing", "Delivery", "Drain", "LinuxSystem", "Accounting", "Listeners",
                "SpillLog", "TimescaleStore", "SpillwayClient", log, nioCore, nioPosix,
                nioHTTP1,
            ],
            swiftSettings: strict),

        // What programs use to send, and the text form of records.
        .target(name: "SpillwayClient", dependencies: ["FrameCodec", "LinuxSystem"], swiftSettings: strict),
        .target(name: "JSONLines", dependencies: ["FrameCodec"], swiftSettings: strict),

        // Programs.
        .executableTarget(
            name: "spillway",
            dependencies: [
                "Accounting", "Collector", "Drain", "JSONLines", "SpillLog", "SpillwayClient",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .executableTarget(name: "KindsGenerator", swiftSettings: strict),

        // Tests, at mirrored paths.
        .testTarget(name: "MetricKindsTests", dependencies: ["MetricKinds"], swiftSettings: strict),
        .testTarget(name: "FrameCodecTests", dependencies: ["FrameCodec", "MetricKinds"], swiftSettings: strict),
        .testTarget(
            name: "DeliveryTests", dependencies: ["Delivery", "FrameCodec", "MetricKinds"], swiftSettings: strict),
        .testTarget(
            name: "SpillLogTests", dependencies: ["SpillLog", "Delivery", "FrameCodec", "CChecksum", "LinuxSystem"],
            swiftSettings: strict),
        .testTarget(name: "FrameRingTests", dependencies: ["FrameRing"], swiftSettings: strict),
        .testTarget(name: "JSONLinesTests", dependencies: ["JSONLines", "FrameCodec"], swiftSettings: strict),
        .testTarget(
            name: "AccountingTests",
            dependencies: ["Accounting", "FrameCodec", "LinuxSystem", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ListenersTests",
            dependencies: [
                "Listeners", "Accounting", "Admission", "Delivery", "FrameCodec", "FrameRing", "LinuxSystem",
                "TestSupport",
            ], swiftSettings: strict),
        .testTarget(
            name: "SpillwayClientTests", dependencies: ["SpillwayClient", "LinuxSystem"], swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["FrameCodec", "TimescaleStore", "LinuxSystem", log],
            path: "Tests/TestSupport",
            swiftSettings: strict),
        .testTarget(
            name: "TimescaleStoreTests",
            dependencies: ["TimescaleStore", "Delivery", "FrameCodec", "LinuxSystem", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "DrainTests", dependencies: ["Drain", "Accounting", "Delivery", "FrameCodec"],
            swiftSettings: strict),
        .testTarget(
            name: "CollectorTests", dependencies: ["Collector", "SpillwayClient", "TimescaleStore"],
            swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "TimescaleStore", "SpillLog", "SpillwayClient", "Accounting", "Delivery", "FrameCodec", "MetricKinds",
                "LinuxSystem", "TestSupport", "spillway",
            ],
            exclude: ["Support/short-writes.c"], swiftSettings: strict),
        .executableTarget(
            name: "DeliverySimulation",
            dependencies: [
                "MetricKinds", "SpillLog", "Accounting", "Admission", "Delivery", "Drain", "FrameCodec", "FrameRing",
                "LinuxSystem", "TimescaleStore", log,
            ],
            path: "Tests/DeliverySimulation", exclude: ["mutants"], swiftSettings: strict),
        .executableTarget(
            name: "RingTorture", dependencies: ["FrameRing"], path: "Tests/RingTorture", swiftSettings: strict),
        .executableTarget(
            name: "FrameFuzzer", dependencies: ["FrameCodec"], path: "Tests/FrameFuzzer",
            exclude: ["Corpus"], swiftSettings: strict),
    ]
)
