import Kernels
import TestSupport
import Testing

@Suite struct ChainTests {
  private static let difference = [pk_chain_instruction(PK_CHAIN_SUBTRACT, to: 2, 0, 1)]

  private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float(Int.random(in: -999...999, using: &generator)) / 32 }
  }

  /// Every way in which an operand of [images, rows, columns] may repeat or skip.
  private static func layouts(_ extents: [Int]) -> [ChainLayout] {
    let rows = extents[1], columns = extents[2]
    return [
      ChainLayout(name: "dense", strides: denseStrides(extents)), ChainLayout(name: "scalar", strides: [0, 0, 0]),
      ChainLayout(name: "per column", strides: [0, 0, 1]), ChainLayout(name: "per row", strides: [rows, 1, 0]),
      ChainLayout(name: "per image and column", strides: [columns, 0, 1]), ChainLayout(name: "per image", strides: [1, 0, 0]),
      ChainLayout(name: "one image", strides: [0, columns, 1]),
      ChainLayout(name: "transposed", strides: [rows * columns, 1, rows]),
      ChainLayout(name: "slice", strides: [rows * (columns + 3), columns + 3, 1]),
      ChainLayout(name: "every second", strides: denseStrides(extents).map { 2 * $0 }),
    ]
  }

  /// Shapes around the sizes of vectors and blocks.
  private static let shapes = [
    [1, 1, 1], [1, 1, 37], [3, 5, 7], [2, 67, 8], [3, 43, 17], [2, 3, 600], [1, 2, 1500], [2, 300, 3], [5, 1, 130],
  ]

  @Test func operandsThatRepeatSkipOrTurn() {
    onEveryInstructionSet { set in
      for extents in Self.shapes {
        let total = extents.reduce(1, *)
        let left = Memory(Self.numbers(total, seed: 1))
        for layout in Self.layouts(extents) {
          let right = Memory(Self.numbers(reach(extents, layout.strides), seed: 2))
          let result = Memory([Float](repeating: 7, count: total))
          var chain = pk_chain(
            extents: extents, operands: [denseStrides(extents), layout.strides], instructions: Self.difference,
            result: denseStrides(extents))
          let expected = zip(left.values, offsets(extents, layout.strides)).map { $0 - right.pointer[$1] }
          for isSimplified in [false, true] {
            if isSimplified { pk_chain_simplify(&chain) }
            chain.place([left.pointer, right.pointer], result: result.pointer)
            for index in 0..<total { result.pointer[index] = 7 }
            #expect(chain.run(oddRanges(total)))
            #expect(result.values == expected, "\(layout.name) in \(extents), \(set)")
            #expect(result.isIntact)
          }
        }
      }
    }
  }

  @Test func resultsBetweenNumbersThatMustStay() {
    onEveryInstructionSet { set in
      for extents in Self.shapes {
        for layout in Self.layouts(extents) where !layout.strides.contains(0) {
          let total = extents.reduce(1, *)
          let left = Memory(Self.numbers(total, seed: 3)), right = Memory<Float>([0.5])
          let result = Memory([Float](repeating: 7, count: reach(extents, layout.strides)))
          var chain = pk_chain(
            extents: extents, operands: [denseStrides(extents), [0, 0, 0]], instructions: Self.difference, result: layout.strides)
          pk_chain_simplify(&chain)
          chain.place([left.pointer, right.pointer], result: result.pointer)
          #expect(chain.run(oddRanges(total)))
          var expected = [Float](repeating: 7, count: result.count)
          for (value, offset) in zip(left.values, offsets(extents, layout.strides)) { expected[offset] = value - 0.5 }
          #expect(result.values == expected, "\(layout.name) in \(extents), \(set)")
          #expect(result.isIntact)
        }
      }
    }
  }

  @Test func onlyTheRangeIsWritten() {
    let extents = [3, 50, 19]
    onEveryInstructionSet { set in
      let left = Memory(Self.numbers(2850, seed: 4)), right = Memory(Self.numbers(19, seed: 5))
      let result = Memory([Float](repeating: 700, count: 2850))
      var chain = pk_chain(
        extents: extents, operands: [denseStrides(extents), [0, 0, 1]], instructions: Self.difference,
        result: denseStrides(extents))
      chain.place([left.pointer, right.pointer], result: result.pointer)
      #expect(chain.run([41..<1777, 1900..<1900]))
      for (index, value) in result.values.enumerated() {
        #expect((value == 700) == !(41..<1777).contains(index), "element \(index), \(set)")
      }
    }
  }

  @Test func theResultMayBeAnOperand() {
    let extents = [7, 211]
    onEveryInstructionSet { set in
      for strides in [[211, 1], [240, 1], [1, 7]] {
        let values = Self.numbers(reach(extents, strides), seed: 6)
        let memory = Memory(values), row = Memory(Self.numbers(211, seed: 7))
        var chain = pk_chain(
          extents: extents, operands: [strides, [0, 1]],
          instructions: [pk_chain_instruction(PK_CHAIN_ADD, to: 2, 0, 1), pk_chain_instruction(PK_CHAIN_MULTIPLY, to: 3, 2, 0)],
          result: strides)
        chain.place([memory.pointer, row.pointer], result: memory.pointer)
        #expect(chain.run(oddRanges(7 * 211)))
        var expected = values
        for (index, offset) in offsets(extents, strides).enumerated() {
          expected[offset] = (values[offset] + row.pointer[index % 211]) * values[offset]
        }
        #expect(memory.values == expected, "strides \(strides), \(set)")
      }
    }
  }

  @Test func registersMayBeWrittenAgain() {
    // Operand 1 repeats in every block, and its register is overwritten in every block.
    let extents = [400, 12]
    onEveryInstructionSet { set in
      for strides in [[0, 1], [0, 0], [1, 0]] {
        let left = Memory(Self.numbers(4800, seed: 8)), right = Memory(Self.numbers(reach(extents, strides), seed: 9))
        let result = Memory([Float](repeating: 7, count: 4800))
        var chain = pk_chain(
          extents: extents, operands: [[12, 1], strides],
          instructions: [
            pk_chain_instruction(PK_CHAIN_ADD, to: 1, 0, 1), pk_chain_instruction(PK_CHAIN_ADD, to: 1, 1, 1),
            pk_chain_instruction(PK_CHAIN_SUBTRACT, to: 31, 1, 0),
          ], result: [12, 1])
        chain.place([left.pointer, right.pointer], result: result.pointer)
        #expect(chain.run([0..<4800]))
        let expected = zip(left.values, offsets(extents, strides)).map { ($0 + right.pointer[$1]) * 2 - $0 }
        #expect(result.values == expected, "strides \(strides), \(set)")
      }
    }
  }

  @Test func aResultCanBeAnOperandAsItIs() {
    onEveryInstructionSet { set in
      let from = Memory(Self.numbers(300, seed: 10)), to = Memory([Float](repeating: 7, count: 300))
      var chain = pk_chain(extents: [20, 15], operands: [[1, 20]], instructions: [], result: [15, 1])
      chain.place([from.pointer], result: to.pointer)
      #expect(chain.run([0..<300]))
      #expect(to.values == offsets([20, 15], [1, 20]).map { from.pointer[$0] }, "\(set)")
    }
  }

  @Test func dividingTheWorkChangesNoBit() {
    let extents = [9, 333],
      program = [
        pk_chain_instruction(PK_UNARY_EXP, to: 2, 0), pk_chain_instruction(PK_CHAIN_POWER, to: 3, 2, 1),
        pk_chain_instruction(PK_UNARY_SIN, to: 4, 3), pk_chain_instruction(PK_CHAIN_MULTIPLY_ADD, to: 5, 4, 2, 0),
      ]
    onEveryInstructionSet { set in
      let left = Memory(Self.numbers(2997, seed: 11).map { $0 / 10 }), right = Memory(Self.numbers(9, seed: 12).map { $0 / 20 })
      let results = [[0..<2997], oddRanges(2997), (0..<2997).filter { $0 % 100 == 0 }.map { $0..<min($0 + 100, 2997) }].map {
        ranges in
        let result = Memory([Float](repeating: 7, count: 2997))
        var chain = pk_chain(extents: extents, operands: [[333, 1], [1, 0]], instructions: program, result: [333, 1])
        chain.place([left.pointer, right.pointer], result: result.pointer)
        #expect(chain.run(ranges))
        return result.values.map(\.bitPattern)
      }
      #expect(results[0] == results[1] && results[0] == results[2], "\(set)")
    }
  }

  @Test func simplificationMergesWhatEveryOperandWalksAsOne() {
    var dense = pk_chain(
      extents: [2, 1, 3, 5], operands: [[15, 99, 5, 1], [0, 0, 0, 0]], instructions: Self.difference, result: [15, 7, 5, 1])
    pk_chain_simplify(&dense)
    #expect(dense.extentList == [30])
    var gated = pk_chain(
      extents: [2, 3, 4, 5], operands: [[60, 20, 5, 1], [5, 0, 0, 1]], instructions: Self.difference, result: [60, 20, 5, 1])
    pk_chain_simplify(&gated)
    #expect(gated.extentList == [2, 12, 5])
    var transposed = pk_chain(extents: [3, 5], operands: [[5, 1], [1, 3]], instructions: Self.difference, result: [5, 1])
    pk_chain_simplify(&transposed)
    #expect(transposed.extentList == [3, 5])
    var empty = pk_chain(
      extents: [3, 0, 2], operands: [[0, 2, 1], [0, 2, 1]], instructions: Self.difference, result: [0, 2, 1])
    pk_chain_simplify(&empty)
    #expect(empty.extentList.contains(0))
  }
}
