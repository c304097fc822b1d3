import Graph
import Testing
import Tracing

@Suite("Subscripts and cuts take what Python's would")
struct IndexingTests {
  @Test("A number takes one index and drops the axis; negative numbers count from the end")
  func numbers() throws {
    #expect(try result(of: [2, 3]) { $0[1] }.reals == [3, 4, 5])
    #expect(try result(of: [2, 3]) { $0[-2] }.reals == [0, 1, 2])
    let inner = try result(of: [2, 3, 4]) { $0[1, 2] }
    #expect(inner.shape == [4] && inner.reals == [20, 21, 22, 23])
  }

  @Test("Ranges cut; 0... is a whole axis, and ... stands for all axes before the last ones")
  func ranges() throws {
    #expect(try result(of: [2, 3]) { $0[0..., 0..<2] }.reals == [0, 1, 3, 4])
    #expect(try result(of: [2, 3]) { $0[0..., 1...] }.reals == [1, 2, 4, 5])
    #expect(try result(of: [2, 3]) { $0[0..., ..<1] }.shape == [2, 1])
    #expect(try result(of: [2, 3]) { $0[0..., 1...2] }.reals == [1, 2, 4, 5])
    #expect(try result(of: [2, 2, 3]) { $0[..., 0] }.reals == [0, 3, 6, 9])
    #expect(try result(of: [2, 2, 3]) { $0[..., 1, 0..<2] }.reals == [3, 4, 9, 10])
  }

  @Test("A slice has a step, and bounds that count from the end")
  func slices() throws {
    #expect(try result(of: [6]) { $0[Slice(by: 2)] }.reals == [0, 2, 4])
    #expect(try result(of: [6]) { $0[Slice(from: 1, to: -1, by: 2)] }.reals == [1, 3])
    #expect(try result(of: [6]) { $0[Slice(from: -2)] }.reals == [4, 5])
  }

  @Test("An axis may be named instead, from either end")
  func namedAxis() throws {
    #expect(try result(of: [2, 3]) { $0[0, axis: -1] }.reals == [0, 3])
    #expect(try result(of: [2, 3]) { $0[1..<3, axis: 1] }.reals == [1, 2, 4, 5])
  }

  @Test(
    "Indices outside of an axis are refused, with the line",
    arguments: [
      (AnyIndex(2), "index 2 is outside of axis 0 of f32[2, 3]"), (AnyIndex(-3), "index -3 is outside of axis 0 of f32[2, 3]"),
      (AnyIndex(1..<3), "indices 1..<3 are outside of axis 0 of f32[2, 3]"),
      (AnyIndex(Slice(by: 0)), "indices 0... by 0 are outside of axis 0 of f32[2, 3]"),
    ])
  func outside(index: AnyIndex, message: String) throws {
    let line: UInt = #line + 1
    let error = try #require(failure { trace in trace.output("y", trace.input("x", [2, 3])[index.index]) })
    #expect(error.description == "TracingTests/IndexingTests.swift:\(line): \(message)")
  }

  @Test("More indices than axes are refused")
  func tooMany() throws {
    let error = try #require(failure { trace in trace.output("y", trace.input("x", [2, 3])[0, 0, 0]) })
    #expect(error.message == "3 indices are given for f32[2, 3]")
  }

  @Test("Split gives the lengths asked for, chunk equal parts, unbind slices without the axis")
  func cuts() throws {
    #expect(try result(of: [5]) { $0.split([2, 3], axis: 0)[1] }.reals == [2, 3, 4])
    #expect(try result(of: [2, 4]) { $0.chunked(2, axis: -1)[1] }.reals == [2, 3, 6, 7])
    #expect(try result(of: [3, 2]) { $0.unbound(axis: 0)[2] }.reals == [4, 5])
    #expect(try result(of: [3, 2]) { $0.unbound(axis: 1, count: 2)[0] }.reals == [0, 2, 4])
  }

  @Test("As many parts come back as were asked for, even where they cannot be had; so taking them apart cannot trap")
  func failedCuts() throws {
    let split = try #require(failure { trace in trace.output("y", trace.input("x", [5]).split([2, 2], axis: 0)[1]) })
    #expect(split.message.contains("f32[5]"))
    let chunk = try #require(failure { trace in trace.output("y", trace.input("x", [5]).chunked(3, axis: 0)[2]) })
    #expect(chunk.message == "chunk: axis 0 of f32[5] does not split into 3 equal parts")
    let unbind = try #require(failure { trace in trace.output("y", trace.input("x", [5]).unbound(count: 3)[2]) })
    #expect(unbind.message == "unbind: axis 0 of f32[5] is not 3 slices")
  }

  @Test("A table is cut to a length known only when the model runs")
  func symbolicPrefix() throws {
    let module = try trace("positions") { trace in
      let x = trace.input("x", [Extent.symbol("batch"), Extent.symbol("sequence"), 2])
      let table = trace.constant((0..<8).map(Double.init), shape: [4, 2])
      trace.output("y", x + table.prefix(x.shape[1], axis: 0))
    }
    #expect(module.outputs.map { module[$0].type.description } == ["f32[batch, sequence, 2]"])
  }

  @Test("Top-k gives values and places; gathering elements by the places gives the values")
  func topK() throws {
    #expect(try result(of: [2, 4]) { $0.topK(2).values }.reals == [3, 2, 7, 6])
    #expect(try result(of: [2, 4]) { $0.topK(1).indices }.wholes == [3, 3])
    #expect(try result(of: [2, 4]) { $0.gatheredElements($0.topK(2).indices, axis: 1) }.reals == [3, 2, 7, 6])
  }

  @Test("Scattering puts numbers where indices say")
  func scatter() throws {
    let y = try result(of: [2, 3]) { x in (x * 0).scatteringElements(x[0..., 1...], at: x.topK(2).indices, axis: 1) }
    #expect(y.reals == [0, 2, 1, 0, 5, 4])
  }
}

/// An index that a test is given.
struct AnyIndex: Sendable, CustomTestStringConvertible {
  let index: any AxisIndex
  init(_ index: any AxisIndex) { self.index = index }
  var testDescription: String { "\(index)" }
}
