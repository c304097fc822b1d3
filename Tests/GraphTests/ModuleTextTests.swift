import TestSupport
import Testing

@testable import Graph

@Suite("The text form of a module")
struct ModuleTextTests {
  static let example = """
    module vit_tiny {
      opset 20
      opset "com.microsoft" 1
      param %qkv.weight : f32[64, 192]
      param %sizes : i64[3] = [64, 64, 64]
      param %axis : i64[] = 2
      param %six : f32[] = 6.0
      param %eps : f32[1] = [1e-05]
      param %mask : bool[2, 2] = [true, false, false, true]
      func (%x: f32[batch, 2*seq+1, 64], %"odd name": i64[?]) -> (%y: f32[batch, ?n, floor(seq/2)]) {
        %h = matmul %x, %qkv.weight : f32[batch, 2*seq+1, 192]
        %q, _, %v = split %h, %sizes axis=-1 : f32[batch, 2*seq+1, 64], _, f32[batch, 2*seq+1, 64]
        %r = clip %q, _, %six : f32[batch, 2*seq+1, 64]
        %s, _ = "my.domain::Loop" %v, _ pads=[0, 0] activation_alpha=[1.0, inf] bytes="AAECAw==" captures=(%h, %x) : unknown[?], _
        "::Print" %s
        %g = microsoft.quick_gelu %r alpha=1.702 : f32[batch, 2*seq+1, 64]
        %y = "::Pool" %g mode="max" : f32[batch, ?n, floor(seq/2)]
      }
    }

    """

  @Test("reads and prints a module unchanged")
  func roundTrip() throws {
    let module = try ModuleParser.parse(Self.example)
    #expect(ModulePrinter.print(module) == Self.example)
    #expect(module.inputs.count == 2 && module.nodes.count == 7 && module.opsets == ["": 20, "com.microsoft": 1])
    #expect(module.nodes[2].inputs.map { $0.map { module[$0].name } } == ["q", nil, "six"])
    #expect(module.nodes[3].operation == .opaque(Opaque(domain: "my.domain", type: "Loop", source: [0, 1, 2, 3])))
    #expect(module.nodes[3].captures.map { module[$0].name } == ["h", "x"])
    #expect(module[module.inputs[0]].type.shape[1] == .symbol("seq") * 2 + 1)
    #expect(module.parameters[1].content.data.numbers(as: Int64.self) == [64, 64, 64])
  }

  @Test("a parameter without numbers has no data, or the data of the caller")
  func missingData() throws {
    let bare = try ModuleParser.parse(Self.example)
    #expect(bare.parametersWithoutData.map { bare[$0].name } == ["qkv.weight"])
    #expect(bare.parameters[0].content.isMissing && bare.parameters[0].content.shape == [64, 192])
    #expect(!bare.parameters[1].content.isMissing)
    let weight = TensorContent(TensorData([Float](repeating: 1.5, count: 192 * 64)), element: .f32, shape: [64, 192])
    let full = try ModuleParser.parse(Self.example, parameters: ["qkv.weight": weight])
    #expect(full.parametersWithoutData.isEmpty && full.parameters[0].content.data.isIdentical(to: weight.data))
    let wrong = TensorContent(TensorData([Float](repeating: 1.5, count: 192)), element: .f32, shape: [192])
    expect(Self.example, fails: "4:23: states f32[64, 192], but f32[192] is stored", parameters: ["qkv.weight": wrong])
  }

