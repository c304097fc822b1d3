import Foundation
import Graph
import Testing

@testable import Formats

/// Damaged input ends in a model or in a diagnostic, never in a crash. `PRUNEC_FUZZ` sets how many mutations each test tries.
@Suite("Damaged bytes")
struct FuzzTests {
  private static let count = ProcessInfo.processInfo.environment["PRUNEC_FUZZ"].flatMap(Int.init) ?? 2000

  /// A small generator with a seed (SplitMix64), so that a failure can be seen again.
  private struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
      return z ^ z >> 31
    }
  }

  /// Some bytes changed, removed, repeated or inserted.
  private func mutated(_ bytes: [UInt8], _ dice: inout Dice) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...6, using: &dice) where !bytes.isEmpty {
      let at = Int.random(in: 0..<bytes.count, using: &dice)
      let end = min(bytes.count, at + Int.random(in: 1...16, using: &dice))
      switch Int.random(in: 0..<6, using: &dice) {
      case 0: bytes[at] = UInt8.random(in: 0...255, using: &dice)
      case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
      case 2: bytes.removeSubrange(at..<end)
      case 3: bytes.insert(contentsOf: bytes[at..<end], at: at)
      case 4: bytes[at] = [0x00, 0x7F, 0x80, 0xFF].randomElement(using: &dice) ?? 0
      default: bytes.insert(contentsOf: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], at: at)
      }
    }
    return bytes
  }

  /// The fields of a message with one thing changed somewhere inside: a field removed, repeated, moved, renumbered, or given another value.
  /// All lengths are right again afterwards, so that the damage gets past the outermost check.
  private func restructured(_ bytes: [UInt8], _ dice: inout Dice) -> [UInt8] {
    guard var fields = split(bytes), !fields.isEmpty else { return mutated(bytes, &dice) }
    let at = Int.random(in: 0..<fields.count, using: &dice)
    let value = [0, 1, 2, 17, 255, -1, Int.max, Int.min, 1 << 40].randomElement(using: &dice) ?? 0
    switch (Int.random(in: 0..<12, using: &dice), fields[at].payload) {
    case (0, _): fields.remove(at: at)
    case (1, _): fields.insert(fields[at], at: Int.random(in: 0...fields.count, using: &dice))
    case (2, _): fields.swapAt(at, Int.random(in: 0..<fields.count, using: &dice))
    case (3, _): fields[at].number = Int.random(in: 1...26, using: &dice)
    case (4, _): fields[at].payload = nil
    case (_, let payload?): fields[at].payload = restructured(payload, &dice)
    case (_, nil): fields[at].value = value
    }
    return WireMessage.of { message in
      for field in fields {
        if let payload = field.payload {
          message.field(field.number, bytes: payload)
        } else {
          message.field(field.number, int: field.value)
        }
      }
    }.bytes()
  }

  private typealias Field = (number: Int, payload: [UInt8]?, value: Int)

  /// The fields of a message that has numbers and bytes only; nil for anything else.
  private func split(_ bytes: [UInt8]) -> [Field]? {
    try? TensorData(bytes).store.reading { (all) throws(Diagnostic) -> [Field]? in
      var fields: [Field] = []
      var reader = WireReader(all, 0..<all.count)
      while let field = try reader.next() {
        switch field.kind {
        case .varint: fields.append((field.number, nil, Int(truncatingIfNeeded: field.value)))
        case .bytes: fields.append((field.number, [UInt8](all[field.payload]), 0))
        case .fixed32, .fixed64: return nil
        }
      }
      return fields
    }
  }

  /// A model of everything the reader looks into.
  private static let sample: [UInt8] = {
    let branch: WireMessage = .of { graph in
      graph.field(1, message: OnnxSample.node("Add", ["outer", "k"], ["r"]))
      graph.field(5, message: OnnxSample.floats("k", [1], [1]))
      graph.field(12, message: OnnxSample.value("r", ["n+1"]))
    }
    let function: WireMessage = .of { function in
      function.field(1, text: "Swish")
      function.field(7, message: OnnxSample.node("Sigmoid", ["x"], ["y"]))
      function.field(9, message: .of { $0.field(2, int: 18) })
    }
    let model = OnnxSample.model { graph in
      graph.field(
        1,
        message: OnnxSample.node("If", ["c"], ["y"]) {
          $0.field(5, message: OnnxSample.attribute("then_branch", 5) { $0.field(6, message: branch) })
        })
      graph.field(5, message: OnnxSample.tensor("t", 7, [2]) { $0.field(7, bytes: [1, 0x80, 1]) })
      graph.field(5, message: OnnxSample.tensor("h", 10, [2]) { $0.field(5, bytes: [1, 0x80, 1]) })
      graph.field(5, message: OnnxSample.tensor("s", 8, [1]) { $0.field(6, text: "word") })
    }
    return model + WireMessage.of { $0.field(25, message: function) }.bytes()
  }()

  /// Reads and writes damaged bytes; true when they were accepted.
  private func survives(_ bytes: [UInt8], seed: Int) throws -> Bool {
    guard let document = try? OnnxDocument(bytes: bytes) else { return false }
    let written = try? OnnxWriter.bytes(document.model, patching: document)
    if document.displaced.isEmpty { #expect(written == bytes, "seed \(seed)") }
    _ = try? OnnxWriter.skeleton(document.model, patching: document)
    var fresh = document.model
    for index in fresh.nodes.indices { fresh.nodes[index].source = nil }
    _ = try? OnnxWriter.bytes(fresh, patching: nil)
    for tensor in fresh.initializers {
      _ = tensor.content.keeping(tensor.content.shape.map { Array(0..<min($0, 1)) }).materialized()
    }
    return true
  }

  @Test("of ONNX files: reading, and writing what was read, never crash")
  func onnx() throws {
    for (name, change) in [("bytes", mutated), ("fields", restructured)] {
      var accepted = 0
      for seed in 0..<FuzzTests.count {
        var dice = Dice(state: UInt64(seed))
        let bytes = change(seed % 2 == 0 ? OnnxSample.linear : FuzzTests.sample, &dice)
        if try survives(bytes, seed: seed) { accepted += 1 }
      }
      // A fuzzer whose every input is refused at the door tests nothing.
      #expect(accepted > FuzzTests.count / (name == "bytes" ? 50 : 4), "\(name): \(accepted)")
    }
  }

  @Test("of skeletons: whatever is left of one, nothing is made up")
  func skeletons() throws {
    let document = try OnnxDocument(bytes: OnnxSample.linear)
    let skeleton = try OnnxWriter.skeleton(document.model, patching: document)
    let tensors = Dictionary(uniqueKeysWithValues: document.model.initializers.map { ($0.name, $0.content) })
    for seed in 0..<FuzzTests.count / 4 {
      var dice = Dice(state: UInt64(seed))
      guard let found = try? OnnxDocument(skeleton: restructured(skeleton, &dice), tensors: tensors) else { continue }
      _ = try? OnnxWriter.bytes(found.model, patching: found)
      _ = try? OnnxWriter.bytes(document.model, patching: found)
    }
  }

  @Test("of safetensors files: reading never crashes")
  func safetensors() throws {
    let scratch = try Scratch()
    let content = TensorContent(TensorData([Float(1), 2]), element: .f32, shape: [2])
    let packed = TensorContent(TensorData([UInt8(1), 2]), element: .i4, shape: [3])
    let tensors = [
      NamedTensor(name: "w", type: TensorType(.f32, [2]), content: content),
      NamedTensor(name: "p", type: TensorType(.i4, [3]), content: packed),
    ]
    let container = IrContainer(text: "module \"é\"", tensors: tensors, skeleton: [1, 2, 3], sourceDigest: "00")
    try container.write(to: scratch.file("t"))
    let source = try contents(scratch.file("t"))
    var accepted = 0
    for seed in 0..<FuzzTests.count {
      var dice = Dice(state: UInt64(seed))
      guard let file = try? Safetensors(TensorData(mutated(source, &dice)).store) else { continue }
      accepted += 1
      _ = try? IrContainer(file)
      for tensor in file.tensors { _ = tensor.content.materialized().count }
    }
    #expect(accepted > FuzzTests.count / 100)
  }

  @Test("of .npz files: archives, the arrays in them, and compressed streams")
  func npz() throws {
    let scratch = try Scratch()
    let arrays: [(name: String, array: NpyArray)] = [
      ("in.x", NpyArray(code: "f4", shape: [2, 3], data: TensorData([1, 2, 3, 4, 5, 6] as [Float]))),
      ("in.n", NpyArray(code: "i8", shape: [], data: TensorData([7]))),
    ]
    try NpzFile.write(arrays, to: scratch.file("a.npz"))
    let archive = try contents(scratch.file("a.npz"))
    let single = arrays[0].array.header + arrays[0].array.data.numbers(as: UInt8.self)
    // What zlib makes of 120 letters: a block with codes of its own.
    let stream: [UInt8] = [
      0x25, 0x8C, 0xC1, 0x11, 0x00, 0x30, 0x08, 0xC2, 0x56, 0x71, 0xB5, 0x00, 0xFB, 0xCF, 0x50, 0xB4, 0xFA, 0xF0, 0x80, 0x08,
      0x88, 0xC9, 0x18, 0x06, 0x9B, 0x88, 0x1A, 0x1D, 0x77, 0xC9, 0xAC, 0xA8, 0xE7, 0x75, 0x65, 0xA4, 0x92, 0x07, 0x4A, 0xA4,
      0x94, 0xA6, 0xB2, 0xC1, 0x8D, 0xA5, 0xCF, 0x96, 0xE9, 0x1D, 0xB9, 0x4F, 0xB9, 0xE8, 0x3A, 0xB3, 0x25, 0xEC, 0x2B, 0x3C,
    ]
    let letters = stream.withUnsafeBytes { Inflate.decompress($0, count: 120) }
    #expect(
      letters.map { String(decoding: $0, as: UTF8.self) }?.hasPrefix("aaba d caa accadbaabaaaacacaad abaadbacaababcabb") == true)
    var accepted = [0, 0, 0]
    for seed in 0..<FuzzTests.count / 4 {
      var dice = Dice(state: UInt64(seed))
      let path = try scratch.write(mutated(archive, &dice), to: "m.npz")
      if (try? NpzFile.read(path, limit: 1 << 20)) != nil { accepted[0] += 1 }
      let array = mutated(single, &dice).withUnsafeBytes { try? NpyArray($0, name: "x") }
      if let array {
        accepted[1] += 1
        #expect(Tensor.count(array.shape).map { $0 <= array.data.count } == true, "seed \(seed)")
      }
      // A stream does not say how long its content is.
      let inflated = mutated(stream, &dice).withUnsafeBytes { bytes in
        stride(from: 112, to: 129, by: 4).contains { Inflate.decompress(bytes, count: $0 + seed % 4) != nil }
      }
      if inflated { accepted[2] += 1 }
    }
    #expect(accepted.allSatisfy { $0 > FuzzTests.count / 800 }, "\(accepted)")
  }
}
