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
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")

let package = Package(
    name: "spillway",
    products: [
        .library(name: "SpillwayClient", targets: ["SpillwayClient"]),
        .library(name: "FrameCodec", targets: ["FrameCodec"]),
        .library(name: "FrameRing", targets: ["FrameRing"]),
        .library(name: "SpillLog", targets: ["SpillLog"]),
        .library(name: "Postgres", targets: ["Postgres"]),
        .library(name: "EmbeddedPostgres", targets: ["EmbeddedPostgres"]),
        .library(name: "StoreSchema", targets: ["StoreSchema"]),
        .library(name: "StoreWriter", targets: ["StoreWriter"]),
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
        // The way of a frame, in its order: no target depends on one further down.
        .target(name: "MetricKinds", swiftSettings: strict),
        .target(name: "CChecksum"),
        // JSON texts, hexadecimal, dates and numbers for people.
        .target(name: "Text", swiftSettings: strict),
        .target(name: "FrameCodec", dependencies: ["MetricKinds", "CChecksum"], swiftSettings: strict),
        .target(name: "FrameRing", swiftSettings: strict),
        .target(name: "CLinux"),
        .target(name: "LinuxSystem", dependencies: ["CLinux"], swiftSettings: strict),
        // What was sent, and where it went, in numbers.
        .target(name: "Accounting", dependencies: ["FrameCodec", "LinuxSystem"], swiftSettings: strict),
        // What is decided on a frame's way, without I/O, threads and clocks.
        .target(
            name: "Delivery", dependencies: ["MetricKinds", "Text", "FrameCodec", "Accounting"], swiftSettings: strict),
        // What may enter, and how it gets into the ring.
        .target(
            name: "Admission", dependencies: ["FrameCodec", "FrameRing", "Accounting", "Delivery"],
            swiftSettings: strict),
        .target(
            name: "Listeners",
            dependencies: [
                "FrameCodec", "FrameRing", "CLinux", "LinuxSystem", "Accounting", "Delivery", "Admission", log, nioCore,
                nioPosix,
            ], swiftSettings: strict),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .target(
            name: "SpillLog",
            dependencies: ["CChecksum", "Text", "FrameCodec", "CLinux", "LinuxSystem", "Delivery", "CLZ4"],
            swiftSettings: strict),
        .systemLibrary(name: "CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        // A session of libpq, and the private server.
        .target(
            name: "Postgres", dependencies: ["MetricKinds", "Text", "LinuxSystem", "CPostgreSQL"], swiftSettings: strict
        ),
        .target(name: "EmbeddedPostgres", dependencies: ["LinuxSystem", "Postgres", log], swiftSettings: strict),
        .target(
            name: "StoreSchema", dependencies: ["MetricKinds", "Text", "LinuxSystem", "Postgres"], swiftSettings: strict
        ),
        .target(
            name: "StoreWriter",
            dependencies: [
                "MetricKinds", "Text", "FrameCodec", "LinuxSystem", "Accounting", "Delivery", "Postgres", "StoreSchema",
            ], swiftSettings: strict),
        .target(
            name: "StoreQueries", dependencies: ["MetricKinds", "Text", "Postgres", "StoreSchema"],
            swiftSettings: strict),
        .target(
            name: "Maintenance",
            dependencies: ["MetricKinds", "FrameCodec", "Delivery", "Postgres", "StoreSchema", "StoreWriter"],
            swiftSettings: strict),
        // From the ring to the database, by way of the spill.
        .target(
            name: "Drain",
            dependencies: [
                "MetricKinds", "Text", "FrameCodec", "FrameRing", "LinuxSystem", "Accounting", "Delivery", "SpillLog",
                "Postgres", "StoreSchema", "StoreWriter", "Maintenance", log,
            ], swiftSettings: strict),

        // What programs use to send, and the text form of records.
        .target(
            name: "SpillwayClient", dependencies: ["MetricKinds", "FrameCodec", "CLinux", "LinuxSystem"],
            swiftSettings: strict),
        .target(name: "JSONLines", dependencies: ["MetricKinds", "Text", "FrameCodec"], swiftSettings: strict),

        // The composition, and the programs.
        .target(
            name: "Collector",
            dependencies: [
                "Text", "FrameCodec", "FrameRing", "LinuxSystem", "Accounting", "Delivery", "Listeners", "SpillLog",
                "Postgres", "EmbeddedPostgres", "StoreSchema", "StoreWriter", "Maintenance", "Drain", "SpillwayClient",
                log, nioCore, nioHTTP1, nioPosix,
            ], swiftSettings: strict),
        .executableTarget(
            name: "spillway",
            dependencies: [
                "MetricKinds", "Text", "FrameCodec", "LinuxSystem", "Accounting", "SpillLog", "Postgres",
                "EmbeddedPostgres", "StoreSchema", "StoreWriter", "StoreQueries", "Maintenance", "Drain",
                "SpillwayClient", "JSONLines", "Collector", arguments, log,
            ], swiftSettings: strict),
        .executableTarget(name: "KindsGenerator", swiftSettings: strict),

        // Tests, at mirrored paths.
        .target(
            name: "TestSupport",
            dependencies: ["FrameCodec", "LinuxSystem", "Postgres", "EmbeddedPostgres", "StoreSchema", log],
            path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(name: "MetricKindsTests", dependencies: ["MetricKinds"], swiftSettings: strict),
        .testTarget(name: "TextTests", dependencies: ["Text"], swiftSettings: strict),
        .testTarget(
            name: "FrameCodecTests", dependencies: ["MetricKinds", "CChecksum", "FrameCodec"], swiftSettings: strict),
        .testTarget(name: "FrameRingTests", dependencies: ["FrameRing"], swiftSettings: strict),
        .testTarget(
            name: "LinuxSystemTests", dependencies: ["LinuxSystem", "Postgres", "EmbeddedPostgres", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "AccountingTests",
            dependencies: ["FrameCodec", "LinuxSystem", "Accounting", "Delivery", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "DeliveryTests", dependencies: ["MetricKinds", "FrameCodec", "Delivery"], swiftSettings: strict),
        .testTarget(
            name: "ListenersTests",
            dependencies: [
                "FrameCodec", "FrameRing", "LinuxSystem", "Accounting", "Delivery", "Admission", "Listeners",
                "TestSupport", log, nioCore,
            ], swiftSettings: strict),
        .testTarget(
            name: "SpillLogTests", dependencies: ["CChecksum", "FrameCodec", "LinuxSystem", "Delivery", "SpillLog"],
            swiftSettings: strict),
        .testTarget(
            name: "PostgresTests", dependencies: ["LinuxSystem", "Postgres", "EmbeddedPostgres", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "EmbeddedPostgresTests",
            dependencies: ["LinuxSystem", "Postgres", "EmbeddedPostgres", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "StoreTests",
            dependencies: [
                "MetricKinds", "Text", "FrameCodec", "LinuxSystem", "Delivery", "Postgres", "EmbeddedPostgres",
                "StoreSchema", "StoreWriter", "StoreQueries", "Maintenance", "TestSupport",
            ], swiftSettings: strict),
        .testTarget(name: "DrainTests", dependencies: ["Accounting", "Delivery", "Drain"], swiftSettings: strict),
        .testTarget(
            name: "SpillwayClientTests", dependencies: ["LinuxSystem", "SpillwayClient"], swiftSettings: strict),
        .testTarget(
            name: "JSONLinesTests", dependencies: ["MetricKinds", "FrameCodec", "JSONLines"], swiftSettings: strict),
        .testTarget(
            name: "CollectorTests", dependencies: ["FrameCodec", "Listeners", "Postgres", "Collector"],
            swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "MetricKinds", "Text", "FrameCodec", "LinuxSystem", "Accounting", "Delivery", "SpillLog", "Postgres",
                "EmbeddedPostgres", "StoreSchema", "SpillwayClient", "spillway", "TestSupport",
            ], exclude: ["Support/short-writes.c"], swiftSettings: strict),
        .executableTarget(
            name: "DeliverySimulation",
            dependencies: [
                "MetricKinds", "FrameCodec", "FrameRing", "LinuxSystem", "Accounting", "Delivery", "Admission",
                "SpillLog", "StoreWriter", "Drain", log,
            ], path: "Tests/DeliverySimulation", exclude: ["mutants"], swiftSettings: strict),
        .executableTarget(
            name: "RingTorture", dependencies: ["FrameRing"], path: "Tests/RingTorture", swiftSettings: strict),
        .executableTarget(
            name: "FrameFuzzer", dependencies: ["MetricKinds", "FrameCodec"], path: "Tests/FrameFuzzer",
            exclude: ["Corpus"], swiftSettings: strict),
    ]
)
