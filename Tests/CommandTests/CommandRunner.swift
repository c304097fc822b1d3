import Formats
import Foundation
import Graph

/// A folder of its own for one test, and the built command to run in it.
final class CommandRunner {
  /// What a run of the command gave back.
  struct Outcome {
    let code: Int32
    let output: String
    let errors: String
  }

  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("prunec-command-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(at: folder)
  }

  /// The path of a file in the folder.
  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

  func contents(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: folder.appendingPathComponent(name))) }

  func write(_ bytes: [UInt8], _ name: String) throws { try Data(bytes).write(to: folder.appendingPathComponent(name)) }

  func write(_ text: String, _ name: String) throws { try write(Array(text.utf8), name) }

  func write(_ model: NamedModel, _ name: String) throws { try write(try OnnxWriter.bytes(model, patching: nil), name) }

  /// Runs the command in the folder.
  func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Outcome {
    try run(Self.command, arguments, environment)
  }

  /// Runs any program in the folder.
  func run(_ program: URL, _ arguments: [String], _ environment: [String: String] = [:]) throws -> Outcome {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    // Files rather than pipes: a full pipe would stop the command.
    let output = folder.appendingPathComponent(".output-\(UUID().uuidString)")
    let errors = folder.appendingPathComponent(".errors-\(UUID().uuidString)")
    for file in [output, errors] { try Data().write(to: file) }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    process.waitUntilExit()
    return Outcome(
      code: process.terminationStatus, output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
      errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
  }

  /// The command beside the test bundle.
  static let command: URL = {
    let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    var candidates = [bundle, Bundle.main.bundleURL]
    for folder in [bundle, Bundle.main.bundleURL] {
      candidates += [folder.deletingLastPathComponent(), folder.deletingLastPathComponent().deletingLastPathComponent()]
    }
    candidates.append(
      URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../.build/debug").standardizedFileURL
    )
    let files = candidates.map { $0.appendingPathComponent("prunec") }
    return files.first { FileManager.default.isExecutableFile(atPath: $0.path) } ?? files[0]
  }()
}

/// Small models as files have them.
enum SmallModel {
  /// Two linear layers with 16 hidden units between: x [1, 4] → y [1, 3].
  static func perceptron(hidden: Int = 16) -> NamedModel {
    model(
      [
        node("Gemm", ["x", "fc1.weight", "fc1.bias"], "h", [("transB", .int(1))]),
        node("Relu", ["h"], "a"),
        node("Gemm", ["a", "fc2.weight", "fc2.bias"], "y", [("transB", .int(1))]),
      ], hidden: hidden)
  }

  /// A node named after its result.
  static func node(
    _ type: String, _ inputs: [String], _ output: String, _ attributes: [(name: String, value: AttributeValue)] = [],
    domain: String = ""
  ) -> NamedNode {
    NamedNode(domain: domain, type: type, name: "node_\(output)", inputs: inputs, outputs: [output], attributes: attributes)
  }

  /// Any nodes over the perceptron's parameters.
  static func model(_ nodes: [NamedNode], hidden: Int = 16, opsets: [String: Int] = ["": 20]) -> NamedModel {
    NamedModel(
      name: "perceptron", nodes: nodes,
      initializers: [
        weights("fc1.weight", [hidden, 4]), weights("fc1.bias", [hidden]), weights("fc2.weight", [3, hidden]),
        weights("fc2.bias", [3]),
      ],
      inputs: [NamedValue(name: "x", type: TensorType(.f32, [1, 4]))],
      outputs: [NamedValue(name: "y", type: TensorType(.f32, [1, 3]))],
      opsets: opsets)
  }

  /// Numbers that differ from index to index.
  private static func weights(_ name: String, _ shape: [Int]) -> NamedTensor {
    let count = shape.reduce(1, *)
    let numbers = (0..<count).map { Float(($0 * 7919 + name.count) % 97) / 48 - 1 }
    return NamedTensor(
      name: name, type: TensorType(.f32, shape.map { Extent($0) }),
      content: TensorContent(TensorData(numbers), element: .f32, shape: shape))
  }
}
