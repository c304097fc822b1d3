import Testing

@testable import Graph

@Suite("Drawings for graphviz")
struct DotPrinterTests {
  private func module(_ lines: String) throws -> Module {
    try ModuleParser.parse(
      """
      module m {
        opset 20
        param %blocks.0.attn.qkv.weight : f32[8, 8]
        param %blocks.0.attn.proj.weight : f32[8, 8]
        param %blocks.0.norm.weight : f32[8]
        param %head.weight : f32[8, 2]
        param %target : i64[2] = [-1, 8]
        func (%x: f32[n, 8]) -> (%y: f32[n, 2]) {
      \(lines)
          %y = matmul %h, %head.weight : f32[n, 2]
        }
      }
      """)
  }

  private func block() throws -> Module {
    try module(
      """
          %a = mul %x, %blocks.0.norm.weight : f32[n, 8]
          %b = matmul %a, %blocks.0.attn.qkv.weight : f32[n, 8]
          %c = softmax %b axis=-1 : f32[n, 8]
          %d = matmul %c, %blocks.0.attn.proj.weight : f32[n, 8]
          %s = shape %d : i64[2]
          %e = reshape %d, %s allowzero=0 : f32[n, 8]
          %h = add %e, %x : f32[n, 8]
      """)
  }

  @Test("draws nodes in their blocks, edges with types, parameters inside the nodes that read them")
  func drawing() throws {
    let text = DotPrinter.print(try block())
    #expect(text.hasPrefix("digraph \"m\" {\n  graph [rankdir=TB") && text.hasSuffix("}\n"))
    #expect(text.contains("label=\"blocks.0\"") && text.contains("label=\"attn\""))
    #expect(text.contains("<B>matmul</B><BR/><FONT POINT-SIZE=\"8\">qkv.weight 8×8</FONT>"))
    #expect(text.contains("v1 -> n0 [label=\" f32[n, 8]\"") == false)
    #expect(text.contains(" -> n0 [label=\" f32[n, 8]\"") && text.contains("n1 -> n2 [") && text.contains(" -> o0 ["))
    // No node for a parameter, no legend and no colours without marks, no attribute that only says the default.
    #expect(!text.contains("legend") && !text.contains("palette") && !DotPrinter.palette.contains { text.contains($0) })
    #expect(!text.contains("allowzero") && text.contains("axis=-1"))
  }

  @Test("shape arithmetic is small and grey, other nodes are not")
  func shapes() throws {
    let lines = DotPrinter.print(try block()).split(separator: "\n")
    #expect(lines.contains { $0.contains("n4 [label=\"shape\", fontsize=7") })
    #expect(lines.filter { $0.contains("fontsize=7") }.count == 1)
    #expect(lines.contains { $0.contains("n4 -> n5 [color=\"#C8C8C8\"") })
  }

  @Test("edges have the colours of their groups, which the legend names")
  func colours() throws {
    let module = try block()
    let text = DotPrinter.print(module) { id in
      switch module[id].name {
      case "a": DotPrinter.Mark(groups: ["width <1>"], note: "a \"note\"")
      case "b": DotPrinter.Mark(groups: ["heads", "width <1>"])
      case "c": DotPrinter.Mark(groups: [])
      case _: nil
      }
    }
    let (first, second) = (DotPrinter.palette[0], DotPrinter.palette[1])
    #expect(text.contains("n0 -> n1 [label=\" f32[n, 8]\", color=\"\(first)\", penwidth=1.6, style=solid"))
    #expect(text.contains("n1 -> n2 [label=\" f32[n, 8]\", color=\"\(second):\(first)\""))
    #expect(text.contains("n2 -> n3 [label=\" f32[n, 8]\", tooltip="))
    #expect(text.contains("width &lt;1&gt;") && text.contains("a \\\"note\\\""))
    #expect(Set(DotPrinter.palette).count == 12)
  }

