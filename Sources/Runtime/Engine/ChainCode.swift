import Graph
import Kernels

/// Elementwise nodes as one list of instructions for `pk_chain_run`: what flows between them stays in registers.
struct ChainCode {
  /// A number that an instruction reads: an operand of the chain, or what an earlier instruction made.
  enum Source: Sendable, Hashable {
    case operand(Int)
    case made(Int)
  }

  /// One instruction, with the numbers it reads.
  struct Instruction: Sendable {
    var code: pk_chain_code
    var function = PK_UNARY_NEGATE
    var sources: [Source]
    var first: Float = 0
    var second: Float = 0
  }

  /// Values read from memory.
  private(set) var operands: [ValueID] = []
  private(set) var instructions: [Instruction] = []
  private var sources: [ValueID: Source] = [:]
  private let module: Module
  private let constants: [ValueID: TensorContent]

  /// The code of some nodes, the last of which makes the result; nil where the kernel does not know one of them, or they are too many.
  /// `constants` are the module's.
  init?(_ nodes: [Int], in module: Module, constants: [ValueID: TensorContent]) {
    self.module = module
    self.constants = constants
    for index in nodes {
      guard case .elementwise(let function) = module.nodes[index].operation, add(function, module.nodes[index]) else {
        return nil
      }
    }
    guard let last = nodes.last, let result = module.nodes[last].outputs.first.flatMap({ $0 }), let source = sources[result],
      operands.count <= Int(PK_CHAIN_OPERANDS), instructions.count <= Int(PK_CHAIN_INSTRUCTIONS)
    else { return nil }
    self.result = source
  }

  private var result = Source.operand(0)

  /// How the kernel calls an element type; nil for types that f32 registers do not hold.
  static func element(_ type: ElementType) -> pk_element? {
    switch type {
    case .f32: PK_ELEMENT_F32
    case .f16: PK_ELEMENT_F16
    case .bf16: PK_ELEMENT_BF16
    case .bool: PK_ELEMENT_BOOL
    case _: nil
    }
  }

  /// Whole types may only be read, by a cast.
  static func castElement(_ type: ElementType) -> pk_element? {
    switch type {
    case .u8: PK_ELEMENT_U8
    case .i8: PK_ELEMENT_I8
    case .i32: PK_ELEMENT_I32
    case .i64: PK_ELEMENT_I64
    case _: element(type)
    }
  }

  // MARK: - Instructions

  /// The only number of a constant that has one.
  private func scalar(_ value: ValueID?) -> Float? {
    guard let value, let content = constants[value], content.elementCount == 1 else { return nil }
    return Tensor(content)?.scalarReal.map { Float($0) }
  }

  private mutating func source(_ value: ValueID) -> Source {
    if let known = sources[value] { return known }
    let source = Source.operand(operands.count)
    operands.append(value)
    sources[value] = source
    return source
  }

  private mutating func emit(_ instruction: Instruction) -> Source {
    instructions.append(instruction)
    return .made(instructions.count - 1)
  }

  private mutating func unary(_ function: pk_unary, _ source: Source, _ first: Float = 0, _ second: Float = 0) -> Source {
    emit(Instruction(code: PK_CHAIN_UNARY, function: function, sources: [source], first: first, second: second))
  }

  private mutating func binary(_ code: pk_chain_code, _ a: Source, _ b: Source) -> Source {
    emit(Instruction(code: code, sources: [a, b]))
  }

  private mutating func add(_ function: Elementwise, _ node: Node) -> Bool {
    guard let output = node.outputs.first.flatMap({ $0 }), node.outputs.dropFirst().allSatisfy({ $0 == nil }),
      Self.element(module[output].type.element) != nil
    else { return false }
    let isCast = function == .cast || function == .castLike
    let values = node.inputs.compactMap { $0 }
    guard
      values.prefix(isCast ? 1 : values.count).allSatisfy({ value in
        let type = module[value].type
        return type.staticShape != nil && (isCast ? Self.castElement(type.element) : Self.element(type.element)) != nil
      }), values.count == node.inputs.count || function == .clip
    else { return false }
    guard let made = code(function, node) else { return false }
    sources[output] = made
    return true
  }

