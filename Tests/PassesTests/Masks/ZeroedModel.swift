import Graph
import Runtime
import Testing

@testable import Passes
@testable import TestSupport

/// A model given as text, some of whose numbers are set, and what `--remove-zeros` makes of it.
struct ZeroedModel {
  let original: Module
  let smaller: Module
  let zeros: ZeroRemoval

  /// Numbers for whole slices: `("conv.weight", axis, index, number)`.
  typealias Slice = (name: String, axis: Int, index: Int, number: Double)

  init(_ text: String, _ slices: [Slice] = []) throws {
    try self.init(Self.setting(slices, in: RandomWeights.filling(try ModuleParser.parse(text), seed: 3)))
  }

  init(_ module: Module) throws {
    original = module
    var options = CompileOptions()
    options.removesZeros = true
    var compilation = Compilation(module, options: options)
    try Pipeline.run(Pipeline.compile, on: &compilation)
    smaller = compilation.module
    zeros = try #require(compilation.zeros)
  }

  /// Removed indices of the group with a name; empty where it loses none.
  func removed(_ group: String) -> [Int] { zeros.removed.first { $0.group == group }?.indices ?? [] }

  /// Why an index stays that some weight has as zero.
  func reason(_ group: String) -> KeptReason.Cause? { zeros.kept.first { $0.group == group }?.reason.cause }

  /// The worst relative error of an output, the original as it was beside the smaller model.
  func error(seed: UInt64 = 0, extents: [String: Int] = [:]) throws -> Double {
    let symbols = Set(original.inputs.flatMap { original[$0].type.shape.flatMap(\.symbols) })
    let lengths = Dictionary(uniqueKeysWithValues: symbols.map { ($0, 3) }).merging(extents) { $1 }
    let inputs = try RandomInputs.values(of: original, extents: lengths, seed: seed)
    let proof = try Proof.run(original: original, same: smaller, sources: (nil, nil), inputs: inputs, threads: 1)
    return proof.faults.contains { $0.error == nil } ? .infinity : proof.worst
  }

  /// The module with some slices of its parameters set to one number each.
  static func setting(_ slices: [Slice], in module: Module) throws -> Module {
    var module = module
    for slice in slices {
      let index = try #require(
        module.parameters.firstIndex { module[$0.value].name == slice.name }, "no parameter \(slice.name)")
      let tensor = try #require(Tensor(module.parameters[index].content))
      var numbers = tensor.reals
      let stride = tensor.shape[(slice.axis + 1)...].reduce(1, *)
      for position in numbers.indices where position / stride % tensor.shape[slice.axis] == slice.index {
        numbers[position] = slice.number
      }
      let set = Tensor(reals: numbers, tensor.element, tensor.shape)
      module.parameters[index].content = TensorContent(set.data, element: set.element, shape: set.shape)
    }
    return module
  }
}
