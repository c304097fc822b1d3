import Formats
import Foundation
import Graph
import Runtime
import TestSupport
import Testing

@testable import Passes

/// Choosing by data, and making up for what goes.
@Suite("Compensation") struct CompensationTests {
  /// y = relu(x · up + bias) · down + out: one hidden group of 6.
  private static let layers = """
    module layers {
      param %up : f32[4, 6]
      param %bias : f32[6]
      param %down : f32[6, 5]
      param %out : f32[5]
      func (%x: f32[n, 4]) -> (%y: f32[n, 5]) {
        %h = matmul %x, %up : f32[n, 6]
        %b = add %h, %bias : f32[n, 6]
        %r = relu %b : f32[n, 6]
        %d = matmul %r, %down : f32[n, 5]
        %y = add %d, %out : f32[n, 5]
      }
    }
    """

  private func module(_ text: String, _ change: (String, [Double], [Int]) -> [Double] = { _, numbers, _ in numbers }) throws
    -> Module
  {
    var module = RandomWeights.filling(try ModuleParser.parse(text), seed: 1)
    for index in module.parameters.indices {
      guard let tensor = Tensor(module.parameters[index].content), tensor.element.isFloat else { continue }
      let numbers = change(module[module.parameters[index].value].name, tensor.reals, tensor.shape)
      let changed = Tensor(reals: numbers, .f32, tensor.shape)
      module.parameters[index].content = TensorContent(changed.data, element: .f32, shape: changed.shape)
    }
    return module
  }

  private func samples(_ count: Int, _ shape: [Int], seed: UInt64 = 3) -> NpyArray {
    var generator = SplitMix(seed: seed)
    let numbers = (0..<count * shape.reduce(1, *)).map { _ in Float(generator.unit() * 2 - 1) }
    return NpyArray(code: "f4", shape: [count] + shape, data: TensorData(numbers))
  }

  private func compiled(
    _ module: Module, _ arrays: [(name: String, array: NpyArray)], mode: Compensation = .obs,
    _ change: (inout CompileOptions) -> Void = { _ in }
  ) throws -> Compilation {
    var options = CompileOptions()
    var compensation = CompensationOptions(data: try CalibrationData(arrays, for: module))
    compensation.mode = mode
    options.compensation = compensation
    change(&options)
    var compilation = Compilation(module, options: options)
    try Pipeline.run(Pipeline.compile, on: &compilation)
    return compilation
  }

  /// ‖y − y'‖ / ‖y‖ of two modules on samples.
  private func error(_ one: Module, _ other: Module, _ arrays: [(name: String, array: NpyArray)]) throws -> Double {
    let data = try CalibrationData(arrays, for: one)
    var (difference, size) = (0.0, 0.0)
    for batch in 0..<data.batchCount {
      let before = try Session(one).run(data.batch(batch))
      let after = try Session(other).run(data.batch(batch))
      for (x, y) in zip(before.compactMap(\.tensor), after.compactMap(\.tensor)) {
        #expect(x.shape == y.shape)
        for (a, b) in zip(x.reals, y.reals) {
          difference += (a - b) * (a - b)
          size += a * a
        }
      }
    }
    return (difference / size).squareRoot()
  }

  // MARK: What is exact

  @Test("a channel that is constant vanishes without loss, whatever its size: its part goes into the bias")
  func constant() throws {
    let module = try module(Self.layers) { name, numbers, shape in
      switch name {
      // Unit 2 is relu(0 · x + 3) = 3.
      case "up": numbers.enumerated().map { $0 % 6 == 2 ? 0 : $1 }
      case "bias": numbers.enumerated().map { $0 == 2 ? 3 : $1 + 1 }
      case _: numbers
      }
    }
    let data = [(name: "x", array: samples(64, [4]))]
    let compilation = try compiled(module, data) {
      $0.choice.ratios = [(Glob("*"), 0.16)]
      $0.compensation?.strength = 1e-5
    }
    let plan = try #require(compilation.plan)
    #expect(plan.kept.compactMap(\.self) == [[0, 1, 3, 4, 5]])
    #expect(try error(module, compilation.module, data) < 1e-5)
  }

