import Formats
import Foundation
import Graph
import Passes

let args = CommandLine.arguments
do {
  let document = try OnnxDocument.read(path: args[1])
  let module = try Importer.module(from: document.model)
  var options = CompileOptions()
  options.choice.rounding = 1
  var c = Compilation(module, options: options)
  for pass in Pipeline.compile {
    let t = Date()
    try pass.run(&c)
    if args.count > 4 { print(pass.name, Date().timeIntervalSince(t)) }
  }
  if let s = c.solution, let plan = c.plan {
    for (i, g) in s.groups.enumerated() { print(g.name, g.kind.rawValue, g.extent, g.isDefault ? "" : "*", plan.kept[i]?.count ?? g.extent) }
    for e in Coverage(s).frozen.prefix(8) { print("frozen", e.reason, e.node.map { c.module.nodes.count > $0 ? s.module.label(of: s.module.nodes[$0]) : "" } ?? "", e.parameters, e.lost) }
    try OnnxWriter.write(Exporter.model(of: c.module), patching: document, to: args[2], notOver: [args[1]])
    let store = try MappedFile.open(args[1])
    let text = PlanFile.text(plan: plan, solution: s, survivors: Set(c.module.parameters.map { c.module[$0.value].name }), file: args[1], digest: Sha256.hex(of: store))
    try text.write(toFile: args[3], atomically: true, encoding: .utf8)
  }
} catch { print("error", error); exit(1) }
