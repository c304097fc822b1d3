import Graph
import Passes
import Runtime
import Testing
import Tracing
import Zoo

@Suite("The zoo's table and configurations")
struct ZooModelTests {
  @Test("Every model of the table can be traced in its published size", arguments: Zoo.models.map(\.name))
  func published(name: String) throws {
    let entry = try #require(Zoo.models.first { $0.name == name })
    let module = try entry.make().module(named: name, weights: .absent)
    #expect(Verifier.check(module).isEmpty && module.parameterCount > 40_000 && !entry.summary.isEmpty)
  }

  @Test(
    "Published sizes have the published numbers of parameters",
    arguments: [
      ("resnet18", 11_699_112), ("resnet50", 25_610_152), ("lenet", 60_074), ("vit_base_patch16_224", 86_567_656),
      ("bert-base", 109_482_240), ("gpt2", 124_439_808), ("qwen3-0.6b", 596_049_920), ("llama-2-7b", 6_738_415_616),
      ("gemma-2b", 2_506_172_416), ("mixtral-8x7b", 46_702_792_704),
    ])
  func counts(name: String, parameters: Int) throws {
    let model = try #require(Zoo.models.first { $0.name == name }).make()
    let count = try model.namedParameters().reduce(0) { $0 + $1.parameter.shape.reduce(1, *) }
    #expect(count == parameters)
  }

  @Test("Names are unique")
  func unique() {
    #expect(Set(Zoo.models.map(\.name)).count == Zoo.models.count)
  }

