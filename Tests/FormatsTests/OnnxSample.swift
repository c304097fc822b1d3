import Graph

@testable import Formats

/// ONNX messages spelled out field by field, so that the tests do not depend on the writer that they test.
enum OnnxSample {
  typealias Build = (inout WireMessage) -> Void

  /// A ModelProto around a graph, with fields that prunec does not look at before and after it.
  static func model(opset: Int = 17, _ graph: Build) -> [UInt8] {
    WireMessage.of { model in
      model.field(1, int: 8)
      model.field(2, text: "sample")
      model.field(7, message: .of(graph))
      model.field(8, message: .of { $0.field(2, int: opset) })
      model.entry(14, "licence", "none")
      model.field(99, text: "from a later version")
    }.bytes()
  }

  /// A TensorProto: `data` writes the fields that hold the numbers.
  static func tensor(_ name: String, _ code: Int, _ shape: [Int], data: Build) -> WireMessage {
    .of { tensor in
      for extent in shape { tensor.field(1, int: extent) }
      tensor.field(2, int: code)
      data(&tensor)
      tensor.field(8, text: name)
      tensor.field(12, text: "about \(name)")
    }
  }

  /// A tensor of single-precision numbers in raw bytes.
  static func floats(_ name: String, _ shape: [Int], _ numbers: [Float]) -> WireMessage {
    tensor(name, 1, shape) { $0.field(9, bytes: bytes(numbers)) }
  }

  /// A tensor whose numbers are in a file beside the model.
  static func external(_ name: String, _ shape: [Int], _ entries: KeyValuePairs<String, String>) -> WireMessage {
    tensor(name, 1, shape) { tensor in
      for (key, value) in entries { tensor.entry(13, key, value) }
      tensor.field(14, int: 1)
    }
  }

  /// A NodeProto; `more` adds attributes (field 5) and whatever else.
  static func node(_ type: String, _ inputs: [String], _ outputs: [String], _ more: Build = { _ in }) -> WireMessage {
    .of { node in
      for name in inputs { node.field(1, text: name) }
      for name in outputs { node.field(2, text: name) }
      node.field(3, text: "node of \(outputs.first ?? type)")
      node.field(4, text: type)
      more(&node)
      node.field(6, text: "why \(type)")
    }
  }

  /// An AttributeProto of a kind, its value in `value`; kind 0 is left out, as old files do.
  static func attribute(_ name: String, _ kind: Int, _ value: Build) -> WireMessage {
    .of { attribute in
      attribute.field(1, text: name)
      value(&attribute)
      if kind != 0 { attribute.field(20, int: kind) }
    }
  }

  /// A ValueInfoProto of single-precision numbers: fixed extents, names, or nil for neither.
  static func value(_ name: String, _ extents: [Any?]) -> WireMessage {
    .of { value in
      value.field(1, text: name)
      value.field(
        2,
        message: .of { type in
          type.field(
            1,
            message: .of { tensor in
              tensor.field(1, int: 1)
              tensor.field(2, message: .of { shape in for extent in extents { shape.field(1, message: dimension(extent)) } })
            })
          type.field(6, text: "IMAGE")
        })
      value.field(3, text: "what \(name) is")
    }
  }

  private static func dimension(_ extent: Any?) -> WireMessage {
    .of { dimension in
      if let number = extent as? Int { dimension.field(1, int: number) }
      if let name = extent as? String { dimension.field(2, text: name) }
      dimension.field(3, text: "AXIS")
    }
  }

  /// A model of everything that is kept or patched: a linear layer with initialisers, a constant, value infos and metadata.
  static let linear: [UInt8] = model { graph in
    graph.field(1, message: node("MatMul", ["x", "w"], ["h"]))
    graph.field(1, message: constant("c", [1, 2, 3]))
    graph.field(1, message: node("Add", ["h", "c"], ["s"]))
    graph.field(
      1,
      message: node("Concat", ["s", "b"], ["y"]) { node in
        node.field(5, message: attribute("axis", 2) { $0.field(3, int: 1) })
        node.field(5, message: attribute("note", 3) { $0.field(4, text: "kept") })
        node.entry(9, "origin", "layer 1")
      })
    graph.field(2, text: "linear")
    graph.field(5, message: floats("w", [2, 3], [1, 2, 3, 4, 5, 6]))
    graph.field(5, message: floats("b", [1, 3], [7, 8, 9]))
    graph.field(10, text: "a graph")
    graph.field(11, message: value("x", ["batch", 2]))
    graph.field(11, message: value("w", [2, 3]))
    graph.field(12, message: value("y", ["batch", 6]))
    graph.field(13, message: value("h", ["batch", 3]))
    graph.field(13, message: value("s", ["batch", 3]))
    graph.field(14, message: .of { $0.field(1, text: "h") })
    graph.field(77, text: "unknown")
  }

  /// A Constant node with a list of numbers.
  static func constant(_ name: String, _ numbers: [Float]) -> WireMessage {
    node("Constant", [], [name]) { node in
      node.field(5, message: attribute("value", 4) { $0.field(5, message: floats("", [numbers.count], numbers)) })
    }
  }
}

/// The bytes of numbers as they lie in memory.
func bytes<Number: BitwiseCopyable>(_ numbers: [Number]) -> [UInt8] { numbers.withUnsafeBytes { [UInt8]($0) } }

extension NamedModel {
  /// The node that makes a value.
  func node(making name: String) -> NamedNode? { nodes.first { $0.outputs.contains(name) } }

  /// The value of an attribute of the node that makes a value.
  func attribute(_ attribute: String, of name: String) -> AttributeValue? {
    node(making: name)?.attributes.first { $0.name == attribute }?.value
  }

  /// The initialiser of a name.
  func initializer(_ name: String) -> NamedTensor? { initializers.first { $0.name == name } }

  /// Replaces an initialiser by the part of it that is kept.
  mutating func keep(_ kept: [[Int]?], of name: String) {
    for index in initializers.indices where initializers[index].name == name {
      let content = initializers[index].content.keeping(kept)
      initializers[index] = NamedTensor(
        name: name, type: TensorType(content.element, content.shape.map { Extent($0) }), content: content)
    }
  }

  /// Replaces the attribute of a node, or adds it.
  mutating func set(_ attribute: String, of name: String, to value: AttributeValue) {
    for index in nodes.indices where nodes[index].outputs.contains(name) {
      nodes[index].attributes.removeAll { $0.name == attribute }
      nodes[index].attributes.append((attribute, value))
    }
  }
}

extension NamedTensor {
  /// The numbers as single precision.
  var floats: [Float] { content.materialized().numbers(as: Float.self) }
}
