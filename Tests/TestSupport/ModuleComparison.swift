import Graph

/// What differs between two modules, values compared by name; empty when they are the same but for where they came from
/// (homes of parameters, positions of nodes, copies) and the order of their values.
public func differences(_ a: Module, _ b: Module) -> [String] {
  var found: [String] = []
  func compare<T: Equatable>(_ what: String, _ x: T, _ y: T) {
    if x != y { found.append("\(what): \(x) against \(y)") }
  }
  func names(_ module: Module, _ ids: [ValueID?]) -> [String?] { ids.map { $0.map { module[$0].name } } }
  func types(_ module: Module, _ ids: [ValueID?]) -> [TensorType?] { ids.map { $0.map { module[$0].type } } }
  compare("name", a.name, b.name)
  compare("operator sets", a.opsets, b.opsets)
  compare("inputs", names(a, a.inputs), names(b, b.inputs))
  compare("types of inputs", types(a, a.inputs), types(b, b.inputs))
  compare("outputs", names(a, a.outputs), names(b, b.outputs))
  compare("number of nodes", a.nodes.count, b.nodes.count)
  compare("parameters", names(a, a.parameters.map(\.value)), names(b, b.parameters.map(\.value)))
  for (x, y) in zip(a.parameters, b.parameters) {
    compare("type of \(a[x.value].name)", a[x.value].type, b[y.value].type)
    compare("numbers of \(a[x.value].name)", bytes(x.content.materialized()), bytes(y.content.materialized()))
    compare("shape of \(a[x.value].name)", x.content.shape, y.content.shape)
  }
  for (at, (x, y)) in zip(a.nodes, b.nodes).enumerated() {
    compare("operator of node \(at)", x.operation, y.operation)
    compare("name of node \(at)", x.name, y.name)
    compare("operands of node \(at)", names(a, x.inputs), names(b, y.inputs))
    compare("results of node \(at)", names(a, x.outputs), names(b, y.outputs))
    compare("types of node \(at)", types(a, x.outputs), types(b, y.outputs))
    compare("captures of node \(at)", names(a, x.captures), names(b, y.captures))
    compare("attributes of node \(at)", x.attributes.entries.map(\.name), y.attributes.entries.map(\.name))
    for (p, q) in zip(x.attributes.entries, y.attributes.entries) {
      if case .tensor(let s, let m) = p.value, case .tensor(let t, let n) = q.value {
        compare("tensor \(p.name) of node \(at)", s, t)
        compare("numbers of \(p.name) of node \(at)", bytes(m), bytes(n))
      } else {
        compare("\(p.name) of node \(at)", p.value, q.value)
      }
    }
  }
  return found
}

private func bytes(_ data: TensorData) -> [UInt8] { data.withUnsafeBytes { Array($0) } }