  @Test("more groups than colours: the colours come again with other lines")
  func manyGroups() throws {
    let lines =
      (0..<30).map { "    %v\($0) = relu %\($0 == 0 ? "x" : "v\($0 - 1)") : f32[n, 8]" } + ["    %h = relu %v29 : f32[n, 8]"]
    let module = try module(lines.joined(separator: "\n"))
    let text = DotPrinter.print(module) { DotPrinter.Mark(groups: [module[$0].name]) }
    #expect(text.contains("style=solid") && text.contains("style=dashed") && text.contains("style=dotted"))
    #expect(text.contains("and 9 more"))
  }

  @Test("any name can be drawn")
  func names() {
    var module = Module(name: "a\"b\\")
    let x = module.add(Value(name: "<x>&\"\u{1}\n", type: TensorType(.f32, [.symbol("\"n\"")])))
    let y = module.add(Value(name: String(repeating: "long", count: 50), type: .unranked(.unknown)))
    module.inputs = [x]
    module.outputs = [y, x]
    module.nodes = [
      Node(.opaque(Opaque(domain: "d", type: "<T>")), inputs: [nil], outputs: [y, nil], name: "q\"", captures: [x]),
      Node(.opaque(Opaque(domain: "", type: "Sink")), inputs: [y, y, ValueID(99)], outputs: []),
    ]
    let text = DotPrinter.print(module)
    #expect(text.hasPrefix(#"digraph "a\"b\\" {"#))
    #expect(text.contains("&lt;x&gt;&amp;&quot;\u{fffd}\u{fffd}") && text.contains("d::&lt;T&gt;"))
    #expect(text.contains("longlonglonglonglon…") && text.contains("style=dashed"))
    #expect(text.split(separator: "\n").filter { $0.contains("n0 -> n1") }.count == 1)
  }

  @Test("blocks follow from names of parameters and paths of nodes")
  func blockNames() {
    #expect(BlockNames.scope(ofParameter: "blocks.0.attn.qkv.weight") == ["blocks.0", "attn"])
    #expect(BlockNames.scope(ofParameter: "blocks.0.gamma") == ["blocks.0"])
    #expect(BlockNames.scope(ofParameter: "fc.weight") == [])
    #expect(BlockNames.scope(ofParameter: "features.3.conv.0.1.weight") == ["features.3", "conv.0"])
    #expect(BlockNames.scope(ofParameter: "val_12") == nil && BlockNames.scope(ofParameter: "onnx::MatMul_3.a") == nil)
    #expect(BlockNames.scope(ofNode: "/layer1/layer1.0/conv1/Conv") == ["layer1.0", "conv1"])
    #expect(BlockNames.scope(ofNode: "node_Conv_3") == nil)
    #expect(BlockNames.levels(["model", "encoder", "layer.3", "attention", "self"]) == ["model.encoder.layer.3", "attention"])
    #expect(BlockNames.levels(["layers.0", "blocks.1", "attn"]) == ["layers.0", "blocks.1"])
    #expect(BlockNames.levels(["decoder"]) == ["decoder"] && BlockNames.levels([]) == [])
    #expect(BlockNames.levels(["model", "head"], containers: [["model"]]) == ["model.head"])
    #expect(BlockNames.levels(["model"], containers: [["model"]]) == [])
  }

  @Test("a node without a name of its own is in the block around it, not in one alone")
  func membership() throws {
    let module = try block()
    #expect(
      BlockNames(module).blocks == [
        ["blocks.0"], ["blocks.0", "attn"], ["blocks.0", "attn"], ["blocks.0", "attn"], ["blocks.0", "attn"],
        ["blocks.0", "attn"],
        ["blocks.0", "attn"], [],
      ])
    let single = try self.module("    %h = mul %x, %blocks.0.norm.weight : f32[n, 8]")
    #expect(BlockNames(single).blocks == [[], []])
  }
}
