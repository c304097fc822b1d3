import Foundation
import Kernels
import Testing

@Suite struct ChainInstructionTests {
  /// What an instruction makes of three registers; 37 numbers, so that vectors and the rest both take part.
  private static func run(_ instruction: pk_chain_instruction, _ a: [Float], _ b: [Float], _ c: [Float]) -> [Float] {
    let count = 37
    let memories = [a, b, c].map { list in Memory((0..<count).map { list[$0 % list.count] }) }
    let result = Memory([Float](repeating: 7, count: count))
    var chain = pk_chain(extents: [count], operands: [[1], [1], [1]], instructions: [instruction], result: [1])
    chain.place(memories.map { UnsafeMutableRawPointer($0.pointer) }, result: result.pointer)
    #expect(chain.run([0..<count]) && result.isIntact)
    return result.values
  }

  @Test func arithmeticAndLogic() {
    let codes: [(pk_chain_code, (Float, Float, Float) -> Float)] = [
      (PK_CHAIN_ADD, { a, b, _ in a + b }), (PK_CHAIN_SUBTRACT, { a, b, _ in a - b }), (PK_CHAIN_MULTIPLY, { a, b, _ in a * b }),
      (PK_CHAIN_DIVIDE, { a, b, _ in a / b }), (PK_CHAIN_MAXIMUM, { a, b, _ in max(a, b) }),
      (PK_CHAIN_MINIMUM, { a, b, _ in min(a, b) }), (PK_CHAIN_MULTIPLY_ADD, { a, b, c in a * b + c }),
      (PK_CHAIN_EQUAL, { a, b, _ in a == b ? 1 : 0 }), (PK_CHAIN_LESS, { a, b, _ in a < b ? 1 : 0 }),
      (PK_CHAIN_LESS_OR_EQUAL, { a, b, _ in a <= b ? 1 : 0 }), (PK_CHAIN_AND, { a, b, _ in a != 0 && b != 0 ? 1 : 0 }),
      (PK_CHAIN_OR, { a, b, _ in a != 0 || b != 0 ? 1 : 0 }), (PK_CHAIN_XOR, { a, b, _ in (a != 0) != (b != 0) ? 1 : 0 }),
      (PK_CHAIN_NOT, { a, _, _ in a == 0 ? 1 : 0 }), (PK_CHAIN_SELECT, { a, b, c in a != 0 ? b : c }),
    ]
    // Products and sums of these are exact.
    let a: [Float] = [0, 1, -2, 0.5, 3, 0, -7], b: [Float] = [1, 1, -4, 0, 2], c: [Float] = [0, 8, -1.5]
    onEveryInstructionSet { set in
      for (code, exact) in codes {
        let expected = (0..<37).map { exact(a[$0 % 7], b[$0 % 5], c[$0 % 3]) }
        for (value, right) in zip(Self.run(pk_chain_instruction(code, to: 3, 0, 1, 2), a, b, c), expected) {
          #expect(value == right || value.isNaN && right.isNaN, "code \(code.rawValue), \(set)")
        }
      }
    }
  }

  @Test func notANumberIsNeitherGreaterNorLost() {
    onEveryInstructionSet { set in
      for code in [PK_CHAIN_MAXIMUM, PK_CHAIN_MINIMUM] {
        #expect(Self.run(pk_chain_instruction(code, to: 3, 0, 1), [.nan], [1], [0]).allSatisfy { $0.isNaN }, "\(set)")
        #expect(Self.run(pk_chain_instruction(code, to: 3, 0, 1), [1], [.nan], [0]).allSatisfy { $0.isNaN }, "\(set)")
        #expect(Self.run(pk_chain_instruction(code, to: 3, 0, 1), [1], [-.infinity], [0]).allSatisfy { !$0.isNaN }, "\(set)")
      }
      for code in [PK_CHAIN_EQUAL, PK_CHAIN_LESS, PK_CHAIN_LESS_OR_EQUAL] {
        #expect(Self.run(pk_chain_instruction(code, to: 3, 0, 1), [.nan], [.nan], [0]).allSatisfy { $0 == 0 }, "\(set)")
      }
    }
  }

