import Formats
import Foundation
import Graph
import Testing

@testable import Passes
@testable import TestSupport

/// Masks as PyTorch leaves them: multiplied out, read from files, refused where they do not fit.
@Suite struct MaskFoldingTests {
  private static func text(_ product: String) -> String {
    """
    module m {
      opset 20
      param %fc.weight_orig : f32[2, 3] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
      param %fc.weight_mask : f32[2, 3] = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
      func (%x: f32[batch, 2]) -> (%y: f32[batch, 3]) {
        \(product)
        %y = matmul %x, %w : f32[batch, 3]
      }
    }
    """
  }

  @Test func theProductWithAMaskBecomesOneWeightWithZeros() throws {
    var module = try ModuleParser.parse(Self.text("%w = mul %fc.weight_orig, %fc.weight_mask : f32[2, 3]"))
    #expect(try MaskFolding.run(&module) == ["fc.weight"])
    #expect(module.nodes.count == 1)
    #expect(module.parameters.map { module[$0.value].name } == ["fc.weight"])
    #expect(Tensor(module.parameters[0].content)?.reals == [1, 0, 3, 0, 0, 6])
    #expect(Verifier.check(module).isEmpty)
  }

  @Test func alsoWhereTheMaskIsCastFirst() throws {
    let product = """
      %c = cast %fc.weight_mask to=1 : f32[2, 3]
          %w = mul %c, %fc.weight_orig : f32[2, 3]
      """
    var module = try ModuleParser.parse(Self.text(product))
    #expect(try MaskFolding.run(&module) == ["fc.weight"])
    #expect(module.nodes.count == 1)
    #expect(module.parameters.count == 1)
  }

  @Test func notAProductWithAScale() throws {
    let text = Self.text("%w = mul %fc.weight_orig, %fc.scale : f32[2, 3]").replacing("weight_mask", with: "scale")
      .replacing("[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]", with: "[1.0, 0.5, 1.0, 0.0, 0.0, 1.0]")
    var module = try ModuleParser.parse(text)
    #expect(try MaskFolding.run(&module).isEmpty)
    #expect(module.nodes.count == 2)
  }

  @Test func notSomethingCalledAMaskThatIsNone() throws {
    let text = Self.text("%w = mul %fc.weight_orig, %fc.weight_mask : f32[2, 3]")
      .replacing("[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]", with: "[1.0, 0.5, 1.0, 0.0, 0.0, 1.0]")
    var module = try ModuleParser.parse(text)
    let error = #expect(throws: Diagnostic.self) { _ = try MaskFolding.run(&module) }
    #expect(error?.description == "tensor fc.weight_mask: holds 0.5, but a mask holds only 0 and 1")
  }
}

