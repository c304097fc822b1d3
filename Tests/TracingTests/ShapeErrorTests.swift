import Graph
import Testing
import Tracing

@Suite("What does not fit is thrown at the end, with what met what and the Swift line")
struct ShapeErrorTests {
  @Test("A product names both operands and its own line")
  func matmul() throws {
    let line: UInt = #line + 1
    let thrown = failure { trace in trace.output("y", trace.input("a", [2, 3]).matmul(trace.input("b", [4, 5]))) }
    let error = try #require(thrown)
    #expect(error.file == "TracingTests/ShapeErrorTests.swift:\(line)")
    #expect(error.kind == .invalid && error.message.contains("f32[2, 3]") && error.message.contains("f32[4, 5]"))
  }

  @Test("An operator such as + knows no line of its own: its operands' lines are named")
  func operators() throws {
    let line: UInt = #line + 1
    let thrown = failure { trace in trace.output("y", trace.input("a", [2, 3]) + trace.input("b", [2, 4])) }
    let error = try #require(thrown)
    #expect(error.message.contains("f32[2, 3] of TracingTests/ShapeErrorTests.swift:\(line)"))
    #expect(error.message.contains("3 meets 4"))
  }

  @Test("A layer's failure has the line of its call, and its node the path of the layer")
  func layers() throws {
    struct Model: Layer {
      let head = Linear(4, 2)
    }
    let model = Model()
    let line: UInt = #line + 1
    let body: (Trace) -> Void = { trace in trace.output("y", model.head(trace.input("x", [1, 2, 3]))) }
    let error = #expect(throws: Diagnostic.self) { try trace("m", model, body) }
    #expect(error?.file == "TracingTests/ShapeErrorTests.swift:\(line)" && error?.place == .node("head/matmul"))
  }

  @Test("The first failure is told; what follows from it is not, and no shape of it traps")
  func firstOnly() throws {
    let error = try #require(
      failure { trace in
        let broken = trace.input("x", [6]).reshaped(to: [4, -1])
        let parts = broken.reshaped(to: [broken.shape[5], broken.shape[-1]]).permuted([3, 4]).split([1, 2], axis: 7)
        trace.output("y", parts[1].softmax().flattened()[0, 1].layerNorm(parts[0]).sum([9]))
      })
    #expect(error.message == "reshape: f32[6] of 6 numbers cannot take the shape [4, -1] of 4")
  }

  @Test("Symbols are followed: batch·6 numbers are [-1, 6], not [-1, 4]; and another symbol is another length")
  func symbols() throws {
    let batch = Extent.symbol("batch")
    let module = try trace("m") { trace in
      let x = trace.input("x", [batch, 2, 3])
      trace.output("y", x.reshaped(to: [-1, 6]))
      trace.output("z", x.reshaped(to: [batch * 2, 3]).reshaped(to: [batch, 2, 3]))
    }
    #expect(module.outputs.map { module[$0].type.description } == ["f32[batch, 6]", "f32[batch, 2, 3]"])
    #expect(failure { trace in trace.output("y", trace.input("x", [batch, 2, 3]).reshaped(to: [batch, 5])) } != nil)
    #expect(failure { trace in trace.output("y", trace.input("x", [batch, 2]).reshaped(to: [Extent.symbol("b"), 2])) } != nil)
  }

  @Test("Names of inputs and outputs are not empty and come once; a trace has an output; axes of inputs are not empty")
  func interface() throws {
    #expect(failure { _ in }?.message.contains("has no output") == true)
    #expect(failure { trace in trace.output("", trace.input("x", [1])) }?.message == "an output needs a name")
    #expect(failure { trace in trace.output("x", trace.input("x", [1])) }?.message == "there are two tensors called x")
    #expect(failure { trace in trace.output("y", trace.input("x", [0])) }?.message == "input x has an axis of 0 indices")
  }

  @Test("A parameter that no property of the model leads to is refused, and so is a tensor of another trace")
  func strangers() throws {
    let stray = Linear(3, 2)
    #expect(
      failure { trace in trace.output("y", stray(trace.input("x", [1, 3]))) }?.message.contains("no property of the traced model")
        == true)
    var kept: Traced?
    _ = failure { trace in kept = trace.input("x", [1, 3]) }
    let other = try #require(kept)
    #expect(failure { trace in trace.output("y", other + trace.input("x", [1, 3])) }?.message.contains("another trace") == true)
  }

  @Test("Only axes of length 1 are repeated, and no axis is lost", arguments: [[2], [3], [1, 2], [2, 2, 4]])
  func expansion(target: [Int]) throws {
    let thrown = failure { trace in trace.output("y", trace.input("x", [1, 3]).expanded(to: target)) }
    #expect(try #require(thrown).message == "expand: f32[1, 3] cannot take the shape \(target)")
  }

  @Test("A length that no tensor has cannot be had when the model runs")
  func unknownLength() throws {
    let error = try #require(
      failure { trace in trace.output("y", trace.input("x", [1, 3]).expanded(to: [Extent.symbol("copies"), 3])) })
    #expect(error.message.hasPrefix("no tensor of the trace has an axis of copies"))
  }
}