  @Test func powers() {
    let bases: [Float] = [0.3, 1, 2.5, 17, 1e-3, 8e5], exponents: [Float] = [2, 0.5, -1, 3, 1, -2.75, 0, 6, -7]
    onEveryInstructionSet { set in
      for (index, value) in Self.run(pk_chain_instruction(PK_CHAIN_POWER, to: 3, 0, 1), bases, exponents, [0]).enumerated() {
        let exact = pow(Double(bases[index % 6]), Double(exponents[index % 9]))
        #expect(unitsApart(value, exact) <= 1, "\(bases[index % 6]) to \(exponents[index % 9]), \(set)")
      }
      let cases: [(base: Float, exponent: Float, power: Float)] = [
        (-2, 3, -8), (-2, 4, 16), (-2, 0.5, .nan), (0, 2, 0), (-0.0, 3, -0.0), (0, -1, .infinity), (.infinity, -1, 0),
        (-.infinity, 2, .infinity), (.nan, 0, 1), (1, .nan, 1), (2, 500, .infinity), (2, -500, 0), (-2, 501, -.infinity),
        (-1, 8_388_607, -1), (0x1p-140, 0.5, 0x1p-70), (2, .infinity, .infinity), (2, -149, 0x1p-149),
      ]
      let powers = Self.run(pk_chain_instruction(PK_CHAIN_POWER, to: 3, 0, 1), cases.map(\.base), cases.map(\.exponent), [0])
      for (item, power) in zip(cases, powers) {
        let isSame = power.isNaN ? item.power.isNaN : power == item.power && power.sign == item.power.sign
        #expect(isSame, "\(item.base) to \(item.exponent) is \(power), \(set)")
      }
    }
  }

  /// One operand of another type, widened: once contiguous, once with a stride of 3.
  private static func widened<Element: BitwiseCopyable>(_ element: pk_element, _ values: [Element]) -> [[Float]] {
    [1, 3].map { stride in
      let spread = values.flatMap { [Element](repeating: $0, count: stride) }
      let from = Memory(spread), to = Memory([Float](repeating: 7, count: values.count))
      var chain = pk_chain(extents: [values.count], operands: [[stride]], instructions: [], result: [1])
      chain.setElement(element, ofOperand: 0)
      chain.place([from.pointer], result: to.pointer)
      #expect(chain.run(oddRanges(values.count)) && to.isIntact)
      return to.values
    }
  }

  /// Floats stored as another type: once contiguous, once with a stride of 3, between which nothing may be written.
  private static func narrowed<Element: BitwiseCopyable & Equatable>(
    _ element: pk_element, _ values: [Float], mark: Element
  ) -> [[Element]] {
    [1, 3].map { stride in
      let from = Memory(values), to = Memory([Element](repeating: mark, count: values.count * stride))
      var chain = pk_chain(extents: [values.count], operands: [[1]], instructions: [], result: [stride])
      chain.result.element = element
      chain.place([from.pointer], result: to.pointer)
      #expect(chain.run(oddRanges(values.count)) && to.isIntact)
      #expect(to.values.enumerated().allSatisfy { $0.offset % stride == 0 || $0.element == mark })
      return to.values.enumerated().filter { $0.offset % stride == 0 }.map(\.element)
    }
  }

  private static func repeated<Element>(_ values: [Element]) -> [Element] { Array(repeatElement(values, count: 6).joined()) }

