import Foundation
import Kernels
import TestSupport
import Testing

/// Attention of one head against softmax in double precision, over more keys than a block holds.
@Suite struct AttentionTests {
  /// Queries, keys, size of a key, size of a value.
  static let sizes: [(Int, Int, Int, Int)] = [
    (1, 1, 1, 1), (3, 5, 4, 4), (7, 17, 8, 5), (16, 16, 16, 16), (33, 70, 33, 20), (5, 600, 64, 64), (130, 257, 40, 48),
  ]

  private func check(
    _ size: (Int, Int, Int, Int), bias: [Float]?, isCausal: Bool, unseen: pk_unseen_keys, _ set: String
  ) {
    let (queries, keys, width, made) = size
    let q = Memory(ProductTests.numbers((queries - 1) * (width + 3) + width, seed: 1))
    let k = Memory(ProductTests.numbers((keys - 1) * (width + 1) + width, seed: 2))
    let v = Memory(ProductTests.numbers((keys - 1) * (made + 2) + made, seed: 3))
    let added = Memory(bias ?? [0])
    let result = Memory([Float](repeating: 7, count: (queries - 1) * (made + 1) + made))
    let offset = keys - queries
    var attention = pk_attention()
    (attention.queries, attention.keys, attention.size, attention.value_size) = (queries, keys, width, made)
    (attention.query, attention.query_stride) = (UnsafePointer(q.pointer), width + 3)
    (attention.key, attention.key_stride) = (UnsafePointer(k.pointer), width + 1)
    (attention.value, attention.value_stride) = (UnsafePointer(v.pointer), made + 2)
    if bias != nil {
      attention.bias = UnsafePointer(added.pointer)
      (attention.bias_query_stride, attention.bias_key_stride) = (keys, 1)
    }
    attention.scale = 0.7
    (attention.is_causal, attention.causal_offset, attention.unseen) = (isCausal, offset, unseen)
    (attention.result, attention.result_stride) = (result.pointer, made + 1)
    let scratch = Memory([Float](repeating: .nan, count: max(1, pk_attention_scratch_size(&attention))))
    for range in oddRanges(queries) where !range.isEmpty {
      pk_attention_run(&attention, range.lowerBound, range.upperBound, scratch.pointer)
    }
    #expect(result.isIntact && scratch.isIntact)
    for query in 0..<queries {
      let scores = (0..<keys).map { key -> Double in
        if isCausal, key > query + offset { return -.infinity }
        let product = (0..<width).reduce(0.0) {
          $0 + Double(q.pointer[query * (width + 3) + $1]) * Double(k.pointer[key * (width + 1) + $1])
        }
        return 0.7 * product + (bias == nil ? 0 : Double(added.pointer[query * keys + key]))
      }
      let most = scores.max() ?? 0
      let shares = scores.map { most == -.infinity ? 0 : exp($0 - most) }
      let sum = shares.reduce(0, +)
      for at in 0..<made {
        let found = Double(result.pointer[query * (made + 1) + at])
        if sum == 0 {
          #expect(unseen == PK_UNSEEN_NAN ? found.isNaN : found == 0, "a query without keys, \(set)")
          continue
        }
        let exact = (0..<keys).reduce(0.0) { $0 + shares[$1] / sum * Double(v.pointer[$1 * (made + 2) + at]) }
        #expect(abs(found - exact) < 5e-6, "query \(query) of \(size), causal: \(isCausal), \(set)")
      }
      if query + 1 < queries { #expect(result.pointer[query * (made + 1) + made] == 7, "\(set)") }
    }
  }

  @Test("shares of values, whole, biased and causal", arguments: sizes)
  func shares(_ size: (Int, Int, Int, Int)) {
    onEveryInstructionSet { set in
      check(size, bias: nil, isCausal: false, unseen: PK_UNSEEN_ZERO, set)
      check(
        size, bias: ProductTests.numbers(size.0 * size.1, seed: 4).map { $0 * 3 }, isCausal: false, unseen: PK_UNSEEN_NAN, set)
      check(size, bias: nil, isCausal: true, unseen: PK_UNSEEN_ZERO, set)
    }
  }

  @Test("masked keys get nothing; a query whose keys are all masked gives zero or no number, as it is told", arguments: sizes)
  func masks(_ size: (Int, Int, Int, Int)) {
    onEveryInstructionSet { set in
      var bias = [Float](repeating: 0, count: size.0 * size.1)
      for index in bias.indices where index % 3 == 0 || index / size.1 == size.0 - 1 { bias[index] = -.infinity }
      for unseen in [PK_UNSEEN_ZERO, PK_UNSEEN_NAN, PK_UNSEEN_ALL_ZERO] {
        check(size, bias: bias, isCausal: false, unseen: unseen, set)
      }
    }
  }
}