  @Test("a channel that depends linearly on others vanishes without loss: their weights take it over")
  func dependent() throws {
    let module = try module(Self.layers) { name, numbers, shape in
      switch name {
      // Every unit is open, and unit 4 is unit 0 + 2 · unit 1.
      case "up":
        numbers.enumerated().map { $0 % 6 == 4 ? 0.2 * numbers[$0 - 4] + 0.4 * numbers[$0 - 3] : $1 * 0.2 }
      case "bias": [2, 2, 3, 3, 6, 3]
      case _: numbers
      }
    }
    let data = [(name: "x", array: samples(64, [4]))]
    // The ridge holds weights to where they were; where it is small, nothing does.
    let compilation = try compiled(module, data) {
      $0.choice.ratios = [(Glob("*"), 0.16)]
      $0.compensation?.strength = 1e-5
    }
    #expect(try error(module, compilation.module, data) < 1e-3)
    // With nothing done for the others the same removal is a loss.
    let bare = try compiled(module, data, mode: .none) { $0.choice.ratios = [(Glob("*"), 0.16)] }
    #expect(try error(module, bare.module, data) > 0.02)
  }

  @Test(
    "a transposed convolution takes over what a channel adds to each place of its window, side by side or overlapping",
    arguments: [("2, 2", "6, 6", ""), ("3, 3", "6, 6", " pads=[1, 1, 0, 0]")])
  func transposed(_ window: String, _ image: String, _ attributes: String) throws {
    let text = """
      module grows {
        param %up : f32[6, 4, 1, 1]
        param %bias : f32[6]
        param %down : f32[6, 5, \(window)]
        param %out : f32[5]
        func (%x: f32[n, 4, 3, 3]) -> (%y: f32[n, 5, \(image)]) {
          %h = conv %x, %up, %bias : f32[n, 6, 3, 3]
          %r = relu %h : f32[n, 6, 3, 3]
          %y = conv_transpose %r, %down, %out strides=[2, 2]\(attributes) : f32[n, 5, \(image)]
        }
      }
      """
    let module = try module(text) { name, numbers, shape in
      switch name {
      // Every channel is open, and channel 4 is channel 0 + 2 · channel 1.
      case "up": numbers.enumerated().map { $0 / 4 == 4 ? 0.2 * numbers[$0 - 16] + 0.4 * numbers[$0 - 12] : $1 * 0.2 }
      case "bias": [2, 2, 3, 3, 6, 3]
      case _: numbers
      }
    }
    let data = [(name: "x", array: samples(64, [4, 3, 3]))]
    let compilation = try compiled(module, data) {
      $0.choice.ratios = [(Glob("*"), 0.16)]
      $0.compensation?.strength = 1e-5
    }
    #expect(compilation.plan?.kept.compactMap(\.self).map(\.count) == [5] && compilation.compensated?.layers == 1)
    #expect(try error(module, compilation.module, data) < 1e-3)
    let bare = try compiled(module, data, mode: .none) { $0.choice.ratios = [(Glob("*"), 0.16)] }
    let biased = try compiled(module, data, mode: .bias) {
      $0.choice.ratios = [(Glob("*"), 0.16)]
      $0.compensation?.criterion = .activation
    }
    let (without, with) = (try error(module, bare.module, data), try error(module, biased.module, data))
    #expect(without > 0.02)
    // The mean over the window is all that a bias can make up for.
    #expect(with < 0.95 * without && biased.compensated?.biased == 1)
  }

  @Test("the more is done, the less is lost: nothing, bias, weights fitted anew")
  func modes() throws {
    let module = try module(Self.layers) { name, numbers, _ in name == "bias" ? numbers.map { $0 + 1 } : numbers }
    let data = [(name: "x", array: samples(256, [4]))]
    let errors = try [Compensation.none, .bias, .ridge, .obs].map { mode in
      try error(module, try compiled(module, data, mode: mode) { $0.choice.budget = .ratio(0.5) }.module, data)
    }
    #expect(errors[1] < errors[0])
    #expect(errors[2] < errors[1])
    #expect(errors[3] <= errors[2] * 1.01)
  }

