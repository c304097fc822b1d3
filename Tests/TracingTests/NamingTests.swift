import Graph
import Testing
import Tracing

@Suite("Parameters are named by the properties that lead to them")
struct NamingTests {
  struct Attention: Layer {
    let queries = Linear(4, 4)
    let output = Linear(4, 4, bias: false)
    static let names = ["queries": "q_proj"]
  }

  struct Block: Layer {
    let attention = Attention()
    let norm: LayerNorm?
    let scale = Tracing.Parameter([4], .ones)
    static let names = ["attention": "self_attn", "norm": "LayerNorm", "scale": "inner.gamma"]
  }

  struct Sequence: Layer {
    let first = Linear(4, 4, bias: false)
    let second = BatchNorm(4)
    static let names = ["first": "0", "second": "1"]
  }

  struct Wrapper: Layer {
    let inner = Sequence()
    static let names = ["inner": ""]
  }

  struct Model: Layer {
    let embedding = Embedding(8, 4)
    let layers = [Block(norm: LayerNorm(4)), Block(norm: nil)]
    let tail: any Layer = Wrapper()
    let size = 4
  }

  @Test("Arrays, optionals, renamed and hidden properties, in order")
  func names() throws {
    #expect(
      try Model().namedParameters().map(\.name) == [
        "embedding.weight", "layers.0.self_attn.q_proj.weight", "layers.0.self_attn.q_proj.bias",
        "layers.0.self_attn.output.weight",
        "layers.0.LayerNorm.weight", "layers.0.LayerNorm.bias", "layers.0.inner.gamma", "layers.1.self_attn.q_proj.weight",
        "layers.1.self_attn.q_proj.bias", "layers.1.self_attn.output.weight", "layers.1.inner.gamma", "tail.0.weight",
        "tail.1.weight", "tail.1.bias", "tail.1.running_mean", "tail.1.running_var",
      ])
  }

  @Test("Two parameters never share a name")
  func collision() {
    struct Twice: Layer {
      let first = Linear(2, 2)
      let second = Linear(2, 2)
      static let names = ["first": "fc", "second": "fc"]
    }
    let error = #expect(throws: Diagnostic.self) { try Twice().namedParameters() }
    #expect(error?.message.contains("two parameters of the model are called fc.weight") == true)
  }

  @Test("A misspelt property in names is told")
  func misspelt() {
    struct Wrong: Layer {
      let queries = Linear(2, 2)
      static let names = ["querys": "q_proj"]
    }
    let error = #expect(throws: Diagnostic.self) { try Wrong().namedParameters() }
    #expect(error?.message == "Wrong.names speaks of 'querys', but Wrong has no such property")
  }

  @Test("A parameter that two layers hold is one, under the first name")
  func shared() throws {
    struct Tied: Layer {
      let embedding = Embedding(8, 4)
      let head: Tracing.Parameter
      init() { head = embedding.weight }
    }
    let model = Tied()
    let module = try trace("tied", model) { trace in
      let x = model.embedding(trace.input("ids", [3], element: .i64))
      trace.output("y", x.linear(model.head.tensor))
    }
    #expect(module.parameters.map { module[$0.value].name } == ["embedding.weight"])
  }

  @Test("Nodes are named after the layer they belong to, so that a message says where")
  func nodes() throws {
    struct Layered: Layer {
      let layers = [Attention(), Attention()]
      func callAsFunction(_ x: Traced) -> Traced {
        layers.reduce(x) { x, layer in x + layer.output(layer.queries(x).matmul(x.transposed())) }
      }
    }
    let model = Layered()
    let module = try trace("m", model) { trace in trace.output("y", model(trace.input("x", [1, 4, 4]))) }
    let names = module.nodes.map(\.name)
    #expect(names.contains("layers.0.q_proj/matmul") && names.contains("layers.1.output/matmul"))
    #expect(names.contains("layers.1/add") && Set(names).count == names.count)
  }

  @Test("Parameters that nothing reads stay in the module, constants and nodes that nothing needs do not")
  func unread() throws {
    struct Spare: Layer {
      let used = Linear(2, 2, bias: false)
      let spare = Linear(2, 2, bias: false)
    }
    let model = Spare()
    let module = try trace("m", model) { trace in
      let x = trace.input("x", [1, 2])
      _ = x.softmax() * 3
      trace.output("y", model.used(x))
    }
    #expect(module.parameters.map { module[$0.value].name } == ["used.weight", "spare.weight"])
    #expect(module.nodes.map(\.operation) == [.matrixProduct(.gemm)])
  }
}
