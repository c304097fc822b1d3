import Graph
import Kernels

/// Binds the steps of a lowered module to kernels and buffers.
///
/// Values of fixed shape lie in buffers; a view (reshape, squeeze, …) lies where what it views lies. Steps no kernel can do are left to the
/// plain evaluation.
struct ProgramBuilder {
  let module: Module
  let threads: Int
  let parameters: [ValueID: TensorContent]
  private(set) var storage: [Storage?]
  private var lives: [MemoryPlan.Life] = []
  private var constantOf: [Int?] = []
  private var constants: [TensorData] = []
  private var steps: [Step] = []
  private var scratchFloats = 0

  /// The program of a lowered module, all of whose inputs have fixed shapes; without fusing, every node is a step.
  static func build(_ module: Module, threads: Int, isFusing: Bool = true) throws(Diagnostic) -> Program {
    var builder = ProgramBuilder(module, threads)
    for input in module.inputs {
      if let operand = builder.makeBuffer(for: input) {
        builder.touch(operand.buffer, at: -1)
      } else {
        builder.storage[input.index] = .made
      }
    }
    let steps = isFusing ? FusionPlanner.plan(module) : module.nodes.indices.map { FusedStep(nodes: [$0], kind: .single) }
    for fused in steps { builder.add(fused) }
    for output in module.outputs { builder.keepToTheEnd(output) }
    return builder.finished()
  }

  private init(_ module: Module, _ threads: Int) {
    self.module = module
    self.threads = threads
    parameters = module.constants()
    storage = Array(repeating: nil, count: module.values.count)
  }

  // MARK: - Values

  /// Element type and shape of a value; nil unless the shape is fixed.
  func shape(_ value: ValueID) -> [Int]? { module[value].type.staticShape }

  func element(_ value: ValueID) -> ElementType { module[value].type.element }

  func isFloat(_ value: ValueID) -> Bool { element(value) == .f32 && shape(value) != nil }

  /// The numbers of a constant.
  func constant(_ value: ValueID?) -> Tensor? { value.flatMap { parameters[$0] }.flatMap { Tensor($0) } }

  /// The only number of a constant that has one.
  func scalar(_ value: ValueID?) -> Float? {
    guard let value, let content = parameters[value], content.elementCount == 1 else { return nil }
    return Tensor(content)?.scalarReal.map { Float($0) }
  }

  private func byteCount(_ value: ValueID) -> Int? {
    shape(value).flatMap(Tensor.count).flatMap { element(value).byteCount(of: $0) }
  }

  /// Where a value that is read lies; nil where its shape depends on data.
  mutating func reading(_ value: ValueID) -> Operand? {
    switch storage[value.index] {
    case .buffer(let operand)?:
      touch(operand.buffer, at: steps.count)
      return operand
    case .made?: return nil
    case nil:
      guard let content = parameters[value] else { return nil }
      let operand = addConstant(Self.aligned(content.materialized()))
      storage[value.index] = .buffer(operand)
      return operand
    }
  }

  /// Where a value that is written is to lie.
  mutating func writing(_ value: ValueID) -> Operand? {
    guard let operand = makeBuffer(for: value) else { return nil }
    touch(operand.buffer, at: steps.count)
    return operand
  }

  /// Lets a value lie where another lies, from `offset` bytes on.
  mutating func view(_ value: ValueID, of other: ValueID, offset: Int = 0) -> Bool {
    guard var operand = reading(other) else { return false }
    operand.offset += offset
    storage[value.index] = .buffer(operand)
    return true
  }

  private mutating func makeBuffer(for value: ValueID) -> Operand? {
    if case .buffer(let operand)? = storage[value.index] { return operand }
    guard let bytes = byteCount(value) else { return nil }
    let operand = temporary(bytes: bytes)
    storage[value.index] = .buffer(operand)
    return operand
  }

  /// Memory for the present step alone.
  mutating func temporary(bytes: Int) -> Operand {
    lives.append(MemoryPlan.Life(bytes: max(1, bytes), first: steps.count, last: steps.count))
    constantOf.append(nil)
    return Operand(buffer: lives.count - 1)
  }

  /// Numbers that never change, such as packed weights.
  mutating func addConstant(_ data: TensorData) -> Operand {
    lives.append(MemoryPlan.Life(bytes: 0, first: 0, last: 0))
    constantOf.append(constants.count)
    constants.append(data)
    return Operand(buffer: lives.count - 1)
  }

  /// Mapped files hold numbers at any byte; kernels want f32 at multiples of four.
  private static func aligned(_ data: TensorData) -> TensorData {
    let isAligned = data.withUnsafeBytes { bytes in bytes.baseAddress.map { Int(bitPattern: $0) % 16 == 0 } ?? true }
    return isAligned ? data : TensorData(count: data.count) { target in data.withUnsafeBytes { target.copyMemory(from: $0) } }
  }

