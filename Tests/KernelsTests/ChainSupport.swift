import Kernels

/// An operand's memory layout in a test of chains.
struct ChainLayout {
  let name: String
  let strides: [Int]
}

extension pk_chain {
  /// A chain of float operands; data pointers are not set.
  init(extents: [Int], operands: [[Int]], instructions: [pk_chain_instruction], result: [Int]) {
    self.init()
    rank = extents.count
    assign(extents, to: &self.extents)
    operand_count = operands.count
    assign(operands.map { pk_chain_operand(strides: $0) }, to: &self.operands)
    instruction_count = instructions.count
    assign(instructions, to: &self.instructions)
    result_register = instructions.last?.to ?? 0
    self.result = pk_chain_operand(strides: result)
  }

  /// Sets where the operands and the result lie.
  mutating func place(_ data: [UnsafeMutableRawPointer], result pointer: UnsafeMutableRawPointer) {
    var places = elements(of: operands, as: pk_chain_operand.self, count: operand_count)
    for (index, pointer) in data.enumerated() { places[index].data = pointer }
    assign(places, to: &operands)
    result.data = pointer
  }

  /// Sets the type of one operand.
  mutating func setElement(_ element: pk_element, ofOperand index: Int) {
    var places = elements(of: operands, as: pk_chain_operand.self, count: operand_count)
    places[index].element = element
    assign(places, to: &operands)
  }

  /// Runs `ranges`, in scratch of the size asked for.
  func run(_ ranges: [Range<Int>]) -> Bool {
    var chain = self
    let scratch = Memory([Float](repeating: .nan, count: pk_chain_scratch_size(&chain)))
    for range in ranges { pk_chain_run(&chain, range.lowerBound, range.upperBound, scratch.pointer) }
    return scratch.isIntact
  }

  var extentList: [Int] { elements(of: extents, as: Int.self, count: rank) }
}

extension pk_chain_operand {
  init(strides: [Int]) {
    self.init()
    element = PK_ELEMENT_F32
    assign(strides, to: &self.strides)
  }
}

extension pk_chain_instruction {
  init(_ code: pk_chain_code, to: UInt8, _ a: UInt8, _ b: UInt8 = 0, _ c: UInt8 = 0) {
    self.init(code: code, function: PK_UNARY_NEGATE, to: to, a: a, b: b, c: c, first: 0, second: 0)
  }

  init(_ function: pk_unary, to: UInt8, _ a: UInt8, _ first: Float = 0, _ second: Float = 0) {
    self.init(code: PK_CHAIN_UNARY, function: function, to: to, a: a, b: 0, c: 0, first: first, second: second)
  }
}
