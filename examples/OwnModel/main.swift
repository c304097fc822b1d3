// A model of one's own: written in Swift, traced, pruned to half of every group, run beside the original, and written as ONNX.
//
//     swift run own-model [OUTPUT.onnx]

import Formats
import Graph
import Passes
import Runtime
import Tracing

typealias Tensor = Tracing.Tensor

/// Two convolutions beside a shortcut.
struct Residual: Layer {
  let inner = Convolution(24, 48, kernel: 3, padding: 1, bias: false)
  let norm = BatchNorm(48)
  let outer = Convolution(48, 24, kernel: 1)

  func callAsFunction(_ x: Tensor) -> Tensor { x + outer(norm(inner(x)).relu()) }
}

/// A classifier of 16×16 images.
struct Classifier: Layer {
  let stem = Convolution(1, 24, kernel: 3, stride: 2, padding: 1)
  let blocks = [Residual(), Residual()]
  let head = Linear(24, 10)

  func callAsFunction(_ image: Tensor) -> Tensor {
    let x = blocks.reduce(stem(image).relu()) { x, block in block(x) }
    return head(x.mean([2, 3]))
  }
}

let model = Classifier()
let module = try trace("classifier", model, weights: .random(seed: 1)) { trace in
  trace.output("logits", model(trace.input("image", [Extent.symbol("batch"), 1, 16, 16])))
}

var compilation = Compilation(module, options: CompileOptions())
try Pipeline.run(Pipeline.compile, on: &compilation)
for group in compilation.solution?.groups ?? [] {
  print("\(group.name): \(group.extent) \(group.kind.rawValue) in \(group.occurrences.count) tensors")
}

let image = try RandomInputs.values(of: module, extents: ["batch": 1], seed: 2)
for (name, module) in [("original", module), ("pruned", compilation.module)] {
  let logits = try Session(module).run(image).first?.tensor?.reals ?? []
  let shown = logits.prefix(3).map { "\((1000 * $0).rounded() / 1000)" }.joined(separator: ", ")
  print("\(name): \(module.parameterCount) parameters, logits \(shown), …")
}

if let path = CommandLine.arguments.dropFirst().first {
  try OnnxWriter.write(Exporter.model(of: compilation.module), patching: nil, to: path)
  print("written to \(path)")
}