  @Test("Queries, keys and values indexed, unbound or chunked: the same numbers, and the same heads and stream to prune")
  func splits() throws {
    var outputs: [[Double]] = []
    var groups: [[String]] = []
    for split in VisionConfiguration.Split.allCases {
      var c = VisionConfiguration()
      (c.image, c.patch, c.width, c.depth, c.heads, c.hidden, c.classes, c.split) = (16, 8, 24, 2, 3, 48, 5, split)
      let module = try VisionTransformer(c).module(named: "vit", weights: .random(seed: 4))
      let image = try RandomInputs.values(of: module, extents: ["batch": 2], seed: 1)
      outputs.append(try #require(try Session(module).run(image).first?.tensor).reals)
      groups.append(
        try solved(module).groups.filter { $0.kind != .headDims }.map { "\($0.name) \($0.kind) \($0.extent)" }.sorted())
    }
    #expect(outputs[0] == outputs[1] && outputs[0] == outputs[2])
    #expect(groups[0] == groups[1] && groups[0] == groups[2])
    #expect(groups[0].filter { $0.contains("heads 3") }.count == 2)
  }

  private func configuration(_ fixture: String, changing changes: [String: Configuration.Value]) throws -> Configuration {
    Configuration(try ZooFixture(fixture).configuration.values.merging(changes) { $1 })
  }

  @Test(
    "A configuration that makes no model is refused with the key",
    arguments: [
      ("hidden_size", Configuration.Value.null, "'hidden_size' is null, where a whole number of at least 1 is expected"),
      ("hidden_size", .number(0), "'hidden_size' is 0, where a whole number of at least 1 is expected"),
      ("hidden_size", .number(1e300), "'hidden_size' is 1e+300, where a whole number of at least 1 is expected"),
      ("hidden_size", .string("big"), "'hidden_size' is 'big', where a whole number of at least 1 is expected"),
      ("num_hidden_layers", .number(1e6), "'num_hidden_layers' is 1000000, where at most 10000 is expected"),
      ("num_key_value_heads", .number(3), "'num_attention_heads' is 4, which is no multiple of 'num_key_value_heads', 3"),
      ("head_dim", .number(7), "'head_dim' is 7; rotary embeddings need an even number"),
      ("hidden_act", .string("mish"), "'hidden_act' is 'mish', an activation that is not known here"),
      ("tie_word_embeddings", .number(1), "'tie_word_embeddings' is 1, where true or false is expected"),
      ("rope_parameters", .object(["rope_type": .string("spiral")]), "rotary scaling 'spiral' is not known"),
      ("rope_parameters", .object(["rope_type": .string("linear")]), "'factor' is missing, where a number is expected"),
    ])
  func refused(key: String, value: Configuration.Value, message: String) throws {
    let configuration = try configuration("llama_plain", changing: [key: value])
    let error = #expect(throws: Diagnostic.self) { try Zoo.model(configuration: configuration) }
    #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
  }

  @Test("Models and classes that are not known are unsupported, and named")
  func unknown() throws {
    let type = #expect(throws: Diagnostic.self) {
      try Zoo.model(configuration: try configuration("llama_plain", changing: ["model_type": .string("mamba")]))
    }
    #expect(type?.kind == .unsupported && type?.message.hasPrefix("'model_type' is 'mamba', which is not known") == true)
    let architecture = #expect(throws: Diagnostic.self) {
      try Zoo.model(
        configuration: try configuration(
          "llama_plain", changing: ["architectures": .array([.string("LlamaForTokenClassification")])]))
    }
    #expect(architecture?.kind == .unsupported)
    let none = #expect(throws: Diagnostic.self) { try Zoo.model(configuration: Configuration([:])) }
    #expect(none?.message.hasPrefix("has no 'model_type'") == true)
    #expect(throws: Diagnostic.self) { try Configuration(json: Array("[1, 2]".utf8)) }
  }

  @Test("A configuration that disagrees with the shapes is told by every tensor that does not fit")
  func disagreement() throws {
    let fixture = try ZooFixture("llama_plain")
    let configuration = try configuration("llama_plain", changing: ["intermediate_size": .number(40)])
    let error = #expect(throws: Diagnostic.self) {
      try Zoo.model(configuration: configuration).module(named: "m", weights: .stored(fixture.tensors))
    }
    #expect(error?.message.contains("6 that do not fit") == true)
  }

  @Test("Older files say rope_theta and rope_scaling; the result is the same")
  func olderFiles() throws {
    let fixture = try ZooFixture("llama_llama3")
    var values = fixture.configuration.values
    guard case .object(var inner)? = values.removeValue(forKey: "rope_parameters") else { throw Absent() }
    values["rope_theta"] = inner.removeValue(forKey: "rope_theta")
    values["rope_scaling"] = .object(inner)
    let module = try Zoo.model(configuration: Configuration(values)).module(named: "m", weights: .stored(fixture.tensors))
    #expect(try fixture.errors(of: module).values.allSatisfy { $0 <= 1e-4 })
  }

  @Test("BERT's sentence embedding has length 1, and does not hear tokens that the mask hides")
  func sentence() throws {
    var c = BertConfiguration()
    (c.vocabulary, c.width, c.layers, c.heads, c.hidden, c.hasSentenceHead) = (20, 12, 1, 2, 24, true)
    let module = try Bert(c).module(named: "bert", weights: .random(seed: 1))
    func embedding(_ hidden: Int) throws -> [Double] {
      let ids = Graph.Tensor(wholes: [1, 2, 3, hidden], .i64, [1, 4])
      let mask = Graph.Tensor(wholes: [1, 1, 1, 0], .i64, [1, 4])
      let kinds = Graph.Tensor(wholes: [0, 0, 0, 0], .i64, [1, 4])
      return try #require(try Session(module).run([ids, mask, kinds].map { .tensor($0) }).last?.tensor).reals
    }
    let one = try embedding(4)
    #expect(one == (try embedding(17)) && abs(one.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
  }

  @Test("Checkpoints by older names: GPT-2 without its prefix, BERT with gamma and beta; strict all the same")
  func olderNames() throws {
    func check(_ name: String, _ old: (String) -> String) throws {
      let fixture = try ZooFixture(name)
      var tensors = Dictionary(uniqueKeysWithValues: fixture.tensors.map { (old($0.key), $0.value) })
      #expect(tensors.keys != fixture.tensors.keys)
      let model = try Zoo.model(configuration: fixture.configuration)
      let module = try model.module(named: name, weights: .stored(tensors))
      #expect(try fixture.errors(of: module).values.allSatisfy { $0 <= 1e-4 })
      #expect(Set(tensors.keys).isSubset(of: module.parameters.map { module[$0.value].name }))
      tensors["stray"] = tensors.values.first
      #expect(throws: Diagnostic.self) { try model.module(named: name, weights: .stored(tensors)) }
    }
    try check("gpt2") { $0.replacing("transformer.", with: "") }
    try check("bert") {
      $0.replacing("LayerNorm.weight", with: "LayerNorm.gamma").replacing("LayerNorm.bias", with: "LayerNorm.beta")
    }
  }

  @Test("A checkpoint in bf16 has the groups of the same in f32, and stays in bf16 when it is pruned")
  func narrow() throws {
    let fixture = try ZooFixture("qwen3")
    let narrow = fixture.tensors.mapValues { content in
      let numbers = content.materialized().numbers(as: Float.self).map(Double.init)
      return TensorContent(Graph.Tensor(reals: numbers, .bf16, content.shape).data, element: .bf16, shape: content.shape)
    }
    let model = try Zoo.model(configuration: fixture.configuration)
    var compilation = Compilation(try model.module(named: "qwen3", weights: .stored(narrow)), options: CompileOptions())
    try Pipeline.run(Pipeline.compile, on: &compilation)
    func described(_ groups: [Group]) -> [String] { groups.map { "\($0.name) \($0.kind) \($0.extent) \($0.occurrences.count)" } }
    #expect(described(try #require(compilation.solution).groups) == described(try solved(try fixture.module()).groups))
    let smaller = compilation.module
    let weights = smaller.parameters.filter { narrow[smaller[$0.value].name] != nil }
    #expect(weights.count == narrow.count && weights.allSatisfy { $0.content.element == .bf16 })
  }

  @Test("A mixture of experts loses experts, and its stacks come apart into the tensors that a checkpoint has")
  func experts() throws {
    let fixture = try ZooFixture("mixtral")
    let module = try fixture.module()
    let whole = module.parameters.flatMap { NamedParameter.storedTensors(of: module[$0.value].name, $0.content) }
    for (name, content) in whole where fixture.tensors[name] != nil {
      #expect(content.materialized().numbers(as: UInt8.self) == fixture.tensors[name]?.data.numbers(as: UInt8.self), "\(name)")
    }
    #expect(Set(fixture.tensors.keys).isSubset(of: whole.map(\.name)))

    var options = CompileOptions()
    options.choice.kinds = [.experts, .hidden]
    options.choice.budget = .ratio(0.3)
    options.choice.rounding = 1
    var compilation = Compilation(module, options: options)
    try Pipeline.run(Pipeline.compile, on: &compilation)
    let smaller = compilation.module
    let parts = Dictionary(
      uniqueKeysWithValues: smaller.parameters.flatMap {
        NamedParameter.storedTensors(of: smaller[$0.value].name, $0.content)
      })
    let layer = "model.layers.0.block_sparse_moe"
    #expect(parts["\(layer).gate.weight"]?.shape == [2, 32])
    let stack = try #require(smaller.parameters.first { smaller[$0.value].name == "\(layer).experts.*.w2.weight" }).content
    #expect(stack.shape.prefix(2) == [2, 32] && stack.shape[2] < 24)
    let numbers = stack.materialized().numbers(as: Float.self)
    let last = try #require(parts["\(layer).experts.1.w2.weight"]).materialized().numbers(as: Float.self)
    #expect(last == Array(numbers.suffix(numbers.count / 2)))
    #expect(parts["\(layer).experts.2.w2.weight"] == nil)
  }

  struct Absent: Error {}
}

/// The groups of a module.
func solved(_ module: Module) throws -> Solution {
  var compilation = Compilation(module, options: CompileOptions())
  for pass in Pipeline.solve { try pass.run(&compilation) }
  return try #require(compilation.solution)
}