  @Test func operandsOfOtherTypes() {
    onEveryInstructionSet { set in
      for result in Self.widened(PK_ELEMENT_F16, Self.repeated([0x3c00, 0xc000, 0x7c00, 0x0001, 0x8000, 0x3555] as [UInt16])) {
        #expect(result == Self.repeated([1, -2, .infinity, 0x1p-24, -0.0, 0.333251953125]), "f16, \(set)")
      }
      for result in Self.widened(PK_ELEMENT_BF16, Self.repeated([0x3f80, 0xc000, 0x7f80, 0x0001] as [UInt16])) {
        #expect(result == Self.repeated([1, -2, .infinity, Float(bitPattern: 0x10000)]), "bf16, \(set)")
      }
      for result in Self.widened(PK_ELEMENT_U8, Self.repeated([0, 7, 255] as [UInt8])) {
        #expect(result == Self.repeated([0, 7, 255]))
      }
      for result in Self.widened(PK_ELEMENT_BOOL, Self.repeated([0, 1, 1] as [UInt8])) {
        #expect(result == Self.repeated([0, 1, 1]))
      }
      for result in Self.widened(PK_ELEMENT_I8, Self.repeated([0, 127, -128] as [Int8])) {
        #expect(result == Self.repeated([0, 127, -128]))
      }
      for result in Self.widened(PK_ELEMENT_I32, Self.repeated([0, -5, .max] as [Int32])) {
        #expect(result == Self.repeated([0, -5, 0x1p31]))
      }
      for result in Self.widened(PK_ELEMENT_I64, Self.repeated([0, -5, .min] as [Int64])) {
        #expect(result == Self.repeated([0, -5, -0x1p63]))
      }
    }
  }

  @Test func resultsOfOtherTypes() {
    let values = Self.repeated([0, -0.0, 1.75, -1.75, 300, -300, .infinity, -.infinity, .nan, 3e9] as [Float])
    onEveryInstructionSet { set in
      for result in Self.narrowed(PK_ELEMENT_U8, values, mark: 9 as UInt8) {
        #expect(result == Self.repeated([0, 0, 1, 0, 255, 0, 255, 0, 0, 255]), "u8, \(set)")
      }
      for result in Self.narrowed(PK_ELEMENT_I8, values, mark: 9 as Int8) {
        #expect(result == Self.repeated([0, 0, 1, -1, 127, -128, 127, -128, 0, 127]), "i8, \(set)")
      }
      for result in Self.narrowed(PK_ELEMENT_BOOL, values, mark: 9 as UInt8) {
        #expect(result == Self.repeated([0, 0, 1, 1, 1, 1, 1, 1, 1, 1]), "bool, \(set)")
      }
      for result in Self.narrowed(PK_ELEMENT_I32, values, mark: 9 as Int32) {
        #expect(result == Self.repeated([0, 0, 1, -1, 300, -300, .max, .min, 0, .max]), "i32, \(set)")
      }
      for result in Self.narrowed(PK_ELEMENT_I64, values, mark: 9 as Int64) {
        #expect(result == Self.repeated([0, 0, 1, -1, 300, -300, .max, .min, 0, 3_000_000_000]), "i64, \(set)")
      }
      // 2049 and 2051 lie halfway between halves, and so do 257/256 and 259/256 between bfloats; 65520 is halfway to the infinite.
      for result in Self.narrowed(PK_ELEMENT_F16, Self.repeated([1, 2049, 2051, 65519, 65520, 0x1p-25]), mark: 9 as UInt16) {
        #expect(result == Self.repeated([0x3c00, 0x6800, 0x6802, 0x7bff, 0x7c00, 0]), "f16, \(set)")
      }
      for result in Self.narrowed(PK_ELEMENT_BF16, Self.repeated([1, 1.00390625, 1.01171875, 3.4e38, -2]), mark: 9 as UInt16) {
        #expect(result == Self.repeated([0x3f80, 0x3f80, 0x3f82, 0x7f80, 0xc000]), "bf16, \(set)")
      }
      for (element, infinite) in [(PK_ELEMENT_F16, 0x7c00), (PK_ELEMENT_BF16, 0x7f80)] as [(pk_element, UInt16)] {
        for result in Self.narrowed(element, Self.repeated([.nan, .nan]), mark: 9 as UInt16) {
          #expect(result.allSatisfy { $0 & 0x7fff > infinite }, "NaN, \(set)")
        }
      }
    }
  }
}
