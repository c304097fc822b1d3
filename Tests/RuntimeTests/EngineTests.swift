import Formats
import Graph
import TestSupport
import Testing

@testable import Runtime

/// What is lowered, fused and done by kernels computes what each operator says by itself.
///
/// `PRUNEC_ENGINE=20000 swift test -c release -Xswiftc -enable-testing --filter EngineTests` tries more random graphs.
@Suite("Engine") struct EngineTests {
  /// Largest difference over largest number; infinite where shapes differ or one has numbers where the other has none.
  static func error(_ want: RuntimeValue, _ have: RuntimeValue) -> Double {
    guard let want = want.tensor, let have = have.tensor, want.type == have.type else { return .infinity }
    guard want.element.isFloat else { return want.wholes == have.wholes ? 0 : .infinity }
    var (worst, largest) = (0.0, 0.0)
    for (a, b) in zip(want.reals, have.reals) where a != b && !(a.isNaN && b.isNaN) {
      guard a.isFinite, b.isFinite else { return .infinity }
      worst = max(worst, abs(a - b))
    }
    for a in want.reals where a.isFinite { largest = max(largest, abs(a)) }
    return worst / max(1e-6, largest)
  }

  @Test("random graphs compute the same by the engine, on one thread and on two, as node by node")
  func randomGraphs() throws {
    let count = testCount("PRUNEC_ENGINE", default: 200)
    var compared = 0
    for seed in 0..<UInt64(count) {
      let module = RandomWeights.filling(try RandomGraphs.module(seed: seed), seed: seed)
      let inputs = try RandomInputs.values(of: module, extents: [:], seed: seed)
      let want: [RuntimeValue]
      do { want = try PlainRunner(module, source: nil).run(inputs) } catch {
        #expect(error.kind == .unsupported, "seed \(seed): \(error)")
        continue
      }
      let one = try Session(module, threads: 1).run(inputs)
      let two = try Session(module, threads: 2).run(inputs)
      for (index, output) in module.outputs.enumerated() {
        let error = Self.error(want[index], one[index])
        #expect(error < 1e-4, "seed \(seed), output \(module[output].name): differs by \(error)")
        #expect(
          one[index].tensor?.data.numbers(as: UInt8.self) == two[index].tensor?.data.numbers(as: UInt8.self),
          "seed \(seed): threads change the result")
      }
      compared += 1
    }
    print("\(compared) of \(count) random graphs run")
    #expect(compared * 10 >= count * 9)
  }

  @Test("every lowering pass leaves a graph that computes the same")
  func passes() throws {
    for seed in 0..<UInt64(testCount("PRUNEC_ENGINE", default: 200) / 4) {
      let module = RandomWeights.filling(try RandomGraphs.module(seed: seed), seed: seed)
      let inputs = try RandomInputs.values(of: module, extents: [:], seed: seed)
      guard let want = try? PlainRunner(module, source: nil).run(inputs) else { continue }
      var stages: [(String, Module)] = []
      _ = try Lowering.lower(module, inputs: inputs.compactMap { $0.tensor?.type }) { stages.append(($0.name, $1)) }
      for (name, lowered) in stages {
        let have = try PlainRunner(lowered, source: nil).run(inputs)
        for (a, b) in zip(want, have) {
          #expect(Self.error(a, b) < 1e-4, "seed \(seed): wrong after \(name)")
        }
      }
    }
  }

  @Test("a run on other shapes binds the model anew; going back gives the same bits")
  func shapes() throws {
    let module = try ModuleParser.parse(
      """
      module m {
        opset 20
        param %w : f32[3, 5]
        func (%x: f32[batch, 3]) -> (%y: f32[batch, 5]) {
          %h = matmul %x, %w : f32[batch, 5]
          %y = relu %h : f32[batch, 5]
        }
      }
      """)
    let session = Session(RandomWeights.filling(module, seed: 1))
    let small = try session.run([.tensor(.real([1, 2, 3], [1, 3]))])
    let large = try session.run([.tensor(.real([1, 2, 3, 4, 5, 6], [2, 3]))])
    let again = try session.run([.tensor(.real([1, 2, 3], [1, 3]))])
    #expect(large[0].tensor?.shape == [2, 5])
    #expect(small[0].tensor?.reals == again[0].tensor?.reals)
    #expect(large[0].tensor.map { Array($0.reals.prefix(5)) } == small[0].tensor?.reals)
  }

  @Test("an index outside a table is refused with its number, not read")
  func gather() throws {
    let module = try ModuleParser.parse(
      """
      module m {
        opset 20
        param %table : f32[4, 3]
        func (%i: i64[2]) -> (%y: f32[2, 3]) {
          %y = gather %table, %i axis=0 : f32[2, 3] @"embed"
        }
      }
      """)
    let session = Session(RandomWeights.filling(module, seed: 1))
    let rows = try session.run([.tensor(.whole([3, -4]))])
    #expect(rows[0].tensor?.shape == [2, 3])
    let error = #expect(throws: Diagnostic.self) { try session.run([.tensor(.whole([0, 4]))]) }
    #expect(error?.message == "Gather: index 4 is outside an axis of 4")
  }
}

/// Views by strides: what can be looked at in another shape without being moved, and what cannot.
@Suite("Placement") struct PlacementTests {
  private let buffer = Operand(buffer: 0)

  @Test("axes are split and joined where memory allows")
  func reshapes() {
    let rows = Placement(dense: buffer, [2, 3, 4])
    #expect(rows.reshaped(from: [2, 3, 4], to: [6, 4])?.strides == [4, 1])
    #expect(rows.reshaped(from: [2, 3, 4], to: [2, 3, 2, 2])?.strides == [12, 4, 2, 1])
    // Channels last: pixels are one axis after all, channels and pixels never are.
    let image = Placement(dense: buffer, [1, 5, 2, 3], order: [0, 2, 3, 1])
    #expect(image.reshaped(from: [1, 5, 2, 3], to: [1, 5, 6])?.strides.suffix(2) == [1, 5])
    #expect(image.reshaped(from: [1, 5, 2, 3], to: [1, 30]) == nil)
    // A transposed matrix is no list.
    #expect(Placement(buffer, strides: [1, 3]).reshaped(from: [3, 4], to: [12]) == nil)
  }

  @Test("every reshape that is a view reads the numbers in row-major order")
  func randomReshapes() {
    var generator = SeededGenerator(seed: 7)
    var views = 0
    for _ in 0..<2000 {
      let shape = (0..<Int.random(in: 1...4, using: &generator)).map { _ in [1, 2, 3, 4].randomElement(using: &generator) ?? 1 }
      let placement = Placement(dense: buffer, shape, order: Array(shape.indices).shuffled(using: &generator))
      // Another shape of as many numbers: neighbours joined, or an axis split.
      var target = shape
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let axis = Int.random(in: 0..<target.count, using: &generator)
        if Bool.random(using: &generator), target.count > 1, axis + 1 < target.count {
          target[axis] *= target.remove(at: axis + 1)
        } else if target[axis] == 4 {
          target[axis] = 2
          target.insert(2, at: axis)
        } else {
          target.insert(1, at: axis)
        }
      }
      let want = Tensor.positions(shape, strides: placement.strides)
      guard let view = placement.reshaped(from: shape, to: target) else { continue }
      views += 1
      #expect(Tensor.positions(target, strides: view.strides) == want, "\(shape) as \(placement.strides) to \(target)")
    }
    #expect(views > 800)
  }
}