  @Test("auto takes what held-back samples say is best, and says what it tried")
  func auto() throws {
    let module = try module(Self.layers) { name, numbers, _ in name == "bias" ? numbers.map { $0 + 1 } : numbers }
    let data = [(name: "x", array: samples(256, [4]))]
    let compilation = try compiled(module, data, mode: .auto) { $0.choice.budget = .ratio(0.5) }
    let report = try #require(compilation.compensated)
    #expect(report.trials.map(\.mode) == [.none, .bias, .ridge, .obs])
    #expect(report.mode == report.trials.min { $0.error < $1.error }?.mode)
  }

  @Test("weights that are stored in half precision and cast are fitted like others, and stay in half precision")
  func halves() throws {
    let text = """
      module halves {
        param %up : f32[4, 8]
        param %down : bf16[5, 8]
        param %out : bf16[5]
        func (%x: f32[n, 4]) -> (%y: f32[n, 5]) {
          %h = matmul %x, %up : f32[n, 8]
          %r = relu %h : f32[n, 8]
          %w = cast %down to=1 : f32[5, 8]
          %t = transpose %w perm=[1, 0] : f32[8, 5]
          %d = matmul %r, %t : f32[n, 5]
          %b = cast %out to=1 : f32[5]
          %y = add %d, %b : f32[n, 5]
        }
      }
      """
    let module = RandomWeights.filling(try ModuleParser.parse(text), seed: 1)
    let data = [(name: "x", array: samples(200, [4]))]
    let fitted = try compiled(module, data, mode: .ridge) { $0.choice.budget = .ratio(0.5) }
    #expect(fitted.compensated?.layers == 1 && fitted.compensated?.biased == 1)
    let down = fitted.module.parameters.first { fitted.module[$0.value].name == "down" }
    #expect(down?.content.element == .bf16 && down?.content.shape == [5, 4])
    let bare = try compiled(module, data, mode: .none) { $0.choice.budget = .ratio(0.5) }
    #expect(try error(module, fitted.module, data) < 0.8 * error(module, bare.module, data))
  }