  /// Scratch of at least so many floats for every thread.
  mutating func needScratch(floats: Int) { scratchFloats = max(scratchFloats, floats) }

  private mutating func touch(_ buffer: Int, at step: Int) {
    lives[buffer].first = min(lives[buffer].first, step)
    lives[buffer].last = max(lives[buffer].last, step)
  }

  private mutating func keepToTheEnd(_ value: ValueID) {
    if case .buffer(let operand)? = storage[value.index] {
      touch(operand.buffer, at: steps.count)
    } else if parameters[value] != nil {
      _ = reading(value)
    }
  }

  // MARK: - Steps

  /// Adds a step that a kernel carries out.
  mutating func add(_ fused: FusedStep, run: @escaping @Sendable (Frame) -> Void) {
    steps.append(Step(name: name(fused), nodes: fused.nodes, multiplyAdds: multiplyAdds(fused), run: .kernel(run)))
  }

  private mutating func add(_ fused: FusedStep) {
    if bindKernel(fused) { return }
    // What no kernel does together is done node by node.
    for node in fused.nodes {
      let single = FusedStep(nodes: [node], kind: .single)
      if fused.nodes.count > 1, bindKernel(single) { continue }
      for case let input? in module.nodes[node].inputs { _ = reading(input) }
      for capture in module.nodes[node].captures { _ = reading(capture) }
      for case let output? in module.nodes[node].outputs where writing(output) == nil { storage[output.index] = .made }
      steps.append(Step(name: name(single), nodes: [node], multiplyAdds: multiplyAdds(single), run: .plain))
    }
  }

  private func name(_ fused: FusedStep) -> String {
    fused.nodes.map { module.nodes[$0].operation.textName }.joined(separator: " + ")
  }

  private func multiplyAdds(_ fused: FusedStep) -> Double {
    fused.nodes.reduce(0) { total, index in
      let node = module.nodes[index]
      func types(_ values: [ValueID?]) -> [TensorType?] { values.map { $0.map { module[$0].type } } }
      return total
        + (node.operation.rules?.multiplyAdds(
          inputs: types(node.inputs), outputs: types(node.outputs), attributes: node.attributes) ?? 0)
    }
  }

  private func finished() -> Program {
    let plan = MemoryPlan(lives)
    let places = lives.indices.map { index -> MemoryPlan.Place in
      constantOf[index].map { .constant($0) } ?? .arena(plan.offsets[index])
    }
    return Program(
      module: module, steps: steps, storage: storage, places: places, constants: constants, arenaBytes: plan.bytes,
      leastArenaBytes: MemoryPlan.leastBytes(lives), scratchBytes: scratchFloats * 4, released: releases())
  }

  /// Values made during the run, by the step after which nobody reads them.
  private func releases() -> [[ValueID]] {
    var last: [ValueID: Int] = [:]
    for (index, step) in steps.enumerated() {
      for node in step.nodes {
        for case let value? in module.nodes[node].inputs + module.nodes[node].outputs { last[value] = index }
        for capture in module.nodes[node].captures { last[capture] = index }
      }
    }
    for output in module.outputs { last[output] = nil }
    var released = [[ValueID]](repeating: [], count: steps.count)
    for (value, step) in last { if case .made? = storage[value.index] { released[step].append(value) } }
    return released
  }

  // MARK: - Kernels

  /// Binds a step to a kernel; false, and nothing changed, where there is none for it.
  private mutating func bindKernel(_ fused: FusedStep) -> Bool {
    guard let leader = fused.nodes.first else { return true }
    let node = module.nodes[leader]
    switch fused.kind {
    case .product(let epilogue): return bindProduct(node, fused, epilogue)
    case .chain: return bindChain(fused)
    case .single: break
    }
    switch node.operation {
    case .reshaping(let reshaping): return bindReshaping(reshaping, node, fused)
    case .elementwise(.identity), .elementwise(.dropout): return bindIdentity(node)
    case .elementwise: return bindChain(fused)
    case .matrixProduct: return bindProduct(node, fused, FusedEpilogue())
    case .convolution, .normalisation, .reduction, .joining, .indexing, .pooling, .recurrence, .attention, .quantisation,
      .generation,
      .opaque:
      return false
    }
  }

  private mutating func bindIdentity(_ node: Node) -> Bool {
    // A dropout with a mask to make, or that may be training, is no identity.
    guard node.outputs.count == 1, node.inputs.count <= 2, let input = node.inputs.first.flatMap({ $0 }),
      let output = node.outputs.first.flatMap({ $0 }), shape(input) == shape(output), shape(output) != nil
    else { return false }
    return view(output, of: input)
  }
}