  /// The instructions of one node; nil where there are none for it.
  private mutating func code(_ function: Elementwise, _ node: Node) -> Source? {
    let attributes = node.attributes
    func input(_ index: Int) -> ValueID? { node.inputs.indices.contains(index) ? node.inputs[index] : nil }
    guard let first = input(0) else { return nil }
    /// Folds a function of two over all operands.
    func folded(_ code: pk_chain_code) -> Source {
      node.inputs.dropFirst().compactMap { $0 }.reduce(source(first)) { binary(code, $0, source($1)) }
    }
    func compared(_ code: pk_chain_code, swapped: Bool = false) -> Source? {
      guard let second = input(1) else { return nil }
      return swapped ? binary(code, source(second), source(first)) : binary(code, source(first), source(second))
    }
    switch function {
    case .add: return sum(first, input(1), sign: 1)
    case .sub: return sum(first, input(1), sign: -1)
    case .mul:
      guard let second = input(1) else { return nil }
      if let factor = scalar(second) { return unary(PK_UNARY_AFFINE, source(first), factor, 0) }
      if let factor = scalar(first) { return unary(PK_UNARY_AFFINE, source(second), factor, 0) }
      return binary(PK_CHAIN_MULTIPLY, source(first), source(second))
    case .div:
      guard let second = input(1) else { return nil }
      if let divisor = scalar(second), divisor.significand == 1, divisor.isNormal, (1 / divisor).isNormal {
        return unary(PK_UNARY_AFFINE, source(first), 1 / divisor, 0)
      }
      if scalar(first) == 1 { return unary(PK_UNARY_RECIPROCAL, source(second)) }
      return binary(PK_CHAIN_DIVIDE, source(first), source(second))
    case .max: return folded(PK_CHAIN_MAXIMUM)
    case .min: return folded(PK_CHAIN_MINIMUM)
    case .sum: return folded(PK_CHAIN_ADD)
    case .mean: return unary(PK_UNARY_AFFINE, folded(PK_CHAIN_ADD), 1 / Float(node.inputs.count), 0)
    case .pow:
      switch scalar(input(1)) {
      case 1: return source(first)
      case 2: return unary(PK_UNARY_SQUARE, source(first))
      case 3: return binary(PK_CHAIN_MULTIPLY, unary(PK_UNARY_SQUARE, source(first)), source(first))
      case 0.5: return unary(PK_UNARY_SQUARE_ROOT, source(first))
      case -0.5: return unary(PK_UNARY_RECIPROCAL_SQUARE_ROOT, source(first))
      case -1: return unary(PK_UNARY_RECIPROCAL, source(first))
      case _: return compared(PK_CHAIN_POWER)
      }
    case .equal: return compared(PK_CHAIN_EQUAL)
    case .less: return compared(PK_CHAIN_LESS)
    case .lessOrEqual: return compared(PK_CHAIN_LESS_OR_EQUAL)
    case .greater: return compared(PK_CHAIN_LESS, swapped: true)
    case .greaterOrEqual: return compared(PK_CHAIN_LESS_OR_EQUAL, swapped: true)
    case .and: return compared(PK_CHAIN_AND)
    case .or: return compared(PK_CHAIN_OR)
    case .xor: return compared(PK_CHAIN_XOR)
    case .not: return emit(Instruction(code: PK_CHAIN_NOT, sources: [source(first)]))
    case .isNaN:
      let own = source(first)
      return emit(Instruction(code: PK_CHAIN_NOT, sources: [binary(PK_CHAIN_EQUAL, own, own)]))
    case .choose:
      guard let second = input(1), let third = input(2) else { return nil }
      return emit(Instruction(code: PK_CHAIN_SELECT, sources: [source(first), source(second), source(third)]))
    case .identity: return source(first)
    case .cast, .castLike:
      guard let output = node.outputs[0] else { return nil }
      if module[output].type.element != .bool || module[first].type.element == .bool { return source(first) }
      let isZero = emit(Instruction(code: PK_CHAIN_NOT, sources: [source(first)]))
      return emit(Instruction(code: PK_CHAIN_NOT, sources: [isZero]))
    case .prelu:
      guard let second = input(1) else { return nil }
      let own = source(first)
      let scaled = binary(PK_CHAIN_MULTIPLY, own, source(second))
      // x > 0 is 0 < x, and 0 is x · 0 only for finite x: so max(x, 0) is compared.
      let positive = binary(PK_CHAIN_EQUAL, own, unary(PK_UNARY_ABSOLUTE, own))
      return emit(Instruction(code: PK_CHAIN_SELECT, sources: [positive, own, scaled]))
    case .abs: return unary(PK_UNARY_ABSOLUTE, source(first))
    case .neg: return unary(PK_UNARY_NEGATE, source(first))
    case .sqrt: return unary(PK_UNARY_SQUARE_ROOT, source(first))
    case .reciprocal: return unary(PK_UNARY_RECIPROCAL, source(first))
    case .floor: return unary(PK_UNARY_FLOOR, source(first))
    case .ceil: return unary(PK_UNARY_CEIL, source(first))
    case .round: return unary(PK_UNARY_ROUND, source(first))
    case .sign: return unary(PK_UNARY_SIGN, source(first))
    case .relu: return unary(PK_UNARY_RELU, source(first))
    case .exp: return unary(PK_UNARY_EXP, source(first))
    case .log: return unary(PK_UNARY_LOG, source(first))
    case .tanh: return unary(PK_UNARY_TANH, source(first))
    case .erf: return unary(PK_UNARY_ERF, source(first))
    case .sigmoid: return unary(PK_UNARY_SIGMOID, source(first))
    case .softplus: return unary(PK_UNARY_SOFTPLUS, source(first))
    case .sin: return unary(PK_UNARY_SIN, source(first))
    case .cos: return unary(PK_UNARY_COS, source(first))
    case .hardSwish: return unary(PK_UNARY_HARD_SWISH, source(first))
    case .gelu:
      return unary(attributes.string(.approximate) == "tanh" ? PK_UNARY_GELU_TANH : PK_UNARY_GELU_ERF, source(first))
    case .microsoftGelu: return unary(PK_UNARY_GELU_ERF, source(first))
    case .biasGelu:
      guard let second = input(1) else { return nil }
      return unary(PK_UNARY_GELU_ERF, binary(PK_CHAIN_ADD, source(first), source(second)))
    case .fastGelu:
      let own = source(first)
      return unary(PK_UNARY_GELU_TANH, input(1).map { binary(PK_CHAIN_ADD, own, source($0)) } ?? own)
    case .quickGelu: return swish(source(first), attributes.float(.alpha) ?? 1.702)
    case .swish: return swish(source(first), attributes.float(.alpha) ?? 1)
    case .mish:
      let own = source(first)
      return binary(PK_CHAIN_MULTIPLY, own, unary(PK_UNARY_TANH, unary(PK_UNARY_SOFTPLUS, own)))
    case .softsign:
      let own = source(first)
      return binary(PK_CHAIN_DIVIDE, own, unary(PK_UNARY_AFFINE, unary(PK_UNARY_ABSOLUTE, own), 1, 1))
    case .clip:
      let (low, high) = (input(1), input(2))
      guard low == nil || scalar(low) != nil, high == nil || scalar(high) != nil else { return nil }
      let range = (scalar(low) ?? -.infinity, scalar(high) ?? .infinity)
      guard range.0 <= range.1 else { return nil }
      return unary(PK_UNARY_CLIP, source(first), range.0, range.1)
    case .leakyRelu: return unary(PK_UNARY_LEAKY_RELU, source(first), attributes.float(.alpha) ?? 0.01)
    case .hardSigmoid:
      return unary(PK_UNARY_HARD_SIGMOID, source(first), attributes.float(.alpha) ?? 0.2, attributes.float(.beta) ?? 0.5)
    case .elu: return unary(PK_UNARY_ELU, source(first), attributes.float(.alpha) ?? 1)
    case .acos, .acosh, .asin, .asinh, .atan, .atanh, .bitShift, .bitwiseAnd, .bitwiseNot, .bitwiseOr, .bitwiseXor, .celu, .cosh,
      .dropout, .isInfinite, .mod, .selu, .shrink, .sinh, .tan, .thresholdedRelu, .quantisedAdd, .quantisedMul,
      .quantisedLeakyRelu, .quantisedSigmoid, .quantisedWhere:
      return nil
    }
  }

