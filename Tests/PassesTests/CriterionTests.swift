import Formats
import Foundation
import Graph
import Runtime
import Testing

@testable import Passes

/// What every criterion, aggregation and normalisation makes of two small layers, against the formulas written out.
@Suite("Criteria") struct CriterionTests {
  /// y = relu(x · w1) · w2, four hidden units; in the first weight they are columns, in the second rows.
  private struct Layers {
    let w1: [[Double]]
    let w2: [[Double]]
    let x: [[Double]]

    init() {
      var random = SplitMix(seed: 11)
      func matrix(_ rows: Int, _ columns: Int) -> [[Double]] {
        (0..<rows).map { _ in (0..<columns).map { _ in Double(Float(random.normal())) } }
      }
      (w1, w2, x) = (matrix(3, 4), matrix(4, 2), matrix(6, 3))
    }

    /// The slices of the hidden units: columns of w1, rows of w2.
    var slices: [[[Double]]] { [(0..<4).map { h in w1.map { $0[h] } }, w2] }

    func solution() throws -> Solution {
      func text(_ name: String, _ rows: [[Double]]) -> String { "param %\(name) : f32[\(rows.count), \(rows[0].count)]\n" }
      var module = try ModuleParser.parse(
        """
        module layers {
        \(text("w1", w1))\(text("w2", w2))
        func (%x: f32[batch, 3]) -> (%y: f32[batch, 2]) {
          %h = matmul %x, %w1 : f32[batch, 4]
          %r = relu %h : f32[batch, 4]
          %y = matmul %r, %w2 : f32[batch, 2]
        }
        }
        """)
      for (index, rows) in [w1, w2].enumerated() {
        let tensor = Tensor(reals: rows.flatMap { $0 }, .f32, [rows.count, rows[0].count])
        module.parameters[index].content = TensorContent(tensor.data, element: .f32, shape: tensor.shape)
      }
      var compilation = Compilation(module, options: CompileOptions())
      try Pipeline.run(Pipeline.solve, on: &compilation)
      return try #require(compilation.solution)
    }

    /// Gradients of Σ y² over some samples, by unit: those of the first weight's columns, and of the second's rows.
    func gradients(_ samples: Range<Int>) -> [[[Double]]] {
      var first = Array(repeating: Array(repeating: 0.0, count: 3), count: 4)
      var second = Array(repeating: Array(repeating: 0.0, count: 2), count: 4)
      for sample in samples {
        let h = (0..<4).map { unit in (0..<3).reduce(0) { $0 + x[sample][$1] * w1[$1][unit] } }
        let r = h.map { max(0, $0) }
        let y = (0..<2).map { out in (0..<4).reduce(0) { $0 + r[$1] * w2[$1][out] } }
        for unit in 0..<4 {
          for out in 0..<2 { second[unit][out] += r[unit] * 2 * y[out] }
          let back = h[unit] > 0 ? (0..<2).reduce(0) { $0 + 2 * y[$1] * w2[unit][$1] } : 0
          for input in 0..<3 { first[unit][input] += x[sample][input] * back }
        }
      }
      return [first, second]
    }

    func data(_ x: [[Double]]? = nil, labels: [Int]? = nil) throws -> CalibrationData {
      let rows = x ?? self.x
      var arrays = [
        (name: "x", array: NpyArray(code: "f4", shape: [rows.count, 3], data: TensorData(rows.flatMap { $0 }.map(Float.init))))
      ]
      if let labels {
        arrays.append((name: "labels", array: NpyArray(code: "i8", shape: [labels.count], data: TensorData(labels))))
      }
      return try CalibrationData(arrays, for: try solution().module)
    }
  }

  private let layers = Layers()

  private func scores(
    _ criterion: Criterion, _ aggregation: ScoreAggregation = .mean, _ normalisation: ScoreNormalisation = .none
  ) throws -> [Double] {
    let solution = try layers.solution()
    let group = try #require(solution.groups.firstIndex { $0.extent == 4 })
    return Scores(
      solution, criterion: criterion, aggregation: aggregation, normalisation: normalisation, seed: 3, groups: [group]
    )
    .byGroup[group]
  }

