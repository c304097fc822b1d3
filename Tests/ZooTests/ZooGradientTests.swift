import Formats
import Foundation
import Graph
import Passes
import Runtime
import Testing
import Tracing
import Zoo

/// PyTorch's gradients of a zoo model, as scripts/check_gradients.py recorded them.
private struct GradientRecording {
  /// Length, and projections on vectors of random signs.
  typealias Figures = (length: Double, projections: [Double])

  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/gradients").path

  private let arrays: [String: NpyArray]

  init(_ name: String) throws {
    arrays = Dictionary(
      try NpzFile.read("\(Self.folder)/\(name).npz").map { ($0.name, $0.array) }, uniquingKeysWith: { first, _ in first })
  }

  var losses: [Loss] { Loss.names.filter { arrays["\($0.name).loss"] != nil }.map(\.loss) }

  func loss(_ loss: Loss) throws -> Double {
    try #require(arrays["\(loss.name).loss"]?.data.numbers(as: Double.self).first)
  }

  func figures(_ loss: Loss) throws -> [String: Figures] {
    let text = String(decoding: try #require(arrays["\(loss.name).names"]).data.numbers(as: UInt8.self), as: UTF8.self)
    let array = try #require(arrays["\(loss.name).figures"])
    let numbers = array.data.numbers(as: Double.self)
    let width = array.shape[1]
    return Dictionary(
      uniqueKeysWithValues: text.split(separator: "\n").enumerated().map { index, name in
        let row = numbers[index * width..<(index + 1) * width]
        return (String(name), (row[row.startIndex], Array(row.dropFirst())))
      })
  }

  /// The projections of a gradient.
  static func projections(_ numbers: [Double], count: Int) -> [Double] {
    (0..<count).map { seed in
      var random = SplitMix(seed: UInt64(seed + 1))
      return numbers.reduce(0) { $0 + (random.next() >> 63 == 1 ? -$1 : $1) }
    }
  }
}

@Suite("Gradients of the zoo's models are PyTorch's")
struct ZooGradientTests {
  /// Inputs that a loss needs beside the model's, as the script makes them.
  private func additional(_ loss: Loss, output: TensorType, shape: [Int]) -> [RuntimeValue] {
    switch loss {
    case .sumSquares, .nextToken, .distortion: return []
    case .crossEntropy: return [.tensor(Graph.Tensor(wholes: (0..<shape[0]).map { $0 % shape[1] }, .i64, [shape[0]]))]
    case .meanSquares:
      var random = SplitMix(seed: 99)
      let signs = (0..<shape.reduce(1, *)).map { _ in random.next() >> 63 == 1 ? -1.0 : 1.0 }
      return [.tensor(Graph.Tensor(reals: signs, output.element, shape))]
    }
  }

  /// By loss and parameter, the distance of prunec's gradient from PyTorch's in shares of its length (at least a thousandth of the longest).
  private func errors(_ name: String, scaling factor: Double = 1) throws -> [String: Double] {
    let fixture = try ZooFixture(name)
    let recording = try GradientRecording(name)
    let module = try fixture.module()
    let inputs = try fixture.inputs(of: module)
    let shape = try #require(try Session(module).run(inputs).first?.tensor).shape
    var errors: [String: Double] = [:]
    for loss in recording.losses {
      let placed = try loss.appended(to: module)
      let targets = placed.module.trainable
      let gradient = try Differentiate.run(placed.module, of: placed.value, by: targets, keeping: [placed.value])
      #expect(Verifier.check(gradient).isEmpty && VerifyDimensions.run(gradient).isEmpty)
      let output = module[try #require(module.outputs.first)].type
      let values = try Session(gradient).run(inputs + additional(loss, output: output, shape: shape)).map {
        try #require($0.tensor)
      }
      let wanted = try recording.loss(loss)
      errors["\(loss.name) itself"] = abs(try #require(values.first?.scalarReal) - wanted) / abs(wanted)
      let figures = try recording.figures(loss)
      let longest = figures.values.map(\.length).max() ?? 0
      var missing = Set(figures.keys)
      for (target, value) in zip(targets, values.dropFirst()) {
        let content = TensorContent(value.data, element: value.element, shape: value.shape)
        for (name, part) in NamedParameter.storedTensors(of: placed.module[target].name, content) {
          guard let known = figures[name], let numbers = Graph.Tensor(part)?.reals else { continue }
          missing.remove(name)
          let own = GradientRecording.projections(numbers.map { $0 * factor }, count: known.projections.count)
          let distances = zip(own, known.projections).map { ($0 - $1) * ($0 - $1) }
          let distance = (distances.reduce(0, +) / Double(distances.count)).squareRoot()
          errors["\(loss.name) \(name)"] = distance / max(known.length, longest / 1000)
        }
      }
      #expect(missing.isEmpty, "no gradient of \(missing.sorted())")
    }
    return errors
  }

  @Test("To 1e-4 for every parameter, by two losses", arguments: ZooFixture.names)
  func pytorch(name: String) throws {
    let errors = try errors(name)
    let worst = errors.max { $0.value < $1.value }
    #expect(errors.count > 8 && errors.values.allSatisfy { $0 < 1e-4 }, "\(worst.map { "\($0)" } ?? "")")
  }

  @Test("A gradient that is wrong by a thousandth is noticed: the comparison can fail")
  func canFail() throws {
    let errors = try errors("lenet", scaling: 1.001).filter { !$0.key.hasSuffix("itself") }
    #expect(errors.values.allSatisfy { $0 > 1e-4 })
  }
}
