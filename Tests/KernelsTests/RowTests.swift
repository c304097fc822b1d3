import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct RowTests {
  private static let counts = [1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 96, 130, 257, 1000]

  private static func numbers(_ count: Int, seed: UInt64, scale: Float = 1, shift: Float = 0) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float.random(in: -scale...scale, using: &generator) + shift }
  }

  private static func softmax(_ count: Int, _ from: Memory<Float>, _ to: Memory<Float>, stride: Int, isLogarithm: Bool = false) {
    var softmax = pk_softmax(
      count: count, from: from.pointer, from_row_stride: stride, to: to.pointer, to_row_stride: stride, is_logarithm: isLogarithm)
    pk_softmax_run(&softmax, 1, 3)
    pk_softmax_run(&softmax, 0, 1)
  }

  @Test func softmaxOfRowsApart() {
    onEveryInstructionSet { set in
      for count in Self.counts {
        let stride = count + 2
        let from = Memory(Self.numbers(2 * stride + count, seed: 1, scale: 12))
        for isLogarithm in [false, true] {
          let to = Memory([Float](repeating: 7, count: from.count))
          Self.softmax(count, from, to, stride: stride, isLogarithm: isLogarithm)
          #expect(to.isIntact)
          for row in 0..<3 {
            let values = from.values[(row * stride)..<(row * stride + count)].map(Double.init)
            let greatest = values.max() ?? 0, sum = values.reduce(0) { $0 + exp($1 - greatest) }
            for (index, value) in values.enumerated() {
              let result = Double(to.pointer[row * stride + index])
              let exact = isLogarithm ? value - greatest - log(sum) : exp(value - greatest) / sum
              #expect(abs(result - exact) <= (isLogarithm ? 4e-6 : 3e-6 * exact), "row of \(count), \(set)")
            }
          }
          #expect((0..<2).allSatisfy { to.pointer[$0 * stride + count] == 7 && to.pointer[$0 * stride + count + 1] == 7 })
        }
      }
    }
  }

  @Test func softmaxInPlaceAndOfTheInfinite() {
    onEveryInstructionSet { set in
      let memory = Memory(Self.numbers(99, seed: 2)), apart = Memory([Float](repeating: 7, count: 99))
      Self.softmax(33, memory, apart, stride: 33)
      Self.softmax(33, memory, memory, stride: 33)
      #expect(memory.values == apart.values, "\(set)")

      var rows = [Float](repeating: 0, count: 60)
      for index in 0..<20 { rows[index] = -.infinity }
      rows[21] = -.infinity
      rows[45] = .nan
      let from = Memory(rows), to = Memory([Float](repeating: 7, count: 60))
      Self.softmax(20, from, to, stride: 20)
      #expect(to.values[0..<20].allSatisfy { $0.isNaN }, "a row of −∞ alone, \(set)")
      #expect(to.values[21] == 0 && abs(to.values[20] - 1 / 19) < 1e-7, "masked numbers get nothing, \(set)")
      #expect(to.values[40..<60].allSatisfy { $0.isNaN }, "\(set)")
    }
  }

  /// What a test of layer normalisation leaves out.
  private struct NormCase {
    let isCentred: Bool, hasAddend: Bool, hasBias: Bool, hasSum: Bool, hasScale: Bool, hasOffset: Bool
    static let all = (0..<64).map { bits in
      NormCase(
        isCentred: bits & 1 != 0, hasAddend: bits & 2 != 0, hasBias: bits & 4 != 0, hasSum: bits & 8 != 0,
        hasScale: bits & 16 != 0,
        hasOffset: bits & 32 != 0)
    }
  }

  @Test func layerNormalisationWithAndWithoutEverything() {
    onEveryInstructionSet { set in
      for (index, item) in NormCase.all.enumerated() {
        let count = Self.counts[index % Self.counts.count], stride = count + 1
        let size = 2 * stride + count
        let from = Memory(Self.numbers(size, seed: 3)), addend = Memory(Self.numbers(size, seed: 4))
        let bias = Memory(Self.numbers(count, seed: 5)), scale = Memory(Self.numbers(count, seed: 6))
        let offset = Memory(Self.numbers(count, seed: 7))
        let sum = Memory([Float](repeating: 7, count: size)), to = Memory([Float](repeating: 7, count: size))
        var norm = pk_layer_norm(
          count: count, from: from.pointer, from_row_stride: stride, addend: item.hasAddend ? UnsafePointer(addend.pointer) : nil,
          addend_row_stride: stride, addend_bias: item.hasBias ? UnsafePointer(bias.pointer) : nil,
          sum: item.hasSum ? sum.pointer : nil, sum_row_stride: stride, to: to.pointer, to_row_stride: stride,
          scale: item.hasScale ? UnsafePointer(scale.pointer) : nil, offset: item.hasOffset ? UnsafePointer(offset.pointer) : nil,
          epsilon: 1e-5, is_centred: item.isCentred)
        pk_layer_norm_run(&norm, 2, 3)
        pk_layer_norm_run(&norm, 0, 2)
        #expect(to.isIntact && sum.isIntact)
        for row in 0..<3 {
          let values = (0..<count).map { column in
            let place = row * stride + column
            let added = item.hasAddend ? addend.pointer[place] : 0
            return from.pointer[place] + added + (item.hasAddend && item.hasBias ? bias.pointer[column] : 0)
          }
          let mean = item.isCentred ? values.reduce(0) { $0 + Double($1) } / Double(count) : 0
          let variance = values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(count)
          for (column, value) in values.enumerated() {
            let normal = (Double(value) - mean) / (variance + Double(norm.epsilon)).squareRoot()
            let exact =
              normal * (item.hasScale ? Double(scale.pointer[column]) : 1) + (item.hasOffset ? Double(offset.pointer[column]) : 0)
            let place = row * stride + column
            #expect(abs(Double(to.pointer[place]) - exact) < 1e-5, "case \(index), row of \(count), \(set)")
            #expect(sum.pointer[place] == (item.hasAddend && item.hasSum ? value : 7), "case \(index), \(set)")
          }
          if row < 2 { #expect(to.pointer[row * stride + count] == 7 && sum.pointer[row * stride + count] == 7) }
        }
      }
    }
  }

  @Test func aLargeMeanDoesNotDrownTheVariance() {
    onEveryInstructionSet { set in
      let count = 768
      let from = Memory(Self.numbers(count, seed: 8, scale: 1, shift: 4096)), to = Memory([Float](repeating: 7, count: count))
      var norm = pk_layer_norm()
      norm.count = count
      norm.from = UnsafePointer(from.pointer)
      norm.to = to.pointer
      norm.is_centred = true
      pk_layer_norm_run(&norm, 0, 1)
      let mean = from.values.reduce(0) { $0 + Double($1) } / Double(count)
      let variance = from.values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(count)
      for (value, result) in zip(from.values, to.values) {
        #expect(abs(Double(result) - (Double(value) - mean) / variance.squareRoot()) < 2e-3, "\(set)")
      }
    }
  }

  @Test func normalisationAndItsSumInPlace() {
    onEveryInstructionSet { set in
      let count = 100
      let input = Self.numbers(count, seed: 9), other = Self.numbers(count, seed: 10)
      let results = [false, true].map { isInPlace in
        let from = Memory(input), addend = Memory(other), to = Memory([Float](repeating: 7, count: count))
        var norm = pk_layer_norm()
        norm.count = count
        norm.from = UnsafePointer(from.pointer)
        norm.addend = UnsafePointer(addend.pointer)
        norm.to = isInPlace ? addend.pointer : to.pointer
        norm.sum = isInPlace ? from.pointer : nil
        norm.epsilon = 1e-6
        pk_layer_norm_run(&norm, 0, 1)
        if isInPlace { #expect(from.values == zip(input, other).map { $0 + $1 }) }
        return isInPlace ? addend.values : to.values
      }
      #expect(results[0] == results[1], "\(set)")
    }
  }
}