  @Test("prints odd names, symbols, numbers and attributes so that they come back")
  func oddParts() throws {
    var module = Module(name: "a \"b\"\n", opsets: ["": 17, "odd\u{1} domain": 3])
    let names = ["a b", "x:", "a//b", "é", "x:0", "/m/0/Add_output_0", "\\", "_", "-", "<=>", "a\r\nb"]
    let extents: [Extent] = [
      .symbol("a+b"), .symbol("2x"), .symbol("batch size"), .symbol("?"), .symbol("?n.0.1"), .symbol("-1"), .symbol("f(a,b"),
      .symbol("[\"]"), .symbol("max((s+1)/2)"), .symbol("a b") * 3 * .symbol("c") - 4,
      Extent([["s"]: -Int.max, []: -1]),
    ]
    for (at, name) in names.enumerated() {
      module.inputs.append(module.add(Value(name: name, type: TensorType(.f16, [extents[at], .symbol("batch") * 2]))))
    }
    let floats: [Float] = [
      1, -0.0, 0.1, Float.leastNonzeroMagnitude, 3.4028235e38, 1e16, .infinity, -.infinity, .nan, Float(bitPattern: 0xffc0_0001),
    ]
    let values: [AttributeValue] =
      [
        .int(Int.min), .string("\"\\\u{7}\u{200b}é\n"), .ints([]), .floats([]), .strings([]), .strings(["a", ""]),
        .ints([1, -2]),
      ]
      + [.floats(floats), .raw([]), .raw([255, 0]), .tensor(TensorType(.f32, [2, 1]), TensorData([Float(0.5), -1]))]
      + [.tensor(TensorType(.u4, [3]), TensorData([UInt8(0x21), 3])), .tensor(TensorType(.i64, []), TensorData([Int64.min]))]
      + [.tensor(TensorType(.bool, [2]), TensorData([UInt8(1), 7])), .tensor(TensorType(.string, [2]), TensorData([UInt8]()))]
      + [.tensor(TensorType(.i64, [100]), TensorData([Int64](0..<100)))] + floats.map(AttributeValue.float)
    let attributes = zip(AttributeName.allCases, values).map { Attributes.Entry($0, $1) }
    let out = module.add(Value(name: "out", type: TensorType(.bf16, [])))
    let odd = Opaque(domain: "a::b", type: ":c\"", source: [])
    module.nodes = [
      Node(.opaque(odd), inputs: [], outputs: [], name: "n 1"),
      Node(
        .opaque(Opaque(domain: "", type: "If")), inputs: [module.inputs[0], nil], outputs: [nil, out, nil],
        attributes: Attributes(attributes),
        name: "@",
        captures: module.inputs),
    ]
    module.outputs = [out, module.inputs[3], out]
    let text = ModulePrinter.print(module, options: .names)
    let back = try ModuleParser.parse(text)
    #expect(differences(module, back).isEmpty)
    #expect(ModulePrinter.print(back, options: .names) == text)
  }

  @Test("prints the names of nodes only where asked")
  func nodeNames() throws {
    var module = try ModuleParser.parse(Self.example)
    module.nodes[0].name = "first \"node\""
    #expect(!ModulePrinter.print(module).contains("@"))
    let text = ModulePrinter.print(module, options: .names)
    #expect(text.contains(#" : f32[batch, 2*seq+1, 192] @"first \"node\""#))
    #expect(try ModuleParser.parse(text).nodes[0].name == "first \"node\"")
  }

  @Test("shows few numbers, not many, and never other bits", arguments: ElementType.allCases)
  func inlineNumbers(_ element: ElementType) throws {
    guard let bytes = element.byteCount(of: 4) else { return }
    for seed in 0..<40 {
      // The first rounds are plain numbers (0 and 1 patterns), the others any bits, among them NaNs of all kinds.
      var random = SeededGenerator(seed: UInt64(seed))
      let data = TensorData(
        (0..<bytes).map { _ in seed < 2 ? UInt8(seed) : seed < 20 ? UInt8.random(in: 0...255, using: &random) : 255 })
      let content = TensorContent(data, element: element, shape: [4])
      var module = Module(name: "m")
      let id = module.add(Value(name: "p", type: TensorType(element, [4])))
      module.parameters = [Parameter(value: id, content: content)]
      let text = ModulePrinter.print(module)
      #expect(text.contains("=") == ModulePrinter.isInline(content))
      let back = try ModuleParser.parse(text, parameters: text.contains("=") ? [:] : ["p": content])
      #expect(differences(module, back).isEmpty, "\(text)")
    }
    let many = TensorContent(TensorData([UInt8](repeating: 0, count: bytes * 20)), element: element, shape: [80])
    #expect(!ModulePrinter.isInline(many))
  }

  @Test("leaves real numbers out where they are stored beside the text")
  func withoutFloats() throws {
    let text = ModulePrinter.print(try ModuleParser.parse(Self.example), options: .withoutFloats)
    #expect(text.contains("%eps : f32[1]\n") && text.contains("%sizes : i64[3] = [64, 64, 64]"))
  }

