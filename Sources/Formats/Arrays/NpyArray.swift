import Graph

/// One array of numpy's .npy format (versions 1 to 3), in C order.
public struct NpyArray: Sendable {
  /// The type, as numpy spells it without byte order: `f4`, `i8`, `b1`, `u1`, `f2`, `c8`; `V1` and `V2` for bits of types that numpy
  /// does not know.
  public let code: String
  /// Extents, outermost axis first.
  public let shape: [Int]
  /// The numbers, little-endian and row-major.
  public let data: TensorData

  /// An array of the given parts.
  public init(code: String, shape: [Int], data: TensorData) {
    self.code = code
    self.shape = shape
    self.data = data
  }

  /// Bytes of one number; nil for types that are no plain numbers.
  private static func width(_ code: String) -> Int? {
    switch code {
    case "b1", "i1", "u1", "V1": 1
    case "i2", "u2", "f2", "V2": 2
    case "i4", "u4", "f4": 4
    case "i8", "u8", "f8", "c8": 8
    case "c16": 16
    case _: nil
    }
  }

  /// Reads an array. Pickled objects and text are refused: nothing in the file is ever executed.
  init(_ bytes: UnsafeRawBufferPointer, name: String) throws(Diagnostic) {
    func failure(_ message: String, _ kind: Diagnostic.Kind = .invalid) -> Diagnostic {
      Diagnostic(kind, "array \(name): \(message)")
    }
    let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    guard bytes.count >= 10, bytes.starts(with: magic) else { throw failure("is no .npy array") }
    let isShort = bytes[6] == 1
    guard isShort || bytes.count >= 12, (1...3).contains(bytes[6]) else { throw failure("is of an unknown .npy version") }
    let lengthBytes = isShort ? 2 : 4
    let length = (0..<lengthBytes).reduce(0) { $0 | Int(bytes[8 + $1]) << (8 * $1) }
    let start = 8 + lengthBytes
    guard length <= bytes.count - start else { throw failure("is cut off within its header") }
    let header = Header(String(decoding: bytes[start..<start + length], as: UTF8.self))
    guard let description = header.text("descr"), let isFortran = header.word("fortran_order"),
      let shape = header.numbers("shape")
    else { throw failure("has a structured type or a damaged header; save plain numbers") }
    guard description.first.map({ "<>|=".contains($0) }) == true else {
      throw failure("has the type '\(description)'", .unsupported)
    }
    let code = String(description.dropFirst())
    if code.hasPrefix("O") { throw failure("holds Python objects, which are never loaded", .unsupported) }
    if code.hasPrefix("U") || code.hasPrefix("S") {
      throw failure("holds strings, which prunec cannot compute with", .unsupported)
    }
    guard let width = Self.width(code) else {
      throw failure("is of type '\(description)', which prunec cannot read; convert it with .astype", .unsupported)
    }
    guard let count = Tensor.count(shape), !count.multipliedReportingOverflow(by: width).overflow,
      bytes.count - start - length == count * width
    else { throw failure("holds \(bytes.count - start - length) bytes, which do not fit its shape \(shape)") }
    let content = UnsafeRawBufferPointer(rebasing: bytes[(start + length)...])
    let isSwapped = description.hasPrefix(">") && width > 1
    self.code = code
    self.shape = shape
    data = Self.rowMajor(
      content, shape: shape, width: width, isFortran: isFortran == "True", isSwapped: isSwapped ? swapWidth(code) : 1)
    func swapWidth(_ code: String) -> Int { code.hasPrefix("c") ? width / 2 : width }
  }

  /// The bytes in C order, each number's least significant byte first.
  private static func rowMajor(
    _ bytes: UnsafeRawBufferPointer, shape: [Int], width: Int, isFortran: Bool, isSwapped swapped: Int
  ) -> TensorData {
    TensorData(count: bytes.count) { target in
      if isFortran, shape.count > 1 {
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in 1..<shape.count { strides[axis] = strides[axis - 1] * shape[axis - 1] }
        for (index, position) in Tensor.positions(shape, strides: strides).enumerated() {
          for byte in 0..<width { target[index * width + byte] = bytes[position * width + byte] }
        }
      } else {
        target.copyMemory(from: bytes)
      }
      guard swapped > 1 else { return }
      for start in Swift.stride(from: 0, to: target.count, by: swapped) {
        for byte in 0..<swapped / 2 { target.swapAt(start + byte, start + swapped - 1 - byte) }
      }
    }
  }

  /// The array as a .npy file of version 1 (header padded to 64 bytes).
  var header: [UInt8] {
    let order = code == "b1" || code == "i1" || code == "u1" ? "|" : "<"
    let extents = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var text = "{'descr': '\(order)\(code)', 'fortran_order': False, 'shape': (\(extents)), }"
    text += String(repeating: " ", count: (64 - (10 + text.utf8.count + 1) % 64) % 64) + "\n"
    let length = text.utf8.count
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(text.utf8)
  }

  /// The header is a Python dictionary of three entries.
  private struct Header {
    let text: String
    init(_ text: String) { self.text = text }

    private func after(_ key: String) -> Substring? {
      for quote in ["'", "\""] {
        if let range = text.range(of: quote + key + quote) {
          let rest = text[range.upperBound...].drop { $0 == " " }
          return rest.first == ":" ? rest.dropFirst().drop { $0 == " " } : nil
        }
      }
      return nil
    }

    func text(_ key: String) -> String? {
      guard let rest = after(key), let quote = rest.first, quote == "'" || quote == "\"" else { return nil }
      return String(rest.dropFirst().prefix { $0 != quote })
    }

    func word(_ key: String) -> String? { after(key).map { String($0.prefix { $0.isLetter }) } }

    func numbers(_ key: String) -> [Int]? {
      guard let rest = after(key), rest.first == "(", let end = rest.firstIndex(of: ")") else { return nil }
      var numbers: [Int] = []
      for part in rest[rest.index(after: rest.startIndex)..<end].split(separator: ",") {
        let digits = part.filter { $0 != " " && $0 != "L" }
        if digits.isEmpty { continue }
        guard let number = Int(digits), number >= 0 else { return nil }
        numbers.append(number)
      }
      return numbers
    }
  }
}
