import Graph
import Testing

@testable import Runtime

@Suite("If, Loop, Scan and calls of functions")
struct ControlFlowTests {
  // MARK: - If

  @Test("a condition chooses a branch, and the other is not run")
  func branches() throws {
    // The branch for false cannot be run: it reshapes two numbers to three.
    let trial = RuntimeTrial(
      [
        constant("three", [3]),
        node(
          "If", ["c"], ["y"],
          bodies: [
            ("then_branch", graph([node("Neg", ["x"], ["n"])], inputs: [], outputs: ["n"])),
            ("else_branch", graph([node("Reshape", ["x", "three"], ["r"])], inputs: [], outputs: ["r"])),
          ]),
      ], inputs: ["c", "x"], outputs: ["y"])
    #expect(try trial.tensor(.truth(true), .real([1, 2])).reals == [-1, -2])
    #expect(trial.failure([.tensor(.truth(false)), .tensor(.real([1, 2]))]).contains("reshape"))
    #expect(try trial.tensor(.truth(false), .real([1, 2, 3])).reals == [1, 2, 3])
    let two = RuntimeTensor(truths: [true, false], [2])
    #expect(trial.failure([.tensor(two), .tensor(.real([1]))]).contains("the condition is not one truth value"))
  }

  @Test("a branch within a branch reads what stands outside both, and its own names hide outer ones")
  func nesting() throws {
    let inner = node(
      "If", ["c"], ["t"],
      bodies: [
        ("then_branch", graph([node("Add", ["x", "x"], ["s"])], inputs: [], outputs: ["s"])),
        ("else_branch", graph([node("Neg", ["x"], ["s"])], inputs: [], outputs: ["s"])),
      ])
    let trial = RuntimeTrial(
      [
        node("Abs", ["x"], ["s"]),
        node(
          "If", ["c"], ["t2"],
          bodies: [
            ("then_branch", graph([inner], inputs: [], outputs: ["t"])),
            ("else_branch", graph([inner], inputs: [], outputs: ["t"])),
          ]),
        node("Add", ["s", "t2"], ["y"]),
      ], inputs: ["c", "x"], outputs: ["y"])
    #expect(try trial.tensor(.truth(true), .real([-3])).reals == [-3])
    #expect(try trial.tensor(.truth(false), .real([-3])).reals == [6])
  }

  // MARK: - Loop

  /// Adds the number of the turn to what is carried, collects the sums, and goes on while they are below `x`.
  private let counting = RuntimeTrial(
    [
      node(
        "Loop", ["m", "go", "start"], ["last", "all"],
        bodies: [
          (
            "body",
            graph(
              [node("Add", ["v", "i"], ["s"]), node("Less", ["s", "x"], ["on"])], inputs: ["i", "c", "v"],
              outputs: ["on", "s", "s"])
          )
        ])
    ], inputs: ["m", "go", "start", "x"], outputs: ["last", "all"])

  private func count(_ turns: Int, _ goes: Bool, below limit: Int) throws -> [[Int]] {
    let inputs: [RuntimeTensor] = [.whole([turns], []), .truth(goes), .whole([10], []), .whole([limit], [])]
    return try counting.run(inputs.map { .tensor($0) }).compactMap { $0.tensor?.wholes }
  }

  @Test("a loop ends after its turns, or when its condition says so")
  func turns() throws {
    #expect(try count(4, true, below: 100) == [[16], [10, 11, 13, 16]])
    #expect(try count(4, true, below: 13) == [[13], [10, 11, 13]])
    // No turn: what is carried passes, and nothing was collected.
    #expect(try count(4, false, below: 100) == [[10], []])
    #expect(try count(0, true, below: 100) == [[10], []])
    #expect(try count(-5, true, below: 100) == [[10], []])
  }

