import Graph
import Kernels

/// Binds the steps of a lowered module to kernels and buffers.
///
/// Values of fixed shape lie in buffers. A value that is another one looked at differently (reshaped, transposed, sliced, expanded) lies where
/// that one lies; kernels that need numbers in some order of axes ask for it, and a copy is made where they are not in that order yet. Steps
/// no kernel can do are left to the plain evaluation.
struct ProgramBuilder {
  let module: Module
  let threads: Int
  private let style: Style
  let parameters: [ValueID: TensorContent]
  private(set) var storage: [Storage?]
  /// Copies of values in other orders of axes than they were made in.
  private var copies: [ValueID: [Placement]] = [:]
  private var lives: [MemoryPlan.Life] = []
  private var constantOf: [Int?] = []
  private var constants: [Constant] = []
  private var steps: [Step] = []
  private var scratchFloats = 0
  private let concats: ConcatSlots
  private var familyBuffers: [Int: Operand] = [:]
  /// Buffers that the step to be added reads or writes.
  private var pending: Set<Int> = []

  /// How a module is made into steps.
  enum Style {
    /// As quick as can be: nodes are carried out together, and what only looks at numbers differently is no step.
    case fused
    /// Every node is a step, by a kernel where there is one.
    case stepwise
    /// Every node is a step of the plain evaluation.
    case plain
  }

  /// The program of a lowered module, all of whose inputs have fixed shapes.
  ///
  /// Throws `invalid`, with the figure, where a value would be of more than `limit` bytes: also views, which a later step may have to copy.
  static func build(
    _ module: Module, threads: Int, style: Style = .fused, limit: Int = Evaluation.defaultLimit
  ) throws(Diagnostic) -> Program {
    for node in module.nodes {
      for case let output? in node.outputs {
        guard let shape = module[output].type.staticShape, module[output].type.element.bits != nil else { continue }
        if let refusal = Evaluation.refusal(module[output].type.element, shape, limit: limit, spare: 0) {
          throw Diagnostic(.invalid, refusal, at: .node(module.label(of: node)))
        }
      }
    }
    var builder = ProgramBuilder(module, threads, style)
    for input in module.inputs {
      if let shape = builder.shape(input), let bytes = builder.byteCount(input) {
        let operand = builder.temporary(bytes: bytes)
        builder.storage[input.index] = .buffer(Placement(dense: operand, shape))
        builder.touch(operand.buffer, at: -1)
      } else {
        builder.storage[input.index] = .made
      }
    }
    builder.pending = []
    let steps =
      style == .fused ? FusionPlanner.plan(module) : module.nodes.indices.map { FusedStep(nodes: [$0], kind: .single) }
    for fused in steps { builder.add(fused) }
    for output in module.outputs { _ = builder.dense(output) }
    // What is pending now lives to the end: the outputs.
    for buffer in builder.pending { builder.touch(buffer, at: builder.steps.count) }
    return try builder.finished(limit: limit)
  }

