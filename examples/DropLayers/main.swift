// A language model loses layers: each is left out in turn, and the one whose absence changes the output least goes for good.
//
//     swift run drop-layers [HOW MANY]

import Runtime
import Tracing
import Zoo

/// The architecture of Qwen3, small.
func configuration(layers: Int) -> CausalConfiguration {
  var c = CausalConfiguration()
  (c.vocabulary, c.width, c.hidden, c.layers) = (96, 48, 96, layers)
  (c.heads, c.keyValueHeads, c.headSize, c.isTied, c.normalisesHeads) = (4, 2, 12, true, true)
  return c
}

let layers = 6
let original = try CausalLanguageModel(configuration(layers: layers)).module(named: "original", weights: .random(seed: 0))
let prefix = "model.layers."
let tensors = original.parameters.reduce(into: [String: TensorContent]()) { tensors, parameter in
  let name = original[parameter.value].name
  if name.hasPrefix("model.") && !name.contains("/") { tensors[name] = parameter.content }
}

/// The model with some of the original's layers. Loading is strict: a tensor forgotten or left over would be an error, not noise.
func shorter(_ kept: [Int]) throws -> Module {
  var renamed = tensors.filter { !$0.key.hasPrefix(prefix) }
  for (position, layer) in kept.enumerated() {
    let old = "\(prefix)\(layer)."
    for (name, content) in tensors where name.hasPrefix(old) {
      renamed["\(prefix)\(position).\(name.dropFirst(old.count))"] = content
    }
  }
  return try CausalLanguageModel(configuration(layers: kept.count)).module(named: "shorter", weights: .stored(renamed))
}

let inputs = try RandomInputs.values(of: original, extents: ["batch": 2, "sequence": 12], seed: 1)
func logits(_ module: Module) throws -> [Double] { try Session(module).run(inputs).first?.tensor?.reals ?? [] }
let wanted = try logits(original)
let scale = wanted.map(abs).max() ?? 1

var kept = Array(0..<layers)
for _ in 0..<(CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 2) where kept.count > 1 {
  var best = (layer: kept[0], change: Double.infinity)
  for layer in kept {
    let without = try logits(try shorter(kept.filter { $0 != layer }))
    let change = zip(without, wanted).map { abs($0 - $1) }.reduce(0, +) / Double(wanted.count) / scale
    if change < best.change { best = (layer, change) }
  }
  kept.removeAll { $0 == best.layer }
  print("without layer \(best.layer): the logits move by \((1000 * best.change).rounded() / 10) % of the largest on average")
}
let result = try shorter(kept)
print("layers \(kept) of \(layers) stay: \(result.parameterCount) parameters instead of \(original.parameterCount)")
