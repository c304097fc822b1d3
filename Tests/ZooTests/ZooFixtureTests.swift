import Formats
import Graph
import Passes
import Testing
import Tracing
import Zoo

@Suite("Models of the zoo give the numbers of the libraries they are named after")
struct ZooFixtureTests {
  @Test("Traced with the library's weights, and run", arguments: ZooFixture.names)
  func numbers(name: String) throws {
    let fixture = try ZooFixture(name)
    let module = try fixture.module()
    #expect(Verifier.check(module).isEmpty && VerifyDimensions.run(module).isEmpty)
    let errors = try fixture.errors(of: module)
    #expect(!errors.isEmpty && errors.values.allSatisfy { $0 <= 1e-4 }, "\(errors)")
  }

  @Test("And again through ONNX and back", arguments: ZooFixture.names)
  func throughOnnx(name: String) throws {
    let fixture = try ZooFixture(name)
    let document = try OnnxDocument(bytes: try OnnxWriter.bytes(Exporter.model(of: try fixture.module()), patching: nil))
    let errors = try fixture.errors(of: try Importer.module(from: document.model))
    #expect(!errors.isEmpty && errors.values.allSatisfy { $0 <= 1e-4 }, "\(errors)")
  }

  @Test("Every one of a checkpoint's tensors is needed, and none may be added", arguments: ZooFixture.names)
  func strict(name: String) throws {
    let fixture = try ZooFixture(name)
    let model = try Zoo.model(configuration: fixture.configuration)
    let first = try #require(fixture.tensors.keys.filter { !$0.hasSuffix("num_batches_tracked") }.min())
    var fewer = fixture.tensors
    let content = fewer.removeValue(forKey: first)
    let missing = #expect(throws: Diagnostic.self) { try model.module(named: name, weights: .stored(fewer)) }
    #expect(missing?.message.contains("1 missing: \(first) ") == true)
    var more = fixture.tensors
    more["stray.weight"] = content
    let extra = #expect(throws: Diagnostic.self) { try model.module(named: name, weights: .stored(more)) }
    #expect(extra?.message.contains("1 that the model does not have: stray.weight") == true)
  }

  @Test("A wrong weight is noticed: the comparison can fail")
  func canFail() throws {
    var fixture = try ZooFixture("llama_plain")
    let query = try #require(fixture.tensors["model.layers.0.self_attn.q_proj.weight"])
    var tensors = fixture.tensors
    tensors["model.layers.1.self_attn.q_proj.weight"] = query
    let module = try Zoo.model(configuration: fixture.configuration).module(named: "wrong", weights: .stored(tensors))
    fixture = try ZooFixture("llama_plain")
    #expect(try fixture.errors(of: module).values.allSatisfy { $0 > 1e-4 })
  }

  @Test("There are fixtures for every kind of model")
  func complete() {
    #expect(ZooFixture.names.count >= 21)
  }
}
