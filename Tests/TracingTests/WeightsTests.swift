import Graph
import Runtime
import Testing
import Tracing

@Suite("Weights are loaded strictly or drawn from a seed")
struct WeightsTests {
  struct Model: Layer {
    let first = Linear(3, 2)
    let norm = BatchNorm(2)
    let experts = Tracing.Parameter([2, 2, 2])
    static let names = ["experts": "experts.*.weight"]

    func module(_ weights: Weights) throws -> Module {
      try trace("model", self, weights: weights) { trace in
        trace.output("y", norm(first(trace.input("x", [1, 3]))).matmul(experts.tensor))
      }
    }
  }

  /// All that the model needs.
  static func fitting(_ element: ElementType = .f32) -> [String: TensorContent] {
    func content(_ shape: [Int]) -> TensorContent {
      let numbers = Numbers(reals: (0..<shape.reduce(1, *)).map { Double($0) / 4 + 1 }, element, shape)
      return TensorContent(numbers.data, element: element, shape: shape)
    }
    return [
      "first.weight": content([2, 3]), "first.bias": content([2]), "norm.weight": content([2]), "norm.bias": content([2]),
      "norm.running_mean": content([2]), "norm.running_var": content([2]), "experts.0.weight": content([2, 2]),
      "experts.1.weight": content([2, 2]),
    ]
  }

  private func message(_ tensors: [String: TensorContent]) -> String? {
    do {
      _ = try Model().module(.stored(tensors))
      return nil
    } catch { return (error as? Diagnostic)?.message }
  }

  @Test("What fits is taken as it is, with the count of batches that PyTorch keeps left aside")
  func fits() throws {
    var tensors = Self.fitting()
    tensors["norm.num_batches_tracked"] = TensorContent(TensorData([7]), element: .i64, shape: [])
    let module = try Model().module(.stored(tensors))
    let weight = try #require(module.parameters.first { module[$0.value].name == "first.weight" })
    #expect(weight.content.data.isIdentical(to: try #require(tensors["first.weight"]).data))
  }

  @Test("Missing, extra and mis-shaped tensors are all in one message")
  func misfits() throws {
    var tensors = Self.fitting()
    let spare = try #require(tensors["norm.bias"])
    tensors["first.bias"] = nil
    tensors["experts.1.weight"] = nil
    tensors["frist.bias"] = spare
    tensors["head.weight"] = spare
    tensors["first.weight"] = TensorContent(TensorData([Float](repeating: 0, count: 6)), element: .f32, shape: [3, 2])
    tensors["norm.weight"] = TensorContent(TensorData([1, 2]), element: .i64, shape: [2])
    let said = try #require(message(tensors))
    #expect(
      said == """
        the weights are not those of model: 2 missing: first.bias [2], experts.1.weight [2, 2]; 2 that the model does not have: \
        frist.bias, head.weight; 2 that do not fit: first.weight is [3, 2] where the model has [2, 3], transposed, norm.weight is i64 \
        where the model has f32
        """)
  }

  @Test("One tensor too few or too many is enough", arguments: ["first.weight", "norm.running_var", "experts.0.weight"])
  func single(name: String) throws {
    var tensors = Self.fitting()
    let content = tensors.removeValue(forKey: name)
    #expect(message(tensors)?.contains("1 missing: \(name)") == true)
    tensors[name] = content
    tensors["\(name).copy"] = content
    #expect(message(tensors)?.contains("1 that the model does not have: \(name).copy") == true)
  }

  @Test("Narrow floats stay as they are stored, and are widened where they are read", arguments: ["bf16", "f16"])
  func narrow(name: String) throws {
    let element = try #require(ElementType(rawValue: name))
    let module = try Model().module(.stored(Self.fitting(element)))
    #expect(module.parameters.filter { module[$0.value].name.hasSuffix("weight") }.allSatisfy { $0.content.element == element })
    #expect(module.outputs.map { module[$0].type.element } == [.f32])
    let input = Numbers.counting([1, 3])
    let wide = try Session(try Model().module(.stored(Self.fitting()))).run([.tensor(input)]).first?.tensor?.reals
    #expect(try Session(module).run([.tensor(input)]).first?.tensor?.reals == wide)
  }

  @Test("The same seed gives the same numbers, whatever stands before a parameter; another seed gives others")
  func random() throws {
    struct Longer: Layer {
      let before = Linear(5, 5)
      let first = Linear(3, 2)
    }
    func weight(_ model: some Layer, seed: UInt64) throws -> [Double] {
      let module = try trace("m", model, weights: .random(seed: seed)) { trace in trace.output("y", trace.input("x", [1]) * 2) }
      let parameter = try #require(module.parameters.first { module[$0.value].name == "first.weight" })
      return try #require(Numbers(parameter.content)).reals
    }
    let numbers = try weight(Model(), seed: 1)
    #expect(try weight(Longer(), seed: 1) == numbers)
    #expect(try weight(Model(), seed: 2) != numbers)
    #expect(Set(numbers).count == 6 && numbers.allSatisfy { abs($0) <= 1 / 3.0.squareRoot() })
  }

  @Test("Without weights the structure is there, and takes no memory however large")
  func absent() throws {
    struct Large: Layer {
      let table = Embedding(1 << 20, 1 << 14)
    }
    let model = Large()
    let module = try trace("m", model, weights: .absent) { trace in
      trace.output("y", model.table(trace.input("x", [1], element: .i64)))
    }
    #expect(module.parameterCount == 1 << 34 && module.parameters.filter { $0.content.isMissing }.count == 1)
  }

  @Test("Absurd sizes are refused before anything is allocated", arguments: [[1 << 40, 1 << 40], [1 << 37], [-1]])
  func absurd(shape: [Int]) {
    struct Absurd: Layer {
      let weight: Tracing.Parameter
    }
    #expect(throws: Diagnostic.self) {
      try trace("m", Absurd(weight: Tracing.Parameter(shape))) { trace in trace.output("y", trace.input("x", [1]) * 2) }
    }
  }
}
