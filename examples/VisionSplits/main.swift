// A vision transformer whose queries, keys and values are indexed, unbound or chunked out of one layer: the three are pruned alike,
// nobody has to rewrite the attention first.
//
//     swift run vision-splits

import Passes
import Runtime
import Tracing
import Zoo

var outputs: [[Double]] = []
for split in VisionConfiguration.Split.allCases {
  var c = VisionConfiguration()
  (c.image, c.patch, c.width, c.depth, c.heads, c.hidden, c.classes, c.split) = (32, 8, 64, 2, 4, 128, 10, split)
  let module = try VisionTransformer(c).module(named: "vit", weights: .random(seed: 0))

  var options = CompileOptions()
  options.choice.kinds = [.heads, .hidden]
  var compilation = Compilation(module, options: options)
  try Pipeline.run(Pipeline.compile, on: &compilation)

  let groups = (compilation.solution?.groups ?? []).filter { [.heads, .hidden].contains($0.kind) }
  let image = try RandomInputs.values(of: module, extents: ["batch": 1], seed: 1)
  let logits = try Session(compilation.module).run(image).first?.tensor?.reals ?? []
  outputs.append(logits)
  print("\(split): \(module.parameterCount) parameters, \(compilation.module.parameterCount) after pruning")
  for group in groups {
    let kept = compilation.plan.flatMap { plan in compilation.solution?.groups.firstIndex(of: group).flatMap { plan.kept[$0] } }
    print("  \(group.name): \(kept?.count ?? group.extent) of \(group.extent) stay")
  }
}
let largest = zip(outputs[0], zip(outputs[1], outputs[2])).map { max(abs($0 - $1.0), abs($0 - $1.1)) }.max() ?? 0
print("largest difference between the three pruned models: \(largest)")
