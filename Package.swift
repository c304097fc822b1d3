// swift-tools-version: 6.0
import PackageDescription

let strict: [SwiftSetting] = [.swiftLanguageMode(.v6)]
let package = Package(
  name: "prunec",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "prunec", targets: ["prunec"]),
    .library(name: "PrunecTracing", targets: ["Tracing"]),
    .library(name: "PrunecPasses", targets: ["Passes"]),
  ],
  targets: [
    .target(name: "Kernels", linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))]),
    .target(name: "Graph", exclude: ["Tracing"], swiftSettings: strict),
    .target(name: "Tracing", dependencies: ["Graph"], path: "Sources/Graph/Tracing", swiftSettings: strict),
    .target(
      name: "Zoo", dependencies: ["Tracing"], path: "examples/Zoo", exclude: ["README.md"], swiftSettings: strict),
    .target(name: "Formats", dependencies: ["Graph"], swiftSettings: strict),
    .target(name: "Passes", dependencies: ["Graph", "Formats", "Kernels", "Runtime"], swiftSettings: strict),
    .target(name: "Runtime", dependencies: ["Graph", "Kernels"], swiftSettings: strict),
    .executableTarget(
      name: "prunec", dependencies: ["Graph", "Formats", "Passes", "Runtime", "Tracing", "Zoo"], swiftSettings: strict),
    .executableTarget(
      name: "own-model", dependencies: ["Tracing", "Graph", "Formats", "Passes", "Runtime"], path: "examples/OwnModel",
      swiftSettings: strict),
    .executableTarget(
      name: "vision-splits", dependencies: ["Zoo", "Tracing", "Passes", "Runtime"], path: "examples/VisionSplits",
      swiftSettings: strict),
    .executableTarget(
      name: "drop-layers", dependencies: ["Zoo", "Tracing", "Runtime"], path: "examples/DropLayers", swiftSettings: strict),
    .target(name: "TestSupport", dependencies: ["Graph", "Formats", "Passes"], path: "Tests/TestSupport", swiftSettings: strict),
    .testTarget(name: "GraphTests", dependencies: ["Graph", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "TracingTests", dependencies: ["Tracing", "Runtime", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "ZooTests", dependencies: ["Zoo", "Tracing", "Runtime", "Passes", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "FormatsTests", dependencies: ["Formats", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "RuntimeTests", dependencies: ["Runtime", "Formats", "Passes", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "CommandTests", dependencies: ["prunec", "TestSupport", "Tracing", "Zoo"], swiftSettings: strict),
    .testTarget(name: "PassesTests", dependencies: ["Passes", "TestSupport"], exclude: ["Cases"], swiftSettings: strict),
  ]
)