  @Test("rows whose number hangs on what is cut are refused, not read beyond their end")
  func changingShapes() throws {
    let text = """
      module chosen {
        param %up : f32[4, 8]
        param %down : f32[8, 4]
        param %wide : f32[4, 8]
        param %out : f32[8, 3]
        param %zero : f32[] = 0.0
        param %place : i64[1] = [0]
        param %line : i64[1] = [-1]
        func (%x: f32[n, 4]) -> (%y: f32[m, 3]) {
          %h = matmul %x, %up : f32[n, 8]
          %r = relu %h : f32[n, 8]
          %d = matmul %r, %down : f32[n, 4]
          %first = gather %d, %place axis=1 : f32[n, 1]
          %positive = greater %first, %zero : bool[n, 1]
          %flat = reshape %positive, %line : bool[n]
          %some = compress %d, %flat axis=0 : f32[m, 4]
          %w = matmul %some, %wide : f32[m, 8]
          %s = relu %w : f32[m, 8]
          %y = matmul %s, %out : f32[m, 3]
        }
      }
      """
    let module = try module(text)
    #expect {
      try compiled(module, [(name: "x", array: samples(64, [4]))], mode: .ridge) { $0.choice.budget = .ratio(0.5) }
    } throws: {
      "\($0)".contains("its shape depends on numbers that change when layers before it are cut")
    }
  }

  @Test("outputs that are no real numbers cannot judge: then weights are fitted")
  func unjudged() throws {
    let text = Self.layers.replacing("(%y: f32[n, 5])", with: "(%c: i64[n])")
      .replacing("%out : f32[n, 5]", with: "%out : f32[n, 5]\n    %c = arg_max %y axis=1 keepdims=0 : i64[n]")
    let module = try module(text)
    let compilation = try compiled(module, [(name: "x", array: samples(64, [4]))], mode: .auto)
    #expect(compilation.compensated?.mode == .obs && compilation.compensated?.trials.isEmpty ?? false)
  }

  // MARK: Heads

  /// One attention of 2 heads of 4 dims on a stream of 6.
  private static let attention = """
    module attention {
      param %wq : f32[6, 8]
      param %bq : f32[8]
      param %wk : f32[6, 8]
      param %bk : f32[8]
      param %wv : f32[6, 8]
      param %bv : f32[8]
      param %wo : f32[8, 6]
      param %bo : f32[6]
      param %split : i64[4] = [0, 0, 2, 4]
      param %merge : i64[3] = [0, 0, 8]
      func (%x: f32[n, s, 6]) -> (%y: f32[n, s, 6]) {
        %q = matmul %x, %wq : f32[n, s, 8]
        %qb = add %q, %bq : f32[n, s, 8]
        %qs = reshape %qb, %split : f32[n, s, 2, 4]
        %qt = transpose %qs perm=[0, 2, 1, 3] : f32[n, 2, s, 4]
        %k = matmul %x, %wk : f32[n, s, 8]
        %kb = add %k, %bk : f32[n, s, 8]
        %ks = reshape %kb, %split : f32[n, s, 2, 4]
        %kt = transpose %ks perm=[0, 2, 3, 1] : f32[n, 2, 4, s]
        %v = matmul %x, %wv : f32[n, s, 8]
        %vb = add %v, %bv : f32[n, s, 8]
        %vs = reshape %vb, %split : f32[n, s, 2, 4]
        %vt = transpose %vs perm=[0, 2, 1, 3] : f32[n, 2, s, 4]
        %scores = matmul %qt, %kt : f32[n, 2, s, s]
        %p = softmax %scores axis=-1 : f32[n, 2, s, s]
        %c = matmul %p, %vt : f32[n, 2, s, 4]
        %ct = transpose %c perm=[0, 2, 1, 3] : f32[n, s, 2, 4]
        %cs = reshape %ct, %merge : f32[n, s, 8]
        %o = matmul %cs, %wo : f32[n, s, 6]
        %ob = add %o, %bo : f32[n, s, 6]
        %y = add %x, %ob : f32[n, s, 6]
      }
    }
    """

  /// The model after the pass `rotate`.
  private func rotated(_ module: Module, _ data: [(name: String, array: NpyArray)], kinds: Set<GroupKind> = [.headDims]) throws
    -> Module
  {
    var options = CompileOptions()
    options.choice.kinds = kinds
    options.compensation = CompensationOptions(data: try CalibrationData(data, for: module))
    var compilation = Compilation(module, options: options)
    try Pipeline.run(Pipeline.solve + Pipeline.compile.filter { $0.name == "rotate" }, on: &compilation)
    return compilation.module
  }

  /// Names of the parameters whose numbers differ.
  private func changed(_ one: Module, _ other: Module) -> [String] {
    zip(one.parameters, other.parameters).filter { one, other in
      zip(Tensor(one.content)?.reals ?? [], Tensor(other.content)?.reals ?? []).contains { abs($0 - $1) > 1e-3 }
    }.map { one[$0.0.value].name }.sorted()
  }

  @Test("rotated dims inside heads: the weights are others, and the model computes what it did")
  func rotation() throws {
    let module = try module(Self.attention)
    let data = [(name: "x", array: samples(40, [5, 6]))]
    let turned = try rotated(module, data)
    #expect(changed(module, turned) == ["bk", "bq", "bv", "wk", "wo", "wq", "wv"])
    #expect(try error(module, turned, data) < 1e-5)
    // Dims that are not to be cut stay where they are.
    #expect(changed(module, try rotated(module, data, kinds: [.heads])).isEmpty)
  }

  @Test("queries behind a norm inside heads are not rotated; values are")
  func normedScores() throws {
    let text = Self.attention
      .replacing("param %split", with: "param %qn : f32[4]\n  param %split")
      .replacing(
        "%qt = transpose %qs perm", with: "%qr = rmsnorm %qs, %qn axis=-1 : f32[n, s, 2, 4]\n    %qt = transpose %qr perm")
    let module = try module(text)
    let data = [(name: "x", array: samples(40, [5, 6]))]
    let turned = try rotated(module, data)
    #expect(changed(module, turned) == ["bv", "wo", "wv"])
    #expect(try error(module, turned, data) < 1e-5)
  }

  @Test("dims that carry rank one are all that is kept: cutting three of four loses nothing")
  func lowRank() throws {
    // Every channel of a head is a multiple of the head's first one.
    func flat(_ numbers: [Double], _ shape: [Int]) -> [Double] {
      let width = shape.last ?? 1
      return numbers.indices.map { numbers[$0 - $0 % width % 4] * Double(1 + $0 % width % 4) }
    }
    let module = try module(Self.attention) { name, numbers, shape in
      ["wq", "wk", "wv", "bq", "bk", "bv"].contains(name) ? flat(numbers, shape) : numbers
    }
    let data = [(name: "x", array: samples(40, [5, 6]))]
    func cut(rotates: Bool) throws -> Double {
      let compilation = try compiled(module, data, mode: .none) {
        $0.choice.kinds = [.headDims]
        $0.choice.budget = .ratio(0.75)
        $0.compensation?.rotates = rotates
      }
      #expect(compilation.plan?.kept.compactMap { $0?.count } == [1, 1])
      return try error(module, compilation.module, data)
    }
    #expect(try cut(rotates: true) < 1e-3)
    // In place, one of four score dims is a thirtieth of the scores.
    #expect(try cut(rotates: false) > 1e-2)
  }

  // MARK: Budgets and padding

  /// Two residual layers with 32 hidden units each.
  private static let two = """
    module two {
      param %a : f32[8, 32]
      param %b : f32[32, 8]
      param %c : f32[8, 32]
      param %d : f32[32, 8]
      func (%x: f32[n, 8]) -> (%y: f32[n, 8]) {
        %h = matmul %x, %a : f32[n, 32]
        %r = relu %h : f32[n, 32]
        %s = matmul %r, %b : f32[n, 8]
        %t = add %x, %s : f32[n, 8]
        %i = matmul %t, %c : f32[n, 32]
        %j = relu %i : f32[n, 32]
        %k = matmul %j, %d : f32[n, 8]
        %y = add %t, %k : f32[n, 8]
      }
    }
    """

  @Test("a budget of parameters is kept to, and spent")
  func budget() throws {
    // The second layer hardly does anything: it pays for the first.
    let module = try module(Self.two) { name, numbers, _ in name == "d" ? numbers.map { $0 * 0.01 } : numbers }
    let data = [(name: "x", array: samples(200, [8]))]
    let compilation = try compiled(module, data) { $0.choice.budget = .parameters(0.5) }
    let share = Double(compilation.module.parameterCount) / Double(module.parameterCount)
    #expect(share <= 0.5 && share > 0.48)
    let sizes = try #require(compilation.solution).groups.indices.map { compilation.plan?.kept[$0]?.count ?? 32 }
    #expect(sizes[0] > 28 && sizes[1] < 4)
  }

  @Test(
    "a group with a ratio of its own keeps to it, whatever the budget; among whom indices compete is no question where data decide"
  )
  func ownRatio() throws {
    let module = try module(Self.two)
    let data = [(name: "x", array: samples(200, [8]))]
    let compilation = try compiled(module, data) {
      $0.choice.budget = .parameters(0.7)
      $0.choice.ratios = [(Glob("c"), 0.25)]
    }
    #expect(compilation.plan?.kept.map { $0?.count ?? 32 }.last == 24)
    for scope in [Scope.global, .isomorphic] {
      let error = #expect(throws: Diagnostic.self) { try compiled(module, data) { $0.choice.scope = scope } }
      #expect(error?.kind == .usage)
    }
  }

  @Test("padding does not count: what stands there changes nothing")
  func padding() throws {
    let text = """
      module masked {
        param %table : f32[9, 6]
        param %up : f32[6, 12]
        param %down : f32[12, 6]
        func (%ids: i64[n, s], %attention_mask: i64[n, s]) -> (%y: f32[n, s, 6], %m: i64[n, s]) {
          %e = gather %table, %ids axis=0 : f32[n, s, 6]
          %h = matmul %e, %up : f32[n, s, 12]
          %r = relu %h : f32[n, s, 12]
          %d = matmul %r, %down : f32[n, s, 6]
          %y = add %e, %d : f32[n, s, 6]
          %m = identity %attention_mask : i64[n, s]
        }
      }
      """
    let module = try module(text)
    func weights(padding: Int, isAll: Bool = false) throws -> [Double] {
      let ids = (0..<80).map { $0 % 4 == 3 ? padding : ($0 * 7 + $0 / 5) % 8 }
      let mask = (0..<80).map { $0 % 4 == 3 || isAll ? 0 : 1 }
      let arrays = [
        (name: "ids", array: NpyArray(code: "i8", shape: [20, 4], data: TensorData(ids))),
        (name: "attention_mask", array: NpyArray(code: "i8", shape: [20, 4], data: TensorData(mask))),
      ]
      let compilation = try compiled(module, arrays, mode: .obs) { $0.compensation?.strength = 0.1 }
      let smaller = compilation.module
      return smaller.parameters.filter { smaller[$0.value].name == "down" }.flatMap { Tensor($0.content)?.reals ?? [] }
    }
    let expected = try weights(padding: 0)
    #expect(!expected.isEmpty)
    #expect(try weights(padding: 8) == expected)
    // Where all is padding there is nothing to fit to, and weights stay as they are.
    let original = module.parameters.filter { module[$0.value].name == "down" }.flatMap { Tensor($0.content)?.reals ?? [] }
    #expect(Set(try weights(padding: 0, isAll: true)).isSubset(of: Set(original)))
  }

  // MARK: Data

  @Test(
    "a stream gives back what was put into it, in memory or in its file, however often it is replaced",
    arguments: [0, 100, 1 << 20])
  func stream(limit: Int) throws {
    let stream = Stream(batches: 3, limit: limit)
    func tensor(_ seed: Int, _ count: Int) -> Tensor { Tensor(reals: (0..<count).map { Double($0 * seed) }, .f32, [count]) }
    for round in 1...4 {
      for batch in 0..<3 {
        try stream.set(batch, [ValueID(1): tensor(batch + round, 5 * round), ValueID(7): tensor(round, 9 - round)])
      }
      for batch in 0..<3 {
        let values = try stream.values(batch)
        #expect(values[ValueID(1)]?.reals == tensor(batch + round, 5 * round).reals)
        #expect(values[ValueID(7)]?.reals == tensor(round, 9 - round).reals)
      }
    }
    #expect(stream.known == [ValueID(1), ValueID(7)])
  }

  @Test(
    "data that do not fit are refused in one line that says what",
    arguments: [
      (["y": [4, 4]], "there is no array in.x"), (["x": [4, 4], "z": [4, 4]], "the model has no such input"),
      (["x": [4, 5]], "the model takes"), (["x": [4, 4, 1]], "the model takes"), (["x": [0, 4]], "hold no sample"),
    ])
  func misfits(shapes: [String: [Int]], message: String) throws {
    let module = try module(Self.layers)
    let arrays = shapes.sorted { $0.key < $1.key }.map { entry in
      (name: entry.key, array: samples(entry.value[0], Array(entry.value.dropFirst())))
    }
    let error = #expect(throws: Diagnostic.self) { try CalibrationData(arrays, for: module) }
    #expect(error?.message.contains(message) ?? false, "\(error?.message ?? "")")
    #expect(!(error?.message.contains("\n") ?? true))
  }

  @Test("labels have one entry for each sample, and are whole numbers")
  func labels() throws {
    let module = try module(Self.layers)
    let x = (name: "x", array: samples(4, [4]))
    let short = (name: "labels", array: NpyArray(code: "i8", shape: [3], data: TensorData([0, 1, 2])))
    let real = (name: "labels", array: samples(4, []))
    let good = (name: "labels", array: NpyArray(code: "i8", shape: [4], data: TensorData([0, 1, 2, 1])))
    #expect(throws: Diagnostic.self) { try CalibrationData([x, short], for: module) }
    #expect(throws: Diagnostic.self) { try CalibrationData([x, real], for: module) }
    #expect(try CalibrationData([x, good], for: module).labels?.wholes == [0, 1, 2, 1])
  }

  @Test("values that are not finite are refused, not fitted to")
  func infinite() throws {
    let module = try module(Self.layers)
    let numbers = [Float](repeating: 1, count: 15) + [.nan]
    let data = [(name: "x", array: NpyArray(code: "f4", shape: [4, 4], data: TensorData(numbers)))]
    let error = #expect(throws: Diagnostic.self) { try compiled(module, data) }
    #expect(error?.message.contains("not finite") ?? false)
  }
}