  private mutating func swish(_ own: Source, _ slope: Float) -> Source {
    if slope == 1 { return unary(PK_UNARY_SILU, own) }
    return binary(PK_CHAIN_MULTIPLY, own, unary(PK_UNARY_SIGMOID, unary(PK_UNARY_AFFINE, own, slope, 0)))
  }

  /// a ± b; a product made just before, and read by nothing else, is joined with the sum.
  private mutating func sum(_ a: ValueID, _ b: ValueID?, sign: Float) -> Source? {
    guard let b else { return nil }
    if let summand = scalar(b) { return shifted(source(a), by: sign * summand) }
    if sign > 0, let summand = scalar(a) { return shifted(source(b), by: summand) }
    let (left, right) = (source(a), source(b))
    if sign < 0 { return binary(PK_CHAIN_SUBTRACT, left, right) }
    for (product, summand) in [(left, right), (right, left)] {
      guard case .made(let index) = product, index == instructions.count - 1, instructions[index].code == PK_CHAIN_MULTIPLY,
        left != right
      else { continue }
      instructions[index].code = PK_CHAIN_MULTIPLY_ADD
      instructions[index].sources.append(summand)
      return product
    }
    return binary(PK_CHAIN_ADD, left, right)
  }

  private mutating func shifted(_ own: Source, by summand: Float) -> Source {
    if case .made(let index) = own, index == instructions.count - 1, instructions[index].code == PK_CHAIN_UNARY,
      instructions[index].function == PK_UNARY_AFFINE, instructions[index].second == 0
    {
      instructions[index].second = summand
      return own
    }
    return unary(PK_UNARY_AFFINE, own, 1, summand)
  }

