import Graph
import Runtime
import TestSupport
import Testing

@testable import Passes

/// Random graphs with random slices emptied: whatever `--remove-zeros` removes, the outputs are those of the masked original.
///
/// `PRUNEC_RANDOM=3000 swift test --filter ZeroPropertyTests` goes round more often, from seed `PRUNEC_RANDOM_SEED`.
@Suite struct ZeroPropertyTests {
  @Test func outputsOfRandomMaskedGraphsStayAsTheyAre() throws {
    let first = UInt64(testCount("PRUNEC_RANDOM_SEED", default: 0))
    let count = testCount("PRUNEC_RANDOM", default: 150)
    var (withRemoved, removed, folded, compared) = (0, 0, 0, 0)
    for seed in first..<first + UInt64(count) {
      let module = try masked(RandomGraphs.module(seed: seed, isJudged: seed % 2 == 0), seed: seed)
      let model = try ZeroedModel(module)
      let gone = model.zeros.removed.reduce(0) { $0 + $1.indices.count }
      removed += gone
      withRemoved += gone > 0 ? 1 : 0
      folded += model.zeros.removed.reduce(0) { $0 + $1.folded.count }
      if gone == 0 { continue }
      let error: Double
      do { error = try model.error(seed: seed) } catch { continue }
      compared += 1
      if !(error < 1e-4) { Issue.record("seed \(seed): outputs differ by \(error); removed \(model.zeros.removed)") }
    }
    print(
      "\(count) random graphs: \(removed) indices removed of \(withRemoved), \(folded) constants folded, \(compared) compared")
    // The test must reach what it is about.
    #expect(withRemoved * 3 >= count)
    #expect(folded * 20 >= count)
    #expect(compared * 10 >= withRemoved * 8)
  }

  /// A few indices of a few groups emptied, each in some of the parameters that carry it.
  func masked(_ module: Module, seed: UInt64) throws -> Module {
    var compilation = Compilation(module, options: CompileOptions())
    for pass in Pipeline.solve { try pass.run(&compilation) }
    guard let solution = compilation.solution else { return module }
    var dice = Dice(seed: seed)
    var zeroed: [ValueID: Set<Int>] = [:]
    for group in solution.groups where dice.chance(0.7) {
      for index in 0..<group.extent where dice.chance(0.3) {
        for place in group.occurrences where dice.chance(place.isWeight ? 0.7 : 0.4) {
          let type = solution.module[place.value].type
          guard type.element.isFloat, let shape = type.staticShape else { continue }
          let stands = solution.positions(of: group.leaf, in: solution.axes[place.value.index][place.axis])
          let stride = shape[(place.axis + 1)...].reduce(1, *)
          for position in 0..<shape.reduce(1, *) where stands[position / stride % shape[place.axis]] == Int32(index) {
            zeroed[place.value, default: []].insert(position)
          }
        }
      }
    }
    var result = module
    for at in result.parameters.indices {
      guard let places = zeroed[result.parameters[at].value], let tensor = Tensor(result.parameters[at].content) else { continue }
      let picked = tensor.picking((0..<tensor.count).map { places.contains($0) ? -1 : $0 }, shape: tensor.shape)
      result.parameters[at].content = TensorContent(picked.data, element: picked.element, shape: picked.shape)
    }
    return result
  }
}
