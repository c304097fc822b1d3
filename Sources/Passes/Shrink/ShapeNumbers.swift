import Graph
enum ShapeNumberRepair {
  static func run(_ module: inout Module, old: [KnownValue?], required: [[Int: KnownValue]]) throws(Diagnostic) {
    var made: [String: ValueID] = [:]
    var names = Set(module.values.map(\.name))
    for n in module.nodes.indices {
      for (operand, value) in required[n].sorted(by: { $0.key < $1.key }) {
        while module.nodes[n].inputs.count <= operand { module.nodes[n].inputs.append(nil) }
        let now = module.nodes[n].inputs[operand]
        if let now, old[now.index] == value { continue }
        guard let numbers = value.numbers else { continue }
        let key = "\(now?.index ?? -1) \(numbers) \(value.shape)"
        if let known = made[key] { module.nodes[n].inputs[operand] = known; continue }
        let stem = now.map { module[$0].name } ?? "size"
        var k = 1; while !names.insert("\(stem)#n\(k)").inserted { k += 1 }
        let id = module.add(Value(name: "\(stem)#n\(k)", type: TensorType(.i64, value.shape.map { Extent($0) })))
        module.parameters.append(Parameter(value: id, content: TensorContent(TensorData(numbers.map(Int64.init)), element: .i64, shape: value.shape)))
        made[key] = id
        module.nodes[n].inputs[operand] = id
      }
    }
  }
}
