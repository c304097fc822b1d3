import Graph
import Runtime

/// A scalar behind a model's outputs, by which gradients are taken.
public enum Loss: Sendable, Hashable {
  /// Σ y² of one output, or of all real ones: how much an index does to the output at all.
  case sumSquares
  /// −log softmax(y)[label], averaged: y is [samples, classes] (or [samples, classes, places]); labels come as a new input `labels`.
  case crossEntropy
  /// (y − t)², averaged, for one output; t comes as a new input `target`.
  case meanSquares
  /// Σ over real outputs of (y − t)² averaged, where t comes as a new input `target.OUTPUT`: how far the model has drifted from another.
  ///
  /// Against the model's own outputs its gradient is 0: for scores there, put noise on the targets (`noise`).
  case distortion
  /// −log softmax(y[t])[token t + 1], averaged over t: y is [batch, positions, vocabulary], the tokens are an input of the model.
  case nextToken

  /// All losses, with the names that the command has for them.
  public static let names: [(name: String, loss: Loss)] = [
    ("sum-squares", .sumSquares), ("cross-entropy", .crossEntropy), ("mse", .meanSquares), ("distortion", .distortion),
    ("next-token", .nextToken),
  ]

  /// What the command calls it.
  public var name: String { Self.names.first { $0.loss == self }?.name ?? "" }

  /// Name of the input that holds the class of each sample.
  public static let labels = "labels"
  /// Name of the input that holds what the output should be.
  public static let target = "target"
  /// Name of the input that holds what an output should be.
  public static func target(of output: String) -> String { "\(target).\(output)" }

  /// A module with the loss appended.
  public struct Placed: Sendable {
    /// The module, with the loss as its last output.
    public let module: Module
    /// The loss.
    public let value: ValueID
    /// Names of the inputs that were added, in order.
    public let inputs: [String]
  }

  /// The module with this loss as one more output, called `loss`. `output` names the output that it is of; nil: the first real one
  /// (`sumSquares`, `distortion`: all real ones).
  ///
  /// Throws `usage` for an output that the module does not have, `invalid` where its shape does not fit the loss.
  public func appended(to module: Module, output name: String? = nil) throws(Diagnostic) -> Placed {
    let outputs = try Self.outputs(of: module, named: name)
    guard let output = outputs.first else {
      throw Diagnostic(.invalid, "the model has no real output that a loss could be of")
    }
    let writer = try GraphWriter(module)
    writer.scope = "loss"
    var added: [String] = []
    func input(_ name: String, _ type: TensorType) throws(Diagnostic) -> Term {
      guard !module.values.contains(where: { $0.name == name }) else {
        throw Diagnostic(.invalid, "there is a tensor of this name already; the loss needs an input of it", at: .tensor(name))
      }
      added.append(name)
      return writer.input(name, type)
    }
    let y = Term(writer, output)
    let loss: Term
    switch self {
    case .sumSquares: loss = Self.total(outputs.map { Term(writer, $0).squared.total })
    case .crossEntropy:
      guard y.rank >= 2 else { throw Self.misfit(module, output, "[samples, classes]") }
      let shape = [y.shape[0]] + y.shape.dropFirst(2)
      loss = Self.surprise(y, axis: 1, classes: try input(Self.labels, TensorType(.i64, shape)))
    case .meanSquares: loss = Self.distance(y, try input(Self.target, y.type))
    case .distortion:
      var parts: [Term] = []
      for output in outputs {
        parts.append(Self.distance(Term(writer, output), try input(Self.target(of: module[output].name), module[output].type)))
      }
      loss = Self.total(parts)
    case .nextToken:
      let tokens = Term(writer, try Self.tokens(of: module, for: y))
      let ahead = y.sliced(axis: 1, from: 0, to: -1)
      loss = Self.surprise(ahead, axis: 2, classes: tokens.sliced(axis: 1, from: 1, to: Int.max).cast(to: .i64))
    }
    try writer.check()
    guard !module.values.contains(where: { $0.name == "loss" }) else {
      throw Diagnostic(.invalid, "there is a tensor of this name already; it cannot be that of a loss", at: .tensor("loss"))
    }
    writer.output("loss", loss)
    let placed = writer.module
    guard let value = placed.outputs.last else { throw Diagnostic(.invalid, "the loss is no output") }
    return Placed(module: placed, value: value, inputs: added)
  }