  private func isNear(_ a: [Double], _ b: [Double], _ tolerance: Double = 1e-5) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
  }

  private func mean(_ figure: ([[Double]]) -> [Double]) -> [Double] {
    let figures = layers.slices.map(figure)
    return (0..<4).map { (figures[0][$0] + figures[1][$0]) / 2 }
  }

  @Test("Criteria of weights are their formulas")
  func weights() throws {
    func length(_ w: [Double]) -> Double { w.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    #expect(isNear(try scores(.l1), mean { $0.map { $0.reduce(0) { $0 + abs($1) } } }))
    #expect(isNear(try scores(.l2), mean { $0.map(length) }))
    #expect(isNear(try scores(.linf), mean { $0.map { $0.map(abs).max() ?? 0 } }))
    #expect(isNear(try scores(.remain), [2.5, 2.5, 2.5, 2.5]))
    #expect(
      isNear(
        try scores(.fpgm),
        mean { slices in slices.map { one in slices.reduce(0) { $0 + length(zip(one, $1).map { $0 - $1 }) } } }))
    #expect(
      isNear(
        try scores(.lamp),
        mean { slices in
          let squares = slices.map { length($0) * length($0) }
          return squares.map { one in one / squares.filter { $0 >= one }.reduce(0, +) }
        }))
    #expect(try scores(.bnScale) == scores(.l2), "without a batch norm")
    #expect(try scores(.random) == scores(.random))
  }

  @Test("Batch-norm scales are |γ|, and no other weight counts")
  func batchNorm() throws {
    let solution = try ChooserTests.solve(
      """
      module normed {
        param %w : f32[3, 2, 1, 1] = [9, 9, 1, 1, 5, 5]
        param %scale : f32[3] = [-0.5, 2, 0.25]
        param %shift : f32[3] = [1, 1, 1]
        param %mean : f32[3] = [0, 0, 0]
        param %variance : f32[3] = [1, 1, 1]
        param %v : f32[2, 3, 1, 1] = [1, 2, 3, 4, 5, 6]
        func (%x: f32[1, 2, 4, 4]) -> (%y: f32[1, 2, 4, 4]) {
          %c = conv %x, %w : f32[1, 3, 4, 4]
          %n = batch_norm %c, %scale, %shift, %mean, %variance : f32[1, 3, 4, 4]
          %y = conv %n, %v : f32[1, 2, 4, 4]
        }
      }
      """)
    let group = try #require(solution.groups.firstIndex { $0.extent == 3 })
    let scores = Scores(solution, criterion: .bnScale, normalisation: .none, seed: 0, groups: [group]).byGroup[group]
    #expect(isNear(scores, [0.5, 2, 0.25]))
  }

  @Test("Figures of several weights are put together as asked, and made comparable as asked")
  func options() throws {
    let figures = layers.slices.map { $0.map { $0.reduce(0) { $0 + abs($1) } } }
    func both(_ combine: (Double, Double) -> Double) -> [Double] { zip(figures[0], figures[1]).map(combine) }
    #expect(isNear(try scores(.l1, .sum), both(+)))
    #expect(isNear(try scores(.l1, .max), both(max)))
    #expect(isNear(try scores(.l1, .product), both(*)))
    #expect(isNear(try scores(.l1, .first), figures[0]))
    let plain = both { ($0 + $1) / 2 }
    let average = plain.reduce(0, +) / 4
    let spread = (plain.reduce(0) { $0 + ($1 - average) * ($1 - average) } / 4).squareRoot()
    #expect(isNear(try scores(.l1, .mean, .mean), plain.map { $0 / average }))
    #expect(isNear(try scores(.l1, .mean, .sum), plain.map { $0 / average / 4 }))
    #expect(isNear(try scores(.l1, .mean, .max), plain.map { $0 / (plain.max() ?? 1) }))
    #expect(isNear(try scores(.l1, .mean, .gaussian), plain.map { ($0 - average) / spread }))
    #expect(ScoreNormalisation.allCases.allSatisfy { $0.applied(to: [0, 0]) == [0, 0] }, "nothing to divide by")
  }

  @Test("Criteria of gradients are their formulas, whatever the batches", arguments: [Criterion.taylor, .saliency, .fisher])
  func gradients(criterion: Criterion) throws {
    let solution = try layers.solution()
    let group = try #require(solution.groups.firstIndex { $0.extent == 4 })
    var source = GradientStatistics.Source(data: try layers.data())
    source.loss = .sumSquares
    let statistics = try GradientStatistics(solution, criterion: criterion, groups: [group], source: source)
    let found = Scores(solution, criterion: criterion, normalisation: .none, seed: 0, groups: [group], gradients: statistics)
      .byGroup[group]
    let gradients = layers.gradients(0..<6)
    let expected = (0..<4).map { unit -> Double in
      let sums = (0..<2).map { layer -> Double in
        let products = zip(layers.slices[layer][unit], gradients[layer][unit]).map { $0 * $1 }
        switch criterion {
        case .saliency: return products.reduce(0) { $0 + abs($1) }
        case .fisher: return products.reduce(0, +) * products.reduce(0, +)
        case .taylor, .random, .l1, .l2, .linf, .bnScale, .fpgm, .lamp, .remain, .activation, .fluctuation, .obs:
          return abs(products.reduce(0, +))
        }
      }
      return (sums[0] + sums[1]) / 2
    }
    #expect(source.data.batchCount == 1)
    #expect(isNear(found, expected, 1e-4), "\(found) \(expected)")
  }

  @Test("A gradient that is no number is one error that names the tensor; finite ones are none")
  func notFinite() throws {
    let solution = try layers.solution()
    let group = try #require(solution.groups.firstIndex { $0.extent == 4 })
    var source = GradientStatistics.Source(data: try layers.data([[1, 2, .nan]]))
    let error = #expect(throws: Diagnostic.self) {
      try GradientStatistics(solution, criterion: .taylor, groups: [group], source: source)
    }
    #expect(
      error?.kind == .invalid && "\(error.map { "\($0)" } ?? "")".hasPrefix("tensor w1: its gradient is not finite for batch 0"))
    source.data = try layers.data([[1, 2, 3]])
    _ = try GradientStatistics(solution, criterion: .taylor, groups: [group], source: source)
  }

  @Test("Labels: classes are taken, others refused, none at all too where they are needed")
  func labels() throws {
    let solution = try layers.solution()
    func run(_ labels: [Int]?, _ loss: Loss?) throws {
      var source = GradientStatistics.Source(data: try layers.data(labels: labels))
      source.loss = loss
      _ = try GradientStatistics(solution, criterion: .fisher, groups: [0], source: source)
    }
    try run([0, 1, 1, 0, 1, 0], nil)
    let outside = #expect(throws: Diagnostic.self) { try run([0, 1, 2, 0, 1, 0], nil) }
    #expect(outside?.message == "number 2 is 2, which is no class of 0 to 1")
    let none = #expect(throws: Diagnostic.self) { try run(nil, .crossEntropy) }
    #expect(none?.message.contains("needs an array 'labels'") == true)
    try run(nil, .distortion)
  }
}