  private init(_ module: Module, _ threads: Int, _ style: Style) {
    self.style = style
    self.module = module
    self.threads = threads
    parameters = module.constants()
    concats = ConcatSlots(module)
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

  /// Bytes of a value; nil where its shape depends on data.
  func byteCount(_ value: ValueID) -> Int? {
    shape(value).flatMap(Tensor.count).flatMap { element(value).byteCount(of: $0) }
  }

  /// Where a value lies, in whatever order of axes; nil where its shape depends on data.
  mutating func placement(_ value: ValueID) -> Placement? {
    switch storage[value.index] {
    case .buffer(let placement)?:
      pending.insert(placement.operand.buffer)
      return placement
    case .made?: return nil
    case nil:
      guard let content = parameters[value] else { return nil }
      let width = (content.element.bits ?? 8) / 8
      let operand = addConstant(content) { Self.aligned(content.materialized().lasting, to: width) }
      let placement = Placement(dense: operand, content.shape)
      storage[value.index] = .buffer(placement)
      return placement
    }
  }

  /// Where a value lies row by row, copied there first if need be; nil where its shape depends on data.
  mutating func dense(_ value: ValueID) -> Operand? {
    guard let shape = shape(value) else { return nil }
    return placement(value, copiedTo: Array(shape.indices)) { $0.isDense(shape) }?.operand
  }

  /// Where a value lies in a way that `isGood`, copied to the given order of axes if need be; nil where its shape depends on data or it is of
  /// a type that is not moved.
  mutating func placement(_ value: ValueID, copiedTo order: [Int], if isGood: (Placement) -> Bool) -> Placement? {
    guard let first = placement(value) else { return nil }
    for known in [first] + (copies[value] ?? []) where isGood(known) {
      pending.insert(known.operand.buffer)
      return known
    }
    guard let shape = shape(value), let bytes = byteCount(value), let width = element(value).bits.map({ $0 / 8 }),
      let copy = CopyKernel(width, shape, first.strides, Placement(dense: first.operand, shape, order: order).strides)
    else { return nil }
    let target = Placement(dense: temporary(bytes: bytes), shape, order: order)
    if let content = parameters[value] {
      // A constant is copied once and for all.
      let moved = addConstant(content) { Tensor(content)?.transposed(order).data ?? content.materialized() }
      let placed = Placement(moved, strides: target.strides)
      copies[value, default: []].append(placed)
      return placed
    }
    let from = first.operand
    let to = target.operand
    for buffer in [from.buffer, to.buffer] { touch(buffer, at: steps.count) }
    steps.append(
      Step(name: "copy", label: module[value].name, nodes: [], multiplyAdds: 0, run: .kernel { copy.run($0, from: from, to: to) })
    )
    copies[value, default: []].append(target)
    return target
  }

  /// Where a value that is written is to lie, row by row.
  mutating func writing(_ value: ValueID) -> Operand? {
    shape(value).flatMap { writing(value, order: Array($0.indices))?.operand }
  }

  /// Where a value that is written is to lie, the axes in the given order in memory.
  mutating func writing(_ value: ValueID, order: [Int]) -> Placement? {
    guard let shape = shape(value), let bytes = byteCount(value) else { return nil }
    let placement = Placement(dense: temporary(bytes: bytes), shape, order: order)
    storage[value.index] = .buffer(placement)
    return placement
  }

  /// Where a value is to lie with its channels last: in its slot of a concat, where it has one.
  mutating func writingChannelsLast(_ value: ValueID) -> Placement? {
    guard let shape = shape(value), shape.count >= 3 else { return nil }
    let order = [0] + Array(2..<shape.count) + [1]
    guard let slot = concats.slots[value], let place = slotPlacement(slot, shape) else { return writing(value, order: order) }
    storage[value.index] = .buffer(place)
    return place
  }

  private mutating func slotPlacement(_ slot: ConcatSlots.Slot, _ shape: [Int]) -> Placement? {
    let whole = concats.families[slot.family].shape
    guard whole.count == shape.count else { return nil }
    let operand = familyBuffers[slot.family] ?? temporary(bytes: whole.reduce(4, *))
    familyBuffers[slot.family] = operand
    pending.insert(operand.buffer)
    var place = Placement(dense: operand, whole, order: [0] + Array(2..<whole.count) + [1])
    place.operand.offset += slot.channel * 4
    return place
  }

  /// Where the parts of a concat and its result lie, if they share a buffer; and whether each part lies there already.
  mutating func joined(_ result: ValueID, _ parts: [ValueID]) -> (result: Placement, parts: [(place: Placement, isThere: Bool)])?
  {
    guard concats.results[result] != nil else { return nil }
    var places: [(Placement, Bool)] = []
    for part in parts {
      guard let slot = concats.slots[part], let shape = shape(part), let place = slotPlacement(slot, shape),
        let lies = placement(part)
      else { return nil }
      places.append((place, lies == place || (copies[part] ?? []).contains(place)))
      // Once copied, it is there for the concats that go on from this one.
      if !places[places.count - 1].1 { copies[part, default: []].append(place) }
    }
    guard let whole = places.first?.0 else { return nil }
    storage[result.index] = .buffer(whole)
    return (whole, places)
  }

  /// Lets a value lie within what another one lies in.
  mutating func view(_ value: ValueID, at placement: Placement) -> Bool {
    storage[value.index] = .buffer(placement)
    return true
  }

  /// Memory for the step to be added alone.
  mutating func temporary(bytes: Int) -> Operand {
    lives.append(MemoryPlan.Life(bytes: max(1, bytes), first: steps.count, last: steps.count))
    constantOf.append(nil)
    pending.insert(lives.count - 1)
    return Operand(buffer: lives.count - 1)
  }

  /// Numbers that never change, such as packed weights, made of a parameter when they are first needed.
  mutating func addConstant(_ content: TensorContent, make: @escaping @Sendable () -> TensorData) -> Operand {
    let buffer = lives.count
    lives.append(MemoryPlan.Life(bytes: 0, first: steps.count, last: steps.count))
    constantOf.append(constants.count)
    constants.append(Constant(buffer: buffer, uses: 0...0, source: content.data, make: make))
    pending.insert(buffer)
    return Operand(buffer: buffer)
  }

  /// Mapped files hold numbers at any byte; kernels want them at multiples of their width.
  static func aligned(_ data: TensorData, to width: Int) -> TensorData {
    let isAligned = data.withUnsafeBytes { bytes in bytes.baseAddress.map { Int(bitPattern: $0) % max(1, width) == 0 } ?? true }
    return isAligned ? data : TensorData(count: data.count) { target in data.withUnsafeBytes { target.copyMemory(from: $0) } }
  }

  /// Scratch of at least so many floats for every thread.
  mutating func needScratch(floats: Int) { scratchFloats = max(scratchFloats, floats) }

  private mutating func touch(_ buffer: Int, at step: Int) {
    lives[buffer].first = min(lives[buffer].first, step)
    lives[buffer].last = max(lives[buffer].last, step)
  }

  // MARK: - Steps

  /// Adds a step that a kernel carries out.
  mutating func add(_ fused: FusedStep, run: @escaping @Sendable (Frame) throws(Diagnostic) -> Void) {
    append(Step(name: name(fused), label: label(fused), nodes: fused.nodes, multiplyAdds: multiplyAdds(fused), run: .kernel(run)))
  }

  private mutating func append(_ step: Step) {
    for buffer in pending { touch(buffer, at: steps.count) }
    pending = []
    steps.append(step)
  }

  private mutating func add(_ fused: FusedStep) {
    let before = steps.count
    if style != .plain, bindKernel(fused) {
      if style == .stepwise, !steps.dropFirst(before).contains(where: { $0.nodes == fused.nodes }) {
        append(Step(name: name(fused), label: label(fused), nodes: fused.nodes, multiplyAdds: 0, run: .kernel { _ in }))
      }
      return
    }
    pending = []
    // What no kernel does together is done node by node.
    for node in fused.nodes {
      let single = FusedStep(nodes: [node], kind: .single)
      if fused.nodes.count > 1, bindKernel(single) { continue }
      pending = []
      for case let input? in module.nodes[node].inputs { _ = dense(input) }
      for capture in module.nodes[node].captures { _ = dense(capture) }
      for case let output? in module.nodes[node].outputs where writing(output) == nil { storage[output.index] = .made }
      append(Step(name: name(single), label: label(single), nodes: [node], multiplyAdds: multiplyAdds(single), run: .plain))
    }
  }

  private func label(_ fused: FusedStep) -> String { fused.nodes.first.map { module.label(of: module.nodes[$0]) } ?? "" }

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

  private func finished(limit: Int) throws(Diagnostic) -> Program {
    let plan = MemoryPlan(lives)
    if plan.bytes > limit {
      throw Diagnostic(.invalid, "needs \(plan.bytes) bytes for what it computes with; at most \(limit) are allowed here")
    }
    let places = lives.indices.map { index -> MemoryPlan.Place in
      constantOf[index].map { .constant($0) } ?? .arena(plan.offsets[index])
    }
    let constants = constants.map { constant in
      var constant = constant
      constant.uses = lives[constant.buffer].first...lives[constant.buffer].last
      return constant
    }
    var rows: [ValueID: Operand] = [:]
    for (value, placements) in copies {
      guard let shape = shape(value) else { continue }
      rows[value] = placements.first { $0.isDense(shape) }?.operand
    }
    return Program(
      module: module, steps: steps, storage: storage, rows: rows, places: places, constants: constants, arenaBytes: plan.bytes,
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

  /// Binds a step to a kernel; false where there is none for it.
  private mutating func bindKernel(_ fused: FusedStep) -> Bool {
    guard let leader = fused.nodes.first else { return true }
    let node = module.nodes[leader]
    switch fused.kind {
    case .product(let epilogue):
      if case .convolution = node.operation { return bindConvolution(node, fused, epilogue) }
      return bindProduct(node, fused, epilogue)
    case .chain: return bindChain(fused)
    case .single: break
    }
    switch node.operation {
    case .reshaping(let reshaping): return bindReshaping(reshaping, node)
    case .elementwise(.identity), .elementwise(.dropout): return bindIdentity(node)
    case .elementwise: return bindChain(fused)
    case .matrixProduct: return bindProduct(node, fused, FusedEpilogue())
    case .convolution: return bindConvolution(node, fused, FusedEpilogue())
    case .pooling(let pooling): return bindPooling(pooling, node, fused)
    case .normalisation(let normalisation): return bindNormalisation(normalisation, node, fused)
    case .reduction(let reduction): return bindReduction(reduction, node, fused)
    case .joining(let joining): return bindJoining(joining, node, fused)
    case .indexing(let indexing): return bindIndexing(indexing, node, fused)
    case .attention(let attention): return bindAttention(attention, node, fused)
    case .recurrence, .quantisation, .generation, .opaque: return false
    }
  }
}