/// `--masks M.safetensors`.
@Suite struct MaskFileTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("prunec-masks-\(UUID().uuidString)")

  private func module() throws -> Module {
    try ModuleParser.parse(
      """
      module m {
        opset 20
        param %fc.weight : f32[2, 3] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        param %val_1 : f32[3, 2] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        param %out.bias : f32[2] = [1.0, 2.0]
        func (%x: f32[batch, 2]) -> (%y: f32[batch, 2]) {
          %h = matmul %x, %fc.weight : f32[batch, 3]
          %k = matmul %h, %val_1 : f32[batch, 2]
          %y = add %k, %out.bias : f32[batch, 2]
        }
      }
      """)
  }

  private func tensor(_ name: String, _ shape: [Int], _ numbers: [Double], _ element: ElementType = .f32) -> NamedTensor {
    let tensor = Tensor(reals: numbers, element, shape)
    return NamedTensor(name: name, type: tensor.type, content: Masks.content(tensor))
  }

  /// The error that applying a file gives; nil where it is none.
  private static func failure(_ path: String, _ module: inout Module) -> String? {
    do {
      _ = try MaskFile.apply(path, to: &module)
      return nil
    } catch {
      return error.description
    }
  }

  /// What applying a file with these tensors leaves of a parameter; the text of the error where it is refused.
  private func apply(_ tensors: [NamedTensor], _ parameter: String = "fc.weight") throws -> (numbers: [Double], error: String?) {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("m.safetensors").path
    try Safetensors.write(tensors, metadata: [:], to: path)
    var module = try module()
    let failure = Self.failure(path, &module)
    if let failure { return ([], failure.replacing(folder.path + "/", with: "")) }
    let found = module.parameters.first { module[$0.value].name == parameter }
    return (found.flatMap { Tensor($0.content)?.reals } ?? [], nil)
  }

  @Test func aTensorOfTheParametersNameMasksIt() throws {
    #expect(try apply([tensor("fc.weight", [2, 3], [1, 0, 1, 0, 0, 1])]).numbers == [1, 0, 3, 0, 0, 6])
    #expect(try apply([tensor("fc.weight_mask", [2, 3], [1, 0, 1, 0, 0, 1], .bool)]).numbers == [1, 0, 3, 0, 0, 6])
  }

  @Test func aPrunedStateGivesItsNumbersToo() throws {
    let state = [
      tensor("fc.weight_orig", [2, 3], [7, 7, 7, 8, 8, 8]), tensor("fc.weight_mask", [2, 3], [1, 0, 1, 0, 0, 1]),
      tensor("out.bias", [2], [5, 6]),
    ]
    #expect(try apply(state).numbers == [7, 0, 7, 0, 0, 8])
    #expect(try apply(state, "out.bias").numbers == [5, 6])
  }

  @Test func aWeightThatTheExportTransposedIsFoundByItsBias() throws {
    let mask = [tensor("out.weight", [2, 3], [1, 1, 0, 0, 0, 0])]
    #expect(try apply(mask, "val_1").numbers == [1, 0, 3, 0, 0, 0])
  }

  @Test func whatDoesNotFitIsOneClearLineEach() throws {
    func error(_ tensors: NamedTensor...) throws -> String { try apply(tensors).error ?? "nothing" }
    #expect(
      try error(tensor("fc.wieght", [2, 3], [1, 0, 1, 0, 0, 1]))
        == "m.safetensors: tensor fc.wieght: the model has no parameter fc.wieght; did you mean 'fc.weight'?")
    #expect(
      try error(tensor("fc.weight", [3, 2], [1, 0, 1, 0, 0, 1]))
        == "m.safetensors: tensor fc.weight: has shape [3, 2], but fc.weight has [2, 3]; a mask has the shape of what it masks")
    #expect(
      try error(tensor("fc.weight_mask", [2, 3], [1, 0, 1, 0, 0, 0.25]))
        == "m.safetensors: tensor fc.weight_mask: holds 0.25, but a mask holds only 0 and 1")
    #expect(
      try error(tensor("fc.weight_orig", [2, 3], [1, 0, 1, 0, 0, 1])).hasPrefix(
        "m.safetensors: tensor fc.weight_orig: there is no fc.weight_mask beside it"))
    #expect(
      try error(
        tensor("fc.weight_orig", [3, 2], [1, 0, 1, 0, 0, 1]), tensor("fc.weight_mask", [2, 3], [1, 0, 1, 0, 0, 1]))
        == "m.safetensors: tensor fc.weight_orig: is f32[3, 2], but the model's fc.weight is f32[2, 3]")
    #expect(try error() == "m.safetensors: holds no masks")
  }

  @Test func damagedFilesAreRefusedAndNeverCrash() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("m.safetensors").path
    try Safetensors.write([tensor("fc.weight", [2, 3], [1, 0, 1, 0, 0, 1])], metadata: [:], to: path)
    let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    var refused = 0
    for seed in 0..<400 {
      var random = SplitMix(seed: UInt64(seed))
      var bytes = whole
      for _ in 0...random.next() % 4 {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      if seed % 5 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      var module = try module()
      guard let failure = Self.failure(path, &module) else { continue }
      refused += 1
      #expect(!failure.contains("\n"))
    }
    #expect(refused > 200)
  }
}

/// `prunec masks`.
@Suite struct MaskSetTests {
  private static let text = """
    module m {
      opset 20
      param %a.weight : f32[3, 4]
      param %a.bias : f32[4]
      param %b.weight : f32[4, 2]
      func (%x: f32[batch, 3]) -> (%y: f32[batch, 2]) {
        %h = gemm %x, %a.weight, %a.bias : f32[batch, 4]
        %r = relu %h : f32[batch, 4]
        %y = matmul %r, %b.weight : f32[batch, 2]
      }
    }
    """

  private func numbers(_ set: MaskSet, _ name: String) throws -> [Double] {
    let entry = try #require(set.entries.first { $0.name == name }, "no mask \(name)")
    let tensor = try #require(Tensor(entry.content))
    #expect(tensor.element == .f32)
    #expect(tensor.shape == entry.shape)
    #expect(tensor.reals.filter { $0 == 0 }.count == entry.zeros)
    return tensor.reals
  }

  @Test func aUnitThatGoesIsMaskedWhereverItStands() throws {
    let model = try CompiledModel(Self.text, keep: ["a.hidden": [0, 3]])
    let set = MaskSet(model.solution, plan: model.plan)
    #expect(try numbers(set, "a.weight") == [1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1])
    #expect(try numbers(set, "a.bias") == [1, 0, 0, 1])
    #expect(try numbers(set, "b.weight") == [1, 1, 0, 0, 0, 0, 1, 1])
  }

  @Test func whatKeepsAllGetsNoMask() throws {
    let model = try CompiledModel(Self.text, keep: [:])
    #expect(MaskSet(model.solution, plan: model.plan).entries.isEmpty)
  }

  /// Numbers by name, in a model of the text above.
  private func module(_ numbers: [String: [Double]]) throws -> Module {
    var module = RandomWeights.filling(try ModuleParser.parse(Self.text), seed: 1)
    for index in module.parameters.indices {
      let (name, shape) = (module[module.parameters[index].value].name, module.parameters[index].content.shape)
      if let own = numbers[name] { module.parameters[index].content = Masks.content(Tensor(reals: own, .f32, shape)) }
    }
    return module
  }