  // MARK: - Registers

  /// The instructions with registers: operands come first, a register whose number is read no more is used again. Nil where there are not
  /// enough.
  func allocated() -> (instructions: [pk_chain_instruction], result: UInt8)? {
    var lastUse = [Int](repeating: -1, count: instructions.count)
    for (index, instruction) in instructions.enumerated() {
      for case .made(let made) in instruction.sources { lastUse[made] = index }
    }
    if case .made(let made) = result { lastUse[made] = Int.max }
    var registers = [UInt8](repeating: 0, count: instructions.count)
    var free = (operands.count..<Int(PK_CHAIN_REGISTERS)).map { UInt8($0) }
    func register(_ source: Source) -> UInt8 {
      switch source {
      case .operand(let index): UInt8(index)
      case .made(let index): registers[index]
      }
    }
    var list: [pk_chain_instruction] = []
    for (index, instruction) in instructions.enumerated() {
      let read = instruction.sources.map(register)
      for case .made(let made) in Set(instruction.sources) where lastUse[made] == index { free.insert(registers[made], at: 0) }
      guard !free.isEmpty else { return nil }
      registers[index] = free.removeFirst()
      func at(_ place: Int) -> UInt8 { place < read.count ? read[place] : 0 }
      list.append(
        pk_chain_instruction(
          code: instruction.code, function: instruction.function, to: registers[index], a: at(0), b: at(1), c: at(2),
          first: instruction.first, second: instruction.second))
    }
    return (list, register(result))
  }
}