  @Test("a loop without end stops at the limit, with a message that says how to allow more")
  func endless() throws {
    let body = graph(
      [node("Identity", ["c"], ["on"]), node("Identity", ["v"], ["w"])], inputs: ["i", "c", "v"], outputs: ["on", "w"])
    let trial = RuntimeTrial(
      [node("Loop", ["", "", "x"], ["y"], bodies: [("body", body)])], inputs: ["x"], outputs: ["y"])
    var limits = PlainRunner.Limits()
    limits.iterations = 50
    #expect(
      trial.failure([.tensor(.real([1]))], limits: limits)
        == "node node_y: Loop: did not end after 50 turns; allow more with --max-iterations")
    let ended = RuntimeTrial(
      [constant("fifty", [50], isScalar: true), node("Loop", ["fifty", "", "x"], ["y"], bodies: [("body", body)])],
      inputs: ["x"], outputs: ["y"])
    #expect(ended.failure([.tensor(.real([1]))], limits: limits) == "")
  }

  @Test("what is carried may grow from turn to turn, but only as far as memory allows")
  func growth() throws {
    let trial = RuntimeTrial(
      [
        node(
          "Loop", ["m", "", "x"], ["y"],
          bodies: [
            (
              "body",
              graph(
                [
                  node("Identity", ["c"], ["on"]),
                  node("Concat", ["v", "v"], ["w"], [("axis", .int(0))]),
                ], inputs: ["i", "c", "v"], outputs: ["on", "w"])
            )
          ])
      ], inputs: ["m", "x"], outputs: ["y"])
    #expect(try trial.tensor(.whole([3], []), .real([7])).shape == [8])
    var limits = PlainRunner.Limits()
    limits.bytes = 1 << 16
    let message = trial.failure([.tensor(.whole([60], [])), .tensor(.real([7]))], limits: limits)
    #expect(message.contains("at most 65536 are allowed here"))
  }

  @Test("what the turns add together may not outgrow memory either")
  func collecting() {
    let trial = RuntimeTrial(
      [
        node(
          "Loop", ["m", ""], ["all"],
          bodies: [("body", graph([node("Identity", ["c"], ["on"])], inputs: ["i", "c"], outputs: ["on", "x"]))])
      ], inputs: ["m", "x"], outputs: ["all"])
    var limits = PlainRunner.Limits()
    limits.bytes = 4000
    let data = RuntimeValue.tensor(.real(Array(repeating: 1, count: 100)))
    #expect(trial.failure([.tensor(.whole([10], [])), data], limits: limits) == "")
    let message = trial.failure([.tensor(.whole([1000], [])), data], limits: limits)
    #expect(message.contains("puts together 4400 bytes"))
  }

  @Test("turns that add tensors of different shapes are refused")
  func unequal() {
    let trial = RuntimeTrial(
      [
        node(
          "Loop", ["m", "", "x"], ["y", "all"],
          bodies: [
            (
              "body",
              graph(
                [
                  node("Identity", ["c"], ["on"]),
                  node("Concat", ["v", "v"], ["w"], [("axis", .int(0))]),
                ], inputs: ["i", "c", "v"], outputs: ["on", "w", "w"])
            )
          ])
      ], inputs: ["m", "x"], outputs: ["all"])
    #expect(trial.failure([.tensor(.whole([2], [])), .tensor(.real([7]))]).contains("different shapes"))
    #expect(trial.failure([.tensor(.whole([1], [])), .tensor(.real([7]))]) == "")
  }

  // MARK: - Scan

  private func scan(_ attributes: [(name: String, value: AttributeValue)], opset: Int = 21) -> RuntimeTrial {
    let operands = opset < 9 ? ["", "start", "x"] : ["start", "x"]
    return RuntimeTrial(
      [
        node(
          "Scan", operands, ["last", "all"], [("num_scan_inputs", .int(1))] + attributes,
          bodies: [("body", graph([node("Add", ["v", "e"], ["s"])], inputs: ["v", "e"], outputs: ["s", "s"], opset: opset))])
      ], inputs: ["start", "x"], outputs: ["last", "all"], opset: opset)
  }

  private func scanned(
    _ start: RuntimeTensor, _ data: RuntimeTensor, _ attributes: [(name: String, value: AttributeValue)] = [], opset: Int = 21
  ) throws -> [RuntimeTensor] {
    try scan(attributes, opset: opset).run([.tensor(start), .tensor(data)]).compactMap(\.tensor)
  }

  @Test("a scan walks along an axis and carries a state")
  func scans() throws {
    let sums = try scanned(.real([0, 0]), .real([1, 2, 3, 4, 5, 6], [3, 2]))
    #expect(sums[0].reals == [9, 12])
    #expect(sums[1].reals == [1, 2, 4, 6, 9, 12])
    let backwards = try scanned(.real([0, 0]), .real([1, 2, 3, 4, 5, 6], [3, 2]), [("scan_input_directions", .ints([1]))])
    #expect(backwards[1].reals == [5, 6, 8, 10, 9, 12])
    let turned = try scanned(
      .real([0, 0]), .real([1, 2, 3, 4, 5, 6], [2, 3]), [("scan_input_axes", .ints([-1])), ("scan_output_axes", .ints([1]))])
    #expect(turned[1].shape == [2, 3])
    #expect(turned[1].reals == [1, 3, 6, 4, 9, 15])
  }

  @Test("axes and counts that a scan cannot have are refused")
  func scanRefusals() {
    func failure(_ attributes: [(name: String, value: AttributeValue)]) -> String {
      scan(attributes).failure([.tensor(.real([0])), .tensor(.real([1, 2], [2, 1]))])
    }
    #expect(failure([]) == "")
    #expect(failure([("scan_input_axes", .ints([2]))]).contains("axis 2 is outside"))
    #expect(failure([("scan_output_axes", .ints([-9]))]).contains("is outside"))
    #expect(failure([("scan_output_axes", .ints([Int.min]))]).contains("is outside"))
    let none = RuntimeTrial(
      [node("Scan", ["start", "x"], ["y"], [("num_scan_inputs", .int(7))])], inputs: ["start", "x"], outputs: ["y"])
    #expect(none.failure([.tensor(.real([0])), .tensor(.real([1]))]).contains("num_scan_inputs"))
  }

  @Test("in operator set 8 a scan is over a batch of sequences")
  func batchedScan() throws {
    let sums = try scanned(.real([0, 100], [2, 1]), .real([1, 2, 3, 4, 5, 6], [2, 3, 1]), opset: 8)
    #expect(sums[0].reals == [6, 115])
    #expect(sums[1].shape == [2, 3, 1])
    #expect(sums[1].reals == [1, 3, 6, 104, 109, 115])
  }

  // MARK: - Functions

  private func function(_ name: String, _ nodes: [NamedNode]) -> NamedFunction {
    NamedFunction(domain: "own", type: name, inputs: ["a", "b"], outputs: ["r"], nodes: nodes, opsets: ["": 21, "own": 1])
  }

  @Test("a function of the file is run with its operands, those left out included")
  func calls() throws {
    let twice = function("Twice", [node("Clip", ["a", "b"], ["t"]), node("Add", ["t", "t"], ["r"])])
    let four = function("Four", [node("Twice", ["a", "b"], ["t"], domain: "own"), node("Twice", ["t"], ["r"], domain: "own")])
    let trial = RuntimeTrial(
      [
        constant("n", [0]), node("Cast", ["n"], ["f"], [("to", .int(1))]), node("Squeeze", ["f"], ["least"]),
        node("Four", ["x", "least"], ["y"], domain: "own"),
      ], inputs: ["x"], outputs: ["y"], functions: [twice, four])
    #expect(try trial.tensor(.real([1, -3])).reals == [4, 0])
    let without = RuntimeTrial(
      [node("Four", ["x"], ["y"], domain: "own")], inputs: ["x"], outputs: ["y"], functions: [twice, four])
    #expect(try without.tensor(.real([1, -3])).reals == [4, -12])
  }

  @Test("a function that calls itself, or another that does, is refused")
  func recursion() {
    let first = function("First", [node("Second", ["a", "b"], ["r"], domain: "own")])
    let second = function("Second", [node("First", ["a", "b"], ["r"], domain: "own")])
    let trial = RuntimeTrial(
      [node("First", ["x", "x"], ["y"], domain: "own")], inputs: ["x"], outputs: ["y"], functions: [first, second])
    #expect(trial.failure([.tensor(.real([1]))]).contains("calls itself"))
  }

  @Test("bodies may stand within each other, but not without end")
  func depth() {
    func nested(_ depth: Int) -> RuntimeTrial {
      var inner = node("Neg", ["x"], ["y"])
      for _ in 0..<depth {
        let body = graph([inner], inputs: [], outputs: ["y"])
        inner = node("If", ["c"], ["y"], bodies: [("then_branch", body), ("else_branch", body)])
      }
      return RuntimeTrial([inner], inputs: ["c", "x"], outputs: ["y"])
    }
    let inputs: [RuntimeValue] = [.tensor(.truth(true)), .tensor(.real([1]))]
    #expect(nested(20).failure(inputs) == "")
    #expect(nested(140).failure(inputs).contains("more than prunec executes"))
  }

  @Test("an operator that nobody knows is named")
  func unknown() {
    let trial = RuntimeTrial([node("Frobnicate", ["x"], ["y"], domain: "own")], inputs: ["x"], outputs: ["y"])
    #expect(trial.failure([.tensor(.real([1]))]) == "node node_y: own::Frobnicate: prunec cannot execute this operator")
  }
}
