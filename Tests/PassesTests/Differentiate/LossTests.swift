import Foundation
import Graph
import Runtime
import Testing

@testable import Passes

@Suite("Losses") struct LossTests {
  /// y = tanh(x·w) as [batch, 4], z = exp(x·w) ⊗ y as [batch, 4, 4].
  private func module(outputs: [String] = ["y", "z"]) throws -> (Module, [RuntimeValue]) {
    var random = SplitMix(seed: 5)
    var module = Module(name: "small", opsets: ["": 21])
    func real(_ shape: [Int]) -> Tensor { Tensor(reals: (0..<shape.reduce(1, *)).map { _ in random.normal() / 2 }, .f64, shape) }
    func store(_ name: String, _ tensor: Tensor) {
      let value = module.add(Value(name: name, type: tensor.type))
      module.parameters.append(
        Parameter(value: value, content: TensorContent(tensor.data, element: tensor.element, shape: tensor.shape)))
    }
    store("w", real([3, 4]))
    store("unread", real([2]))
    let writer = try GraphWriter(module)
    let x = writer.input("x", TensorType(.f64, [.symbol("batch"), 3]))
    _ = writer.input("input_ids", TensorType(.i64, [.symbol("batch"), 4]))
    let h = x.times(Term(writer, ValueID(0)))
    let y = h.tanh
    if outputs.contains("y") { writer.output("y", y) }
    if outputs.contains("z") { writer.output("z", h.exp.unsqueezed([1]) * y.unsqueezed([2])) }
    if outputs.contains("ids") { writer.output("ids", h.cast(to: .i64)) }
    try writer.check()
    return (writer.module, [.tensor(real([2, 3])), .tensor(Tensor(wholes: [1, 3, 0, 2, 2, 2, 1, 0], .i64, [2, 4]))])
  }

  private func value(_ loss: Loss, of output: String? = nil, _ added: [Tensor] = []) throws -> Double {
    let (module, inputs) = try module()
    let placed = try loss.appended(to: module, output: output)
    return try #require(try PlainRunner(placed.module).run(inputs + added.map { .tensor($0) }).last?.tensor?.scalarReal)
  }