  @Test func theSmallestOfEachWeightOrOfAllGo() throws {
    let module = try module([
      "a.weight": [1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12], "b.weight": [0.1, 0.2, 0.3, 0.4, 20, 21, 22, 23],
    ])
    let each = MaskSet(module, pattern: .unstructured(ratio: 0.5, isGlobal: false)) { _ in true }
    #expect(try numbers(each, "a.weight") == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    #expect(try numbers(each, "b.weight") == [0, 0, 0, 0, 1, 1, 1, 1])
    let all = MaskSet(module, pattern: .unstructured(ratio: 0.25, isGlobal: true)) { _ in true }
    #expect(try numbers(all, "a.weight") == [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    #expect(try numbers(all, "b.weight") == [0, 0, 0, 0, 1, 1, 1, 1])
    // Biases are not masked.
    #expect(all.entries.count == 2)
  }

  @Test func ofEqualsTheFirstStay() throws {
    let module = try module(["a.weight": Array(repeating: 1, count: 12)])
    let set = MaskSet(module, pattern: .unstructured(ratio: 0.75, isGlobal: false)) { $0 == "a.weight" }
    #expect(try numbers(set, "a.weight") == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func twoOfFourInputsStayAndOddLengthsAreLeftOut() throws {
    let module = try module(["b.weight": [1, 8, 2, 7, 3, 6, 4, 5]])
    let set = MaskSet(module, pattern: .blocks(keeping: 2, of: 4)) { _ in true }
    // The inputs of [in, out] stand in columns.
    #expect(try numbers(set, "b.weight") == [0, 1, 0, 1, 1, 0, 1, 0])
    #expect(set.skipped.map(\.name) == ["a.weight"])
  }

  @Test func patternsAreReadStrictly() {
    #expect(MaskPattern("2:4", ratio: 0, isGlobal: false) == .blocks(keeping: 2, of: 4))
    #expect(MaskPattern("unstructured", ratio: 0.3, isGlobal: true) == .unstructured(ratio: 0.3, isGlobal: true))
    for text in ["4:4", "0:4", "5:4", "2:", ":4", "2:4:8", "a:b", "", "-1:4", "structured"] {
      #expect(MaskPattern(text, ratio: 0, isGlobal: false) == nil, "\(text)")
    }
  }

  @Test func remainCountsWhatAMaskLeft() throws {
    let module = try module([
      "a.weight": [0, 9, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1], "b.weight": [1, 1, 1, 1, 1, 1, 1, 1],
    ])
    var compilation = Compilation(module, options: CompileOptions())
    for pass in Pipeline.solve { try pass.run(&compilation) }
    let solution = try #require(compilation.solution)
    let scores = Scores(solution.judged(by: [Glob("a.weight")]), criterion: .remain, seed: 0, groups: [0])
    // Columns of a.weight have 1, 1, 2 and 3 numbers left, 7/4 on average.
    #expect(scores.byGroup[0].map { ($0 * 7 / 4).rounded() } == [1, 1, 2, 3])
    let large = Scores(solution.judged(by: [Glob("a.weight")]), criterion: .l1, seed: 0, groups: [0])
    #expect(large.byGroup[0].firstIndex(of: large.byGroup[0].max() ?? 0) == 1, "by size it is another one")
  }
}

/// `prunec stats`.
@Suite struct SparsityTests {
  private static let text = """
    module m {
      opset 20
      param %a.weight : f32[2, 3] = [0.0, 0.0, 1.0, 0.0, 2.0, 3.0]
      param %a.bias : f32[3] = [0.0, 1.0, 1.0]
      param %b.weight : f32[3, 2] = [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
      func (%x: f32[batch, 2]) -> (%y: f32[batch, 2]) {
        %h = gemm %x, %a.weight, %a.bias : f32[batch, 3]
        %r = relu %h : f32[batch, 3]
        %y = matmul %r, %b.weight : f32[batch, 2]
      }
    }
    """

  @Test func zerosAreCountedByTensorAndEmptySlicesByGroup() throws {
    var compilation = Compilation(try ModuleParser.parse(Self.text), options: CompileOptions())
    for pass in Pipeline.solve { try pass.run(&compilation) }
    let solution = try #require(compilation.solution)
    let sparsity = Sparsity(solution)
    #expect(sparsity.tensors.map(\.zeros) == [3, 1, 3])
    let group = try #require(sparsity.groups.first)
    let empty = Dictionary(
      group.places.map { (solution.module[$0.value].name, $0.empty) }, uniquingKeysWith: { first, _ in first })
    #expect(empty["a.weight"] == [0], "0.0 in one row is not an empty column")
    #expect(empty["a.bias"] == [0])
    #expect(empty["b.weight"] == [1])
    #expect(group.emptyEverywhere.isEmpty)
    #expect(group.emptySomewhere == [0, 1])
  }
}