  @Test("16-bit numbers are rounded to the nearest, ties to even, and all of them come back")
  func halfPrecision() {
    for bits in UInt16.min...UInt16.max where !HalfPrecision.float(binary16: bits).isNaN {
      #expect(HalfPrecision.binary16(HalfPrecision.float(binary16: bits)) == bits)
    }
    #expect(HalfPrecision.float(binary16: 0x3c00) == 1 && HalfPrecision.float(binary16: 1) == 0x1p-24)
    #expect(HalfPrecision.binary16(65519.996) == 0x7bff && HalfPrecision.binary16(65520) == 0x7c00)
    #expect(HalfPrecision.binary16(1 + 0x1p-11) == 0x3c00 && HalfPrecision.binary16(1 + 0x1.8p-10) == 0x3c02)
    #expect(HalfPrecision.binary16(0x1p-25) == 0 && HalfPrecision.binary16(0x1.8p-24) == 2)
    #expect(HalfPrecision.bfloat16(1 + 0x1p-8) == 0x3f80 && HalfPrecision.bfloat16(1 + 0x1.8p-7) == 0x3f82)
  }

  @Test("comments and line breaks after commas mean nothing; a node without results ends with its line")
  func blanks() throws {
    let module = try ModuleParser.parse(
      """
      // a comment
      module m { opset 20 // another
        func (%x: f32[ 2 , 2 * n + 1 ]) -> () {
          "d::Print"
          %y = add %x,
                   %x : f32[2, 2*n+1]
          "d::Print" %y, // and so on
             %x
          %z = relu %y : f32[2, 2*n+1]
        }
      }
      """)
    #expect(module.nodes.map(\.inputs.count) == [0, 2, 2, 1])
    #expect(module[module.inputs[0]].type.shape == [2, .symbol("n") * 2 + 1])
  }

  @Test("prints and reads a hundred thousand nodes in seconds even without optimisation")
  func large() throws {
    var module = Module(name: "large")
    var last = module.add(Value(name: "x", type: TensorType(.f32, [.symbol("batch"), 64, 32, 32])))
    module.inputs = [last]
    for at in 0..<100_000 {
      let next = module.add(Value(name: "/blocks.\(at)/act/Relu_output_0", type: module[last].type))
      module.nodes.append(Node(.elementwise(.relu), inputs: [last], outputs: [next]))
      last = next
    }
    module.outputs = [last]
    let clock = ContinuousClock()
    var text = ""
    let printing = clock.measure { text = ModulePrinter.print(module) }
    var back = Module(name: "")
    let reading = try clock.measure { back = try ModuleParser.parse(text) }
    #expect(back.nodes.count == 100_000 && back.outputs.count == 1)
    #expect(printing < .seconds(20) && reading < .seconds(60), "\(printing) to print, \(reading) to read")
  }
}

@Suite("What the parser says of invalid text")
struct ModuleTextErrorTests {
  private func body(_ line: String) -> String {
    """
    module m {
      opset 20
      param %weight : f32[3, 2]
      func (%x: f32[n, 3]) -> (%y: f32[n, 2]) {
        \(line)
        %y = matmul %x, %weight : f32[n, 2]
      }
    }
    """
  }

  @Test("the text these tests change is valid")
  func valid() throws { _ = try ModuleParser.parse(body("")) }

