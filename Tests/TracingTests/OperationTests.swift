import Formats
import Foundation
import Graph
import Runtime
import TestSupport
import Testing
import Tracing

@Suite("Traced operations compute what they say")
struct OperationTests {
  private func near(_ a: [Double], _ b: [Double]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($1)) }
  }

  @Test("Arithmetic with numbers on either side, and broadcasting")
  func arithmetic() throws {
    #expect(try result(of: [3]) { 1 - $0 / 2 }.reals == [1, 0.5, 0])
    #expect(try result(of: [3]) { 2 * $0 + 1 }.reals == [1, 3, 5])
    #expect(try result(of: [3]) { 6 / ($0 + 1) }.reals == [6, 3, 2])
    #expect(try result(of: [2, 2]) { -$0 + $0.sum([0]) }.reals == [2, 3, 0, 1])
  }

  @Test("Comparisons give truth values, which choose")
  func comparison() throws {
    #expect(try result(of: [4]) { ($0 .< 2).choose($0, else: -1) }.reals == [0, 1, -1, -1])
    #expect(try result(of: [4]) { $0.masked(where: ($0 .> 0) .& .!($0 .== 2), with: 9) }.reals == [0, 9, 2, 9])
  }

  @Test("Functions of one number")
  func functions() throws {
    let x = [0.0, 1, 2]
    #expect(near(try result(of: [3]) { $0.gelu() }.reals, x.map { $0 / 2 * (1 + erf($0 / 2.0.squareRoot())) }))
    #expect(
      near(
        try result(of: [3]) { $0.gelu(.tanh) }.reals,
        x.map { $0 / 2 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }))
    #expect(near(try result(of: [3]) { $0.silu() }.reals, x.map { $0 / (1 + exp(-$0)) }))
    #expect(near(try result(of: [3]) { ($0 - 1).relu() }.reals, [0, 0, 1]))
    #expect(near(try result(of: [3]) { $0.cos() * $0.sin() }.reals, x.map { cos($0) * sin($0) }))
    #expect(near(try result(of: [3]) { ($0 + 1).reciprocalSquareRoot() }.reals, x.map { 1 / ($0 + 1).squareRoot() }))
    #expect(near(try result(of: [3]) { $0.power(3) }.reals, [0, 1, 8]))
    #expect(try result(of: [3]) { $0.clamped(0.5...1.5) }.reals == [0.5, 1, 1.5])
    #expect(try result(of: [3]) { $0.cast(to: .i64) }.element == .i64)
  }

  @Test("Reductions, with the axes kept or not")
  func reductions() throws {
    #expect(try result(of: [2, 3]) { $0.mean([-1]) }.reals == [1, 4])
    #expect(try result(of: [2, 3]) { $0.max([0], keepingAxes: true) }.shape == [1, 3])
    #expect(try result(of: [2, 3]) { $0.sum([0, 1]) }.reals == [15])
    #expect(near(try result(of: [2]) { $0.softmax() }.reals, [1 / (1 + M_E), M_E / (1 + M_E)]))
  }

  @Test("Moves keep numbers: repeat in a row, pad, stack, concatenate")
  func moves() throws {
    #expect(try result(of: [2, 1]) { $0.repeated(2, axis: 0) }.reals == [0, 0, 1, 1])
    #expect(try result(of: [2, 1]) { $0.padded(before: [1], after: [0]) }.reals == [0, 0, 0, 1])
    #expect(try result(of: [2]) { .stacked([$0, $0 + 2]) }.shape == [2, 2])
    #expect(try result(of: [2]) { .concatenated([$0, $0 + 2], axis: 0) }.reals == [0, 1, 2, 3])
    #expect(try result(of: [2, 3]) { $0.transposed() }.reals == [0, 3, 1, 4, 2, 5])
    #expect(try result(of: [1, 2, 1]) { $0.squeezed(axis: 0).squeezed(axis: -1).unsqueezed(axis: -1) }.shape == [2, 1])
    #expect(try result(of: [2, 2]) { $0.lowerTriangle() }.reals == [0, 0, 2, 3])
  }

  struct Norms: Layer {
    let weight = Tracing.Parameter([4], .constant(2))
    let bias = Tracing.Parameter([4], .constant(1))
  }

  private func normed(_ shape: [Int], _ body: @escaping (Traced, Norms) -> Traced) throws -> [Double] {
    let norms = Norms()
    let module = try trace("m", norms) { trace in trace.output("y", body(trace.input("x", shape), norms)) }
    return try #require(try Session(module).run([.tensor(.counting(shape))]).first?.tensor).reals
  }

  @Test("Norms: layer, root mean square, batch, group")
  func norms() throws {
    let spread = 1.25.squareRoot()
    let centred = [-1.5, -0.5, 0.5, 1.5].map { 2 * $0 / spread + 1 }
    #expect(near(try normed([1, 4]) { $0.layerNorm($1.weight.tensor, $1.bias.tensor, epsilon: 0) }, centred))
    #expect(
      near(try normed([1, 4]) { $0.rmsNorm($1.weight.tensor, epsilon: 0) }, [0, 1, 2, 3].map { 2 * $0 / 3.5.squareRoot() }))
    #expect(
      near(try normed([1, 4, 1]) { $0.groupNorm(groups: 1, scale: $1.weight.tensor, bias: $1.bias.tensor, epsilon: 0) }, centred))
    #expect(
      near(
        try normed([1, 4]) { x, norms in
          x.batchNorm(scale: norms.weight.tensor, bias: norms.bias.tensor, mean: norms.bias.tensor, variance: norms.weight.tensor)
        }, [-1, 0, 1, 2].map { $0 * 2 / (2 + 1e-5).squareRoot() + 1 }))
  }

  @Test("Convolutions over one and two axes, with groups, stride and padding; pools")
  func windows() throws {
    struct Convolutions: Layer {
      let line = Convolution(2, 2, kernel: 3, padding: 1, groups: 2, bias: false, axes: 1)
      let square = Convolution(1, 3, kernel: 2, stride: 2)
    }
    let model = Convolutions()
    let module = try trace("m", model) { trace in
      trace.output("line", model.line(trace.input("a", [1, 2, 5])))
      let square = model.square(trace.input("b", [Extent.symbol("batch"), 1, 8, 8]))
      trace.output("square", square)
      trace.output(
        "mean", square.averagePooled([2, 2]).maxPooled([3, 3], stride: [1, 1], padding: [1, 1]).globalAveragePooled())
    }
    #expect(
      module.outputs.map { module[$0].type.description } == ["f32[1, 2, 5]", "f32[batch, 3, 4, 4]", "f32[batch, 3, 1, 1]"])
  }

  @Test("A causal mask lets a query see what came before, and with a window only the latest of it")
  func masks() throws {
    func mask(_ window: Int?) throws -> [Int] {
      let module = try trace("m") { trace in
        let x = trace.input("x", [Extent.symbol("length")])
        trace.output("y", trace.causalMask(x.shape[0], window: window))
      }
      return try #require(try Session(module).run([.tensor(.counting([3]))]).first?.tensor).wholes
    }
    #expect(try mask(nil) == [1, 0, 0, 1, 1, 0, 1, 1, 1])
    #expect(try mask(2) == [1, 0, 0, 1, 1, 0, 0, 1, 1])
  }

  @Test("A trace is a module like any other: it prints and parses, verifies, and goes to ONNX and back")
  func interchange() throws {
    let norms = Norms()
    let module = try trace("m", norms) { trace in
      let x = trace.input("x", [Extent.symbol("batch"), Extent.symbol("sequence"), 4])
      let y = x.rmsNorm(norms.weight.tensor).attention(keys: x, values: x, mask: trace.causalMask(x.shape[1]))
      trace.output("y", y + norms.bias.tensor)
      trace.output("same", x)
    }
    #expect(Verifier.check(module).isEmpty)
    let text = ModulePrinter.print(module)
    #expect(ModulePrinter.print(try ModuleParser.parse(text)) == text)
    let document = try OnnxDocument(bytes: try OnnxWriter.bytes(Exporter.model(of: module), patching: nil))
    let again = try Importer.module(from: document.model)
    let input = Numbers.counting([2, 3, 4])
    let first = try Session(module).run([.tensor(input)]).compactMap { $0.tensor?.reals }
    #expect(first.count == 2 && first[1] == input.reals)
    #expect(try Session(again).run([.tensor(input)]).compactMap { $0.tensor?.reals } == first)
  }
}
