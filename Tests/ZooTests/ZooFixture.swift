import Formats
import Foundation
import Graph
import Passes
import Runtime
import Testing
import Tracing
import Zoo

/// A small model of a library with its weights, an input, and what the library makes of it.
struct ZooFixture {
  /// Names of all fixtures.
  static let names: [String] = {
    let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
    return (names ?? []).filter { !$0.hasPrefix(".") }.sorted()
  }()

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/zoo").path

  let name: String
  let configuration: Configuration
  let tensors: [String: TensorContent]
  private let arrays: [(name: String, array: NpyArray)]

  init(_ name: String) throws {
    self.name = name
    let folder = "\(Self.folder)/\(name)"
    configuration = try Configuration(json: try Data(contentsOf: URL(fileURLWithPath: "\(folder)/config.json")))
    let file = try Safetensors.read(path: "\(folder)/model.safetensors")
    tensors = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0.content) })
    arrays = try NpzFile.read("\(folder)/io.npz")
  }

  /// The model with the library's weights.
  func module() throws -> Module {
    try Zoo.model(configuration: configuration).module(named: name, weights: .stored(tensors))
  }

  /// The recorded inputs.
  func inputs(of module: Module) throws -> [RuntimeValue] {
    try ArrayExchange.inputs(of: module, from: arrays.filter { $0.name.hasPrefix("in.") })
  }

  /// By output, the largest difference from the library's numbers, in shares of its largest number.
  func errors(of module: Module) throws -> [String: Double] {
    let inputs = try inputs(of: module)
    let outputs = try Session(module).run(inputs)
    var errors: [String: Double] = [:]
    for (output, value) in zip(module.outputs, outputs) {
      let name = module[output].name
      let tensor = try #require(value.tensor)
      let wanted = try #require(arrays.first { $0.name == "out.\(name)" }, "no output \(name)").array
      #expect(tensor.shape == wanted.shape)
      let numbers = wanted.data.numbers(as: Float.self).map(Double.init)
      let largest = numbers.map(abs).max() ?? 0
      errors[name] = (zip(tensor.reals, numbers).map { abs($0 - $1) }.max() ?? .infinity) / largest
    }
    return errors
  }
}
