import Graph
import Testing

@testable import Passes

/// What a proof is for: a smaller model that is not what the plan says is refused, and the first value that differs is named.
@Suite("Corruption of a plan or of weights makes the proof fail")
struct CorruptionTests {
  /// Rotary attention behind an embedding: heads, rotary pairs and the embedding's width lose indices.
  static let kept = [
    "attention.q.heads": [0, 2], "cos.head-dims": [1, 3, 4, 6], "embed.width": [0, 2, 3, 5, 7, 11, 13, 17],
    "attention.v.head-dims": [0, 1, 4, 5, 9],
  ]

  private func attention() throws -> CompiledModel { try CompiledModel(golden: "cases/rope_half", keep: Self.kept) }

  /// Convolutions, pools, a flatten and linear layers.
  private func network() throws -> CompiledModel {
    let keep = ["conv1.channels": [0, 2, 3], "conv2.channels": [1, 4, 5, 9, 14], "fc1.hidden": Array(10..<40)]
    return try CompiledModel(golden: "cases/lenet", keep: keep)
  }

  /// What a proof names: parameters first, then values as they are made.
  private func named(_ model: CompiledModel, of plan: Plan? = nil) throws -> [String] {
    let proof = try model.proof(seed: 3, of: plan)
    #expect(proof.isProved == proof.faults.isEmpty)
    for fault in proof.faults { #expect(fault.summary.hasPrefix(fault.name)) }
    return proof.faults.map(\.name)
  }

  @Test("nothing is named where nothing was changed, nor where what is taken anew is the same")
  func untouched() throws {
    var (attention, network) = (try attention(), try network())
    #expect(try named(attention) == [])
    #expect(try named(network) == [])
    try attention.retake("attention.q.weight", axis: 1) { _ in }
    try network.retake("fc1.weight", axis: 1) { _ in }
    #expect(try named(attention) == [])
    #expect(try named(network) == [])
  }

  // MARK: Weights

  @Test(
    "two kept indices swapped in one tensor",
    arguments: [
      ("conv1.weight", 0, "conv1"), ("conv1.bias", 0, "conv1"), ("conv2.weight", 1, "conv2"), ("fc1.weight", 0, "fc1"),
      ("fc1.weight", 1, "fc1"), ("fc2.weight", 1, "fc2"),
    ])
  func swapped(_ tensor: String, _ axis: Int, _ value: String) throws {
    var model = try network()
    try model.retake(tensor, axis: axis) { $0.swapAt(0, 1) }
    #expect(try named(model).prefix(2) == [tensor, value])
  }

  @Test(
    "one row or column taken from the neighbouring index",
    arguments: [
      ("conv1.weight", 0, "conv1"), ("conv2.weight", 0, "conv2"), ("conv2.weight", 1, "conv2"), ("fc1.weight", 1, "fc1"),
    ])
  func neighbour(_ tensor: String, _ axis: Int, _ value: String) throws {
    var model = try network()
    try model.retake(tensor, axis: axis) { $0[0] += 1 }
    #expect(try named(model).prefix(2) == [tensor, value])
  }

  @Test("a column that meets nothing but zeros on this input: no value shows it, the weight itself does")
  func hidden() throws {
    var model = try network()
    try model.retake("fc2.weight", axis: 1) { $0[0] += 1 }
    #expect(try named(model) == ["fc2.weight"])
  }

  @Test("one head of the queries pruned apart from the keys")
  func headApart() throws {
    var model = try attention()
    // Head 2 stays, whose rows are 32…47; the queries take head 1's.
    try model.retake("attention.q.weight", axis: 1) { rows in rows = rows.map { $0 >= 32 ? $0 - 16 : $0 } }
    #expect(try named(model).prefix(2) == ["attention.q.weight", "attention.q"])
  }

  @Test("one half of a rotary pair pruned apart from the other")
  func pairApart() throws {
    var model = try attention()
    // Pair 3 of head 0 is rows 3 and 11; the second one is taken from pair 2.
    try model.retake("attention.k.weight", axis: 1) { rows in rows = rows.map { $0 == 11 ? 10 : $0 } }
    #expect(try named(model).prefix(2) == ["attention.k.weight", "attention.k"])
  }

  @Test("two indices swapped in a table that is read in two places")
  func table() throws {
    var model = try attention()
    try model.retake("sin", axis: 1) { $0.swapAt(1, 2) }
    #expect(try named(model).prefix(2) == ["sin", "mul_16"])
  }

  @Test("one number nobody pruned")
  func number() throws {
    var model = try network()
    let index = try #require(model.smaller.parameters.firstIndex { model.smaller[$0.value].name == "fc3.bias" })
    let content = model.smaller.parameters[index].content
    var numbers = try #require(Tensor(content)).reals
    numbers[3] += 0.25
    let changed = Tensor(reals: numbers, .f32, content.shape)
    model.smaller.parameters[index].content = TensorContent(changed.data, element: .f32, shape: content.shape)
    #expect(try named(model) == ["fc3.bias", "fc3"])
  }

  // MARK: Plans

  @Test(
    "a plan that keeps another index than the smaller model",
    arguments: [
      ("attention.q.heads", [0, 1]), ("attention.q.heads", [1, 2]), ("cos.head-dims", [1, 3, 4, 7]),
      ("embed.width", [1, 2, 3, 5, 7, 11, 13, 17]), ("attention.v.head-dims", [0, 1, 4, 5, 8]),
    ])
  func anotherIndex(_ group: String, _ indices: [Int]) throws {
    let model = try attention()
    var kept = Self.kept
    #expect(kept[group]?.count == indices.count)
    kept[group] = indices
    let names = try named(model, of: CompiledModel.plan(model.solution, kept))
    let parameters = Set(model.smaller.parameters.map { model.smaller[$0.value].name })
    #expect(names.contains { parameters.contains($0) })
    #expect(names.contains { !parameters.contains($0) })
  }

  @Test("a plan that keeps more or fewer indices than the smaller model: the shapes are named")
  func anotherCount() throws {
    let model = try network()
    let more = try CompiledModel.plan(model.solution, ["conv1.channels": [0, 2, 3, 5]])
    let proof = try model.proof(seed: 0, of: more)
    #expect(proof.faults.map(\.name).prefix(3) == ["conv1.weight", "conv1.bias", "conv2.weight"])
    let value = try #require(proof.faults.first { $0.name == "conv1" })
    #expect(value.summary == "conv1 is f32[1, 3, 26, 26], but should be f32[1, 4, 26, 26]")
    #expect(value.error == nil)
  }
}