  // MARK: - Formulas

  /// The mean of −log softmax along an axis, at the classes.
  private static func surprise(_ y: Term, axis: Int, classes: Term) -> Term {
    let largest = y.largest([axis])
    let logits = y - largest
    let chances = logits - logits.exp.sum([axis]).log
    let picked = chances.picked(axis: axis, classes.unsqueezed([axis]))
    return -picked.mean(Array(0..<y.rank), keep: false)
  }

  private static func distance(_ y: Term, _ target: Term) -> Term {
    let squares = (y - target).squared
    return y.rank == 0 ? squares : squares.mean(Array(0..<y.rank), keep: false)
  }

  private static func total(_ parts: [Term]) -> Term { parts.dropFirst().reduce(parts[0]) { $0.adding($1) } }

  // MARK: - Finding

  private static func outputs(of module: Module, named name: String?) throws(Diagnostic) -> [ValueID] {
    guard let name else { return module.outputs.filter { module[$0].type.element.isFloat && module[$0].type.isRanked } }
    guard let output = module.outputs.first(where: { module[$0].name == name }) else {
      let names = module.outputs.map { module[$0].name }
      throw Diagnostic(.usage, "the model has no output '\(name)'; its outputs are \(names.joined(separator: ", "))")
    }
    guard module[output].type.element.isFloat, module[output].type.isRanked else {
      throw Diagnostic(.invalid, "is \(module[output].type); a loss is of real numbers", at: .tensor(name))
    }
    return [output]
  }

  private static func misfit(_ module: Module, _ output: ValueID, _ wanted: String) -> Diagnostic {
    Diagnostic(
      .invalid, "is \(module[output].type), where the loss needs \(wanted); choose another --of or --loss",
      at: .tensor(module[output].name))
  }

  /// The input that holds the tokens: whole numbers by batch and position; `input_ids` before others.
  private static func tokens(of module: Module, for y: Term) throws(Diagnostic) -> ValueID {
    guard y.rank == 3 else { throw misfit(module, y.value, "[batch, positions, vocabulary]") }
    let fitting = module.inputs.filter { module[$0].type.element.isInteger && module[$0].type.shape.count == 2 }
    guard let tokens = fitting.first(where: { module[$0].name == "input_ids" }) ?? fitting.first else {
      throw Diagnostic(.invalid, "the model has no input of whole numbers [batch, positions] that could be its tokens")
    }
    return tokens
  }
}

extension Loss {
  /// The figures that a loss needs beside the model's own inputs are checked before a run, so that a wrong one is told once and by name.
  ///
  /// Throws `invalid` for a label that is no class.
  public static func check(labels: Tensor, classes: Int) throws(Diagnostic) {
    guard let at = labels.wholes.firstIndex(where: { !(0..<classes).contains($0) }) else { return }
    throw Diagnostic(
      .invalid, "number \(at) is \(labels.wholes[at]), which is no class of 0 to \(classes - 1)", at: .tensor(Self.labels))
  }

  /// Targets for `distortion`: a model's outputs with normally distributed noise, of a deviation in shares of each output's own.
  ///
  /// Against its own outputs a model has no distortion, and no gradient; noise gives each output a direction to be missed in.
  public static func noisy(_ outputs: [Tensor], deviation: Double, seed: UInt64) -> [Tensor] {
    var random = SplitMix(seed: seed)
    return outputs.map { output in
      let numbers = output.reals
      let mean = numbers.reduce(0, +) / Double(max(1, numbers.count))
      let spread = (numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, numbers.count))).squareRoot()
      return Tensor(reals: numbers.map { $0 + random.normal() * deviation * spread }, output.element, output.shape)
    }
  }
}
