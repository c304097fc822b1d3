import Graph
import Runtime
import Testing

@testable import Passes

/// An operator with operands and attributes whose gradient is compared with differences of the operator itself.
struct GradientCase: Sendable, CustomTestStringConvertible {
  /// An operand of the case.
  enum Operand: Sendable {
    /// Real numbers drawn from a range, by all of which the gradient is taken.
    case real([Int], ClosedRange<Double> = -2...2)
    /// Real numbers as they are, by which the gradient is taken.
    case exactly([Double], [Int])
    /// Whole numbers, stored.
    case whole([Int], [Int], ElementType = .i64)
    /// Real numbers, stored: no gradient is taken.
    case stored([Double], [Int])
    /// Truth values, stored.
    case truth([Bool], [Int])
    /// Left out.
    case none
  }

  let operation: Operator
  let operands: [Operand]
  var attributes: [Attributes.Entry] = []
  /// How many results the node has, and which of them the loss reads.
  var results = 1
  var read = [0]
  var opset = 21
  /// An axis of the operands named, the first unless told otherwise, has a symbol for its length.
  var symbolic: [Int] = []
  var symbolicAxis = 0

  var testDescription: String { "\(operation.textName)\(attributes.map { " \($0.name.rawValue)=\($0.value)" }.joined())" }

  /// The operator alone, with a loss behind it: each result times numbers drawn at random, all summed up. Real operands are inputs.
  func module(seed: UInt64) throws -> (module: Module, loss: ValueID, inputs: [Tensor]) {
    var random = SplitMix(seed: seed)
    var module = Module(name: "case", opsets: ["": opset, "com.microsoft": 1])
    var inputs: [Tensor] = []
    func store(_ tensor: Tensor, _ name: String) -> ValueID {
      let value = module.add(Value(name: name, type: tensor.type))
      module.parameters.append(
        Parameter(value: value, content: TensorContent(tensor.data, element: tensor.element, shape: tensor.shape)))
      return value
    }
    let values = operands.enumerated().map { index, operand -> ValueID? in
      let name = "x\(index)"
      let tensor: Tensor
      switch operand {
      case .none: return nil
      case .whole(let numbers, let shape, let element): return store(Tensor(wholes: numbers, element, shape), name)
      case .stored(let numbers, let shape): return store(Tensor(reals: numbers, .f64, shape), name)
      case .truth(let numbers, let shape): return store(Tensor(truths: numbers, shape), name)
      case .exactly(let numbers, let shape): tensor = Tensor(reals: numbers, .f64, shape)
      case .real(let shape, let range):
        let numbers = (0..<shape.reduce(1, *)).map { _ in
          range.lowerBound + random.unit() * (range.upperBound - range.lowerBound)
        }
        tensor = Tensor(reals: numbers, .f64, shape)
      }
      inputs.append(tensor)
      var shape = tensor.type.shape
      if symbolic.contains(index), shape.indices.contains(symbolicAxis) { shape[symbolicAxis] = .symbol("length") }
      let value = module.add(Value(name: name, type: TensorType(.f64, shape)))
      module.inputs.append(value)
      return value
    }
    let outputs = (0..<results).map { index -> ValueID? in
      read.contains(index) ? module.add(Value(name: "y\(index)", type: .unranked(.f64))) : nil
    }
    module.nodes.append(Node(operation, inputs: values, outputs: outputs, attributes: Attributes(attributes), name: "node"))
    let inferred = try TypeInference.run(module)
    for index in module.values.indices { module.values[index].type = inferred.types[index] }
    let runner = try shapes(of: try runnable(module), inputs)
    let writer = try GraphWriter(module)
    var sum: Term?
    for (output, shape) in zip(outputs.compactMap(\.self), runner) {
      let weights = Tensor(reals: (0..<shape.reduce(1, *)).map { _ in random.normal() }, .f64, shape)
      let part = (Term(writer, output).cast(to: .f64) * writer.constant(weights)).total
      sum = sum.map { $0 + part } ?? part
    }
    let loss = try #require(sum).value
    try writer.check()
    module = writer.module
    module.outputs = [loss]
    return (module, loss, inputs)
  }

  /// FusedGemm can be pruned and differentiated, but not executed: what it is written out as takes its place.
  private func runnable(_ module: Module) throws -> Module {
    guard operation == .matrixProduct(.fusedGemm) else { return module }
    var module = module
    module.outputs = module.nodes[0].outputs.compactMap(\.self)
    return try Differentiate.writtenOut(module, towards: module.outputs[0], from: module.inputs)
  }

  private func shapes(of module: Module, _ inputs: [Tensor]) throws -> [[Int]] {
    var module = module
    if module.outputs.isEmpty { module.outputs = module.nodes[0].outputs.compactMap(\.self) }
    return try PlainRunner(module).run(inputs.map { .tensor($0) }).compactMap { $0.tensor?.shape }
  }

  /// The largest distance of the gradients from central differences, by operand, in shares of the differences' length; and the gradients'
  /// module.
  func errors(seed: UInt64) throws -> (errors: [String: Double], module: Module, inputs: [Tensor]) {
    let (forward, loss, inputs) = try module(seed: seed)
    let gradient = try Differentiate.run(forward, of: loss, by: forward.inputs)
    let found = try PlainRunner(gradient).run(inputs.map { .tensor($0) }).map { try #require($0.tensor) }
    let runner = PlainRunner(
      operation == .matrixProduct(.fusedGemm)
        ? try Differentiate.writtenOut(forward, towards: loss, from: forward.inputs) : forward)
    func value(_ inputs: [Tensor]) throws -> Double {
      try #require(try runner.run(inputs.map { .tensor($0) }).first?.tensor?.scalarReal)
    }
    var errors: [String: Double] = [:]
    for (index, input) in inputs.enumerated() {
      let numbers = input.reals
      let step = 1e-5
      let differences = try numbers.indices.map { at -> Double in
        func moved(_ by: Double) throws -> Double {
          var (all, changed) = (inputs, numbers)
          changed[at] += by
          all[index] = Tensor(reals: changed, .f64, input.shape)
          return try value(all)
        }
        return (try moved(step) - moved(-step)) / (2 * step)
      }
      #expect(found[index].shape == input.shape)
      let distance = zip(found[index].reals, differences).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
      let length = differences.reduce(0) { $0 + $1 * $1 }.squareRoot()
      errors[forward[forward.inputs[index]].name] = distance / max(length, 1e-6)
    }
    return (errors, gradient, inputs)
  }
}