  @Test(
    "names the fault, where it is, and what may have been meant",
    arguments: [
      (
        "%a = conf %x : f32[1]",
        #"5:10: there is no operator 'conf' (did you mean conv?); unknown ones are written "domain::Type""#
      ),
      ("%a = relu %z : f32[1]", "5:15: %z is not made above this line"),
      ("%a = relu %wieght : f32[1]", "5:15: %wieght is not made above this line (did you mean weight?)"),
      ("%a = relu %y : f32[1]", "5:15: %y is not made above this line"),
      ("%é = relu %x : f32[1]", "5:5: a name must follow '%'"),
      (#"%"é" = relu %ö : f32[1]"#, "5:17: a name must follow '%'"),
      ("%x = relu %x : f32[1]", "5:5: %x is made a second time, first at 4:9"),
      ("%a = relu %x axsi=1 : f32[1]", "5:18: there is no attribute 'axsi' (did you mean axis?)"),
      ("%a = relu %x axis=1 axis=1 : f32[1]", "5:25: 'axis' is given twice"),
      ("%a = relu %x axis=1e99 : f32[1]", "5:23: '1e99' is no number, or too large for one"),
      ("%a = relu %x axis=[1, \"a\"] : f32[1]", "5:27: expected a number, not \"a\""),
      ("%a = relu %x", "6:5: expected ':', not %y"),
      ("%a = relu %x : g32[1]", "5:20: there is no element type 'g32' (did you mean f32?)"),
      ("%a = relu %x : f32[1", "5:25: a shape is extents between commas: numbers, symbols, or sums of products of them"),
      ("%a = relu %x : f32[-1]", "5:24: an extent must not be negative"),
      ("%a = relu %x : f32[99999999999999999999]", "5:24: '99999999999999999999' is no extent"),
      ("%a = relu %x : f32[9999999999*9999999999]", "5:35: an extent that is too large"),
      ("%a = relu %x : f32", "6:5: a shape in brackets must follow the element type"),
      ("%a, _ = \"d::T\" %x : f32[1], f32[1]", "5:33: expected '_', not 'f32'"),
      ("%a = \"nothing\" %x : f32[1]", "5:10: an operator in quotes is \"domain::Type\""),
      ("%a = relu %x bytes=\"AA==\" : f32[1]", "5:10: only an opaque operator has bytes"),
      ("%a = \"d::T\" %x bytes=\"AA=\" : f32[1]", "5:26: expected base64 in quotes, not \"AA=\""),
      ("%a = relu %x mode=\"\\q\" : f32[1]", #"5:24: an unknown escape; known are \n \r \t \" \\ \u{hexadecimal}"#),
      ("%a = relu %x mode=\"open : f32[1]", "5:23: a quote that is not closed on its line"),
      ("%a = relu %x value=tensor i64[2] [1] : f32[1]", "5:38: 2 numbers fill this tensor, here are 1"),
      ("%a = relu %x value=tensor i8[1] [300] : f32[1]", "5:38: '300' is no number of type i8"),
      ("%a = relu %x value=tensor f32[1] raw\"AA==\" : f32[1]", "5:38: 4 bytes fill this tensor, here are 1"),
      ("%a, _ = relu %x : f32[1], _", "5:13: relu makes 1 result, here are 2"),
      ("%a = relu %x, %x : f32[1]", "5:10: relu takes 1 operand, here are 2"),
      ("42", "5:5: expected a node or '}', not '42'"),
    ])
  func faults(_ line: String, _ message: String) { expect(body(line), fails: message) }

  @Test(
    "names faults outside of nodes",
    arguments: [
      ("", "1:1: expected 'module', not the end of the text"),
      ("module m {", "1:11: expected opset, param or func, not the end of the text"),
      ("module m { opset x }", "1:18: expected the version of the operator set, not 'x'"),
      ("module m { opset 1 opset 2 }", "1:26: a second version of the same operator set"),
      ("module m { pram %x : f32[1] }", "1:12: a module has opset, param, then func, not 'pram' (did you mean param?)"),
      ("module m { param %x : f32[n] }", "1:23: a parameter's shape must be numbers, within reason"),
      ("module m { param %x : f32[9999999999, 9999999999] }", "1:23: a parameter's shape must be numbers, within reason"),
      ("module m { param %x : i64[2] = 1 }", "1:32: expected a list of 2 numbers in brackets, not '1'"),
      ("module m { param %\"\" : i64[2] }", "1:18: a value must have a name"),
      ("module m { func () -> (%y: f32[1]) { } }", "1:24: the output %y is made nowhere"),
      (
        "module m { func (%x: f32[2]) -> (%x: f32[3]) { } }",
        "1:34: the output %x states f32[3], where it is made f32[2]"
      ),
      ("module m { func () -> () { } } x", "1:32: expected nothing more after the module, not 'x'"),
    ])
  func faultsOutside(_ text: String, _ message: String) { expect(text, fails: message) }

  @Test("counts of operands and results follow the operator's signature")
  func arity() {
    #expect(Signature.describe(2...2, "operand") == "2 operands" && Signature.describe(1...1, "result") == "1 result")
    #expect(Signature.describe(2...3, "operand") == "2 to 3 operands")
    #expect(Signature.describe(1...Signature.many, "operand") == "at least 1 operand")
  }

  @Test("types on the lines are those that follow from the inputs, unless nobody asks")
  func types() throws {
    let wrong = body("%a = relu %x : f32[n, 4]")
    expect(wrong, fails: "5:20: states f32[n, 4], inferred f32[n, 3]")
    expect(body("%a = relu %x : f16[n, 3]"), fails: "5:20: states f16[n, 3], inferred f32[n, 3]")
    expect(body("%a = relu %x : f32[?]"), fails: "5:20: states f32[?], inferred f32[n, 3]")
    expect(
      body("%a, %b = split %x axis=1 num_outputs=2 : f32[n, 2], f32[n, 2]"), fails: "5:57: states f32[n, 2], inferred f32[n, 1]")
    _ = try ModuleParser.parse(wrong, checkingTypes: false)
    _ = try ModuleParser.parse(body("%a = non_zero %x : i64[2, ?count]"))
    _ = try ModuleParser.parse(body("%a = \"d::T\" %x : f16[n, 4]"))
  }

  @Test("operands that do not fit are reported on the line of the node")
  func operands() {
    let fault = "5:5: matmul: the left operand contracts 2 numbers, the right one 3: shapes [3, 2] and [3, 2]"
    expect(body("%a = matmul %weight, %weight : f32[1]"), fails: fault)
    expect(body("%a = matmul %weight, %weight : f32[1] @\"y\""), fails: fault)
  }

  @Test("the file's name stands before line and column")
  func file() {
    #expect(throws: Diagnostic(.invalid, "expected '{', not 'n'", at: .text(line: 1, column: 10), file: "a.ir")) {
      try ModuleParser.parse("module m n", file: "a.ir")
    }
  }

  @Test("any bytes are read or refused, never more")
  func fuzz() {
    var seeds = [ModuleTextTests.example, body("")].map { Array($0.utf8) }
    seeds.append(
      Array("module m { func () -> () { %a = relu %b mode=\"\\u{41}\" value=tensor f16[2] [1, nan] : f32[a*b+2] @\"n\" } }".utf8))
    let count = testCount("PRUNEC_FUZZ", default: 4000)
    var accepted = 0
    for round in 0..<count {
      var random = SeededGenerator(seed: UInt64(round))
      var bytes = seeds[round % seeds.count]
      for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&bytes, &random) }
      guard let module = try? ModuleParser.parse(bytes: bytes) else { continue }
      accepted += 1
      // What is accepted can be printed and read again, to the same text.
      let text = ModulePrinter.print(module, options: .names)
      let again = try? ModuleParser.parse(text)
      #expect(again.map { ModulePrinter.print($0, options: .names) } == text, "seed \(round)")
    }
    #expect(accepted > 0)
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
    let at = Int.random(in: 0..<max(1, bytes.count), using: &random)
    guard bytes.indices.contains(at) else { return }
    let end = min(bytes.count, at + Int.random(in: 1...12, using: &random))
    switch Int.random(in: 0..<6, using: &random) {
    case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
    case 1: bytes[at] = Array("%\"[](){}:=,_-+*.@/\\0a\n".utf8).randomElement(using: &random) ?? 0
    case 2: bytes.removeSubrange(at..<end)
    case 3: bytes.insert(contentsOf: bytes[at..<end], at: Int.random(in: 0...bytes.count, using: &random))
    case 4: bytes.insert(contentsOf: Array("9999999999999999999".utf8), at: at)
    case _: bytes.removeSubrange(at...)
    }
  }
}

/// Expects that a text is refused with a message, which starts with line and column.
private func expect(
  _ text: String, fails message: String, parameters: [String: TensorContent] = [:], at location: SourceLocation = #_sourceLocation
) {
  do throws(Diagnostic) {
    _ = try ModuleParser.parse(text, parameters: parameters)
    Issue.record("accepted: \(text)", sourceLocation: location)
  } catch {
    #expect(error.description == message, sourceLocation: location)
    #expect(error.kind == .invalid, sourceLocation: location)
  }
}