  private func outputs() throws -> (y: [Double], z: [Double]) {
    let (module, inputs) = try module()
    let made = try PlainRunner(module).run(inputs)
    return (try #require(made[0].tensor).reals, try #require(made[1].tensor).reals)
  }

  private func isNear(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-12 * max(1, abs(b)) }

  @Test("Each is the number that its formula gives")
  func formulas() throws {
    let (y, z) = try outputs()
    #expect(isNear(try value(.sumSquares, of: "y"), y.reduce(0) { $0 + $1 * $1 }))
    #expect(isNear(try value(.sumSquares), (y + z).reduce(0) { $0 + $1 * $1 }))
    let target = Tensor(reals: (0..<8).map { Double($0) / 4 }, .f64, [2, 4])
    let distance = zip(y, target.reals).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / 8
    #expect(isNear(try value(.meanSquares, [target]), distance))
    #expect(isNear(try value(.distortion, [target, Tensor(reals: z, .f64, [2, 4, 4])]), distance))
    func surprise(_ logits: ArraySlice<Double>, _ label: Int) -> Double {
      let largest = logits.max() ?? 0
      return largest + log(logits.reduce(0) { $0 + exp($1 - largest) }) - logits[logits.startIndex + label]
    }
    let labels = Tensor(wholes: [3, 0], .i64, [2])
    #expect(isNear(try value(.crossEntropy, [labels]), (surprise(y[0..<4], 3) + surprise(y[4..<8], 0)) / 2))
    let next = [[3, 0, 2], [2, 1, 0]].enumerated().flatMap { row, tokens in
      tokens.enumerated().map { place, token in surprise(z[(row * 16 + place * 4)..<(row * 16 + place * 4 + 4)], token) }
    }
    #expect(isNear(try value(.nextToken, of: "z"), next.reduce(0, +) / 6))
  }

  @Test("A model has no distortion against its own outputs, and no gradient of it; noise on them gives one")
  func distortion() throws {
    let (module, inputs) = try module()
    let placed = try Loss.distortion.appended(to: module)
    #expect(placed.inputs == ["target.y", "target.z"])
    let gradient = try Differentiate.run(placed.module, of: placed.value, by: [ValueID(0)])
    let made = try PlainRunner(module).run(inputs).compactMap(\.tensor)
    func length(_ targets: [Tensor]) throws -> Double {
      let found = try PlainRunner(gradient).run(inputs + targets.map { .tensor($0) }).first?.tensor
      return try #require(found).reals.reduce(0) { $0 + $1 * $1 }
    }
    #expect(try length(made) == 0)
    #expect(try length(Loss.noisy(made, deviation: 0.1, seed: 3)) > 0)
    #expect(Loss.noisy(made, deviation: 0.1, seed: 3).map(\.reals) == Loss.noisy(made, deviation: 0.1, seed: 3).map(\.reals))
    #expect(Loss.noisy(made, deviation: 0, seed: 3).map(\.reals) == made.map(\.reals))
  }

  @Test("What the loss does not depend on has a gradient of zeros, in its own shape")
  func unread() throws {
    let (module, inputs) = try module()
    let placed = try Loss.sumSquares.appended(to: module)
    let gradient = try Differentiate.run(placed.module, of: placed.value, by: placed.module.trainable, keeping: [placed.value])
    #expect(gradient.outputs.map { gradient[$0].name } == ["loss", "grad.w", "grad.unread"])
    #expect(try PlainRunner(gradient).run(inputs)[2].tensor?.reals == [0, 0])
    // Nothing is computed that nobody asked for.
    let unread = try Differentiate.run(placed.module, of: placed.value, by: [ValueID(1)])
    #expect(unread.nodes.count <= 2)
  }

  @Test("Gradients of gradients: a second derivative is the first one's gradient")
  func twice() throws {
    let (module, inputs) = try module(outputs: ["y"])
    let placed = try Loss.sumSquares.appended(to: module)
    let first = try Differentiate.run(placed.module, of: placed.value, by: [placed.module.inputs[0]])
    let again = try Loss.sumSquares.appended(to: first)
    let second = try Differentiate.run(again.module, of: again.value, by: [again.module.inputs[0]])
    #expect(Verifier.check(second).isEmpty)
    let x = try #require(inputs[0].tensor)
    func value(_ x: Tensor) throws -> Double {
      try #require(try PlainRunner(again.module).run([.tensor(x), inputs[1]]).last?.tensor?.scalarReal)
    }
    let found = try #require(try PlainRunner(second).run(inputs).first?.tensor).reals
    for at in found.indices {
      func moved(_ by: Double) throws -> Double {
        var numbers = x.reals
        numbers[at] += by
        return try value(Tensor(reals: numbers, .f64, x.shape))
      }
      #expect(abs(found[at] - (try moved(1e-5) - moved(-1e-5)) / 2e-5) < 1e-5 * (1 + abs(found[at])))
    }
  }

  @Test("What fits no loss is refused in one line that says why")
  func refused() throws {
    let (module, _) = try module()
    func message(_ body: () throws -> Void) -> String {
      do {
        try body()
        return ""
      } catch { return "\(error)" }
    }
    #expect(message { _ = try Loss.sumSquares.appended(to: module, output: "q") }.contains("no output 'q'; its outputs are y, z"))
    #expect(message { _ = try Loss.nextToken.appended(to: module, output: "y") }.contains("[batch, positions, vocabulary]"))
    #expect(
      message { try Loss.check(labels: Tensor(wholes: [0, 4], .i64, [2]), classes: 4) }.contains(
        "number 1 is 4, which is no class of 0 to 3"))
    let placed = try Loss.sumSquares.appended(to: module)
    #expect(
      message { _ = try Differentiate.run(placed.module, of: placed.module.outputs[0], by: [ValueID(0)]) }.contains(
        "a loss is one real number"))
    #expect(
      message { _ = try Differentiate.run(placed.module, of: placed.value, by: [placed.module.inputs[1]]) }
        .contains("input_ids: is i64[batch, 4]; a gradient is taken by real numbers only"))
  }
}
