import Graph

/// Where the numbers of a tensor go.
enum TensorPlacement {
  /// Into the message.
  case inline
  /// Into the file beside the model.
  case external
  /// Nowhere: the message says only what the tensor is, and where it was.
  case missing(wasExternal: Bool)
}

/// The file beside a model that takes tensors, while it is laid out.
struct ExternalLayout {
  /// Name of the file, as the model states it.
  let name: String
  /// Tensors in order with the byte where each starts.
  private(set) var parts: [(content: TensorContent, offset: Int)] = []
  private var end = 0

  init(name: String) { self.name = name }

  /// Reserves room for a tensor, aligned to 64 bytes.
  mutating func add(_ content: TensorContent) -> (offset: Int, length: Int) {
    let offset = (end + 63) / 64 * 64
    let length = content.byteCount
    parts.append((content, offset))
    end = offset + length
    return (offset, length)
  }

  /// Writes all parts with zeros between.
  func write(to sink: FileSink) throws(Diagnostic) {
    for part in parts {
      try sink.writeZeros(part.offset - sink.count)
      try diagnosing { try part.content.write { try sink.write($0) } }
    }
  }
}

/// Fields of some numbers that one replacement takes the place of.
struct FieldGroup {
  let numbers: UInt64
  let replacement: WireMessage

  /// `numbers` below 64.
  init(_ numbers: [Int], _ replacement: WireMessage) {
    self.numbers = numbers.reduce(0) { $0 | 1 << UInt64($1) }
    self.replacement = replacement
  }

  func has(_ number: Int) -> Bool { number < 64 && numbers >> UInt64(number) & 1 == 1 }
}

extension WireMessage {
  /// The fields of `original` as they stand, except those of the groups: a group's replacement stands where its first field was, or at the end.
  init(patching original: TensorData, _ groups: [FieldGroup]) throws(Diagnostic) {
    self.init()
    self = try original.store.reading { (bytes) throws(Diagnostic) -> WireMessage in
      var message = WireMessage()
      var isDone = [Bool](repeating: false, count: groups.count)
      var reader = WireReader(bytes, original.range)
      while let field = try reader.next() {
        if let group = groups.firstIndex(where: { $0.has(field.number) }) {
          if !isDone[group] { message.append(groups[group].replacement) }
          isDone[group] = true
        } else if let data = TensorData(original.store, range: field.range) {
          message.verbatim(data)
        }
      }
      for (group, isDone) in zip(groups, isDone) where !isDone { message.append(group.replacement) }
      return message
    }
  }

  /// A message of one field.
  static func of(_ build: (inout WireMessage) -> Void) -> WireMessage {
    var message = WireMessage()
    build(&message)
    return message
  }
}

/// Messages of ONNX that depend on nothing but their arguments.
enum OnnxEncoding {
  /// A TensorProto; with `base` (the original's message) its name, doc string and unknown fields stay.
  static func tensor(
    _ content: TensorContent, type: TensorType, name: String?, base: TensorData?, placement: TensorPlacement,
    external: inout ExternalLayout
  ) throws(Diagnostic) -> WireMessage {
    let label = name ?? ""
    guard let shape = type.staticShape,
      let needed = type.element.byteCount(of: try OnnxReader.elementCount(shape, tensor: label)),
      needed == content.byteCount
    else {
      if type.element == .string {
        throw Diagnostic(.unsupported, "text tensors can be kept or dropped, not changed", at: .tensor(label))
      }
      throw Diagnostic(.invalid, "\(content.byteCount) bytes are no \(type)", at: .tensor(label))
    }
    var groups = [
      FieldGroup([1], .of { message in shape.forEach { message.field(1, int: $0) } }),
      FieldGroup([2], .of { $0.field(2, int: type.element.onnxCode) }),
    ]
    if let name { groups.append(FieldGroup([8], .of { $0.field(8, text: name) })) }
    var data = WireMessage()
    switch placement {
    case .inline: data.field(9, content: content)
    case .external:
      let place = external.add(content)
      data.entry(13, "location", external.name)
      data.entry(13, "offset", "\(place.offset)")
      data.entry(13, "length", "\(place.length)")
      data.field(14, int: 1)
    case .missing(let wasExternal):
      data.entry(13, "location", wasExternal ? SkeletonMark.external : SkeletonMark.inline)
      data.field(14, int: 1)
    }
    groups.append(FieldGroup([3, 4, 5, 6, 7, 9, 10, 11, 13, 14], data))
    return try WireMessage(patching: base ?? OnnxReader.noData, groups)
  }

  /// A ValueInfoProto.
  static func value(_ value: NamedValue) -> WireMessage {
    var message = WireMessage()
    message.field(1, text: value.name)
    if value.type.isRanked || value.type.element != .unknown { message.field(2, message: self.type(value.type)) }
    return message
  }

  /// The ValueInfoProto `base` with another type: denotations, doc strings, and the extents that stay are kept.
  static func value(_ base: TensorData, from old: TensorType, to new: TensorType) throws(Diagnostic) -> WireMessage {
    guard let type = try nested(base, 2), let tensor = try nested(type, 1), new.isRanked || new.element != .unknown else {
      let fresh: WireMessage =
        new.isRanked || new.element != .unknown ? .of { $0.field(2, message: self.type(new)) } : WireMessage()
      return try WireMessage(patching: base, [FieldGroup([2], fresh)])
    }
    var groups: [FieldGroup] = []
    if old.element != new.element { groups.append(FieldGroup([1], .of { $0.field(1, int: new.element.onnxCode) })) }
    if old.shape != new.shape || old.isRanked != new.isRanked {
      let shape = try nested(tensor, 2)
      let dims = old.shape.count == new.shape.count ? try shape.map { s throws(Diagnostic) in try all(s, 1) } ?? [] : []
      var changed = WireMessage()
      for (axis, extent) in new.shape.enumerated() {
        if dims.indices.contains(axis) {
          if old.shape[axis] == extent {
            changed.field(1, message: .of { $0.verbatim(dims[axis]) })
          } else {
            changed.field(1, message: try WireMessage(patching: dims[axis], [FieldGroup([1, 2], self.extent(extent))]))
          }
        } else {
          changed.field(1, message: self.extent(extent))
        }
      }
      let whole = try WireMessage(patching: shape ?? OnnxReader.noData, [FieldGroup([1], changed)])
      groups.append(FieldGroup([2], new.isRanked ? .of { $0.field(2, message: whole) } : WireMessage()))
    }
    let newTensor = try WireMessage(patching: tensor, groups)
    let newType = try WireMessage(patching: type, [FieldGroup([1], .of { $0.field(1, message: newTensor) })])
    return try WireMessage(patching: base, [FieldGroup([2], .of { $0.field(2, message: newType) })])
  }

  /// A TypeProto of a tensor.
  private static func type(_ type: TensorType) -> WireMessage {
    let shape: WireMessage = .of { shape in type.shape.forEach { shape.field(1, message: extent($0)) } }
    let tensor: WireMessage = .of { tensor in
      tensor.field(1, int: type.element.onnxCode)
      if type.isRanked { tensor.field(2, message: shape) }
    }
    return .of { $0.field(1, message: tensor) }
  }

  /// The fields of a dimension: a number, a name, or nothing for one that has neither.
  private static func extent(_ extent: Extent) -> WireMessage {
    var message = WireMessage()
    if let number = extent.constant {
      message.field(1, int: number)
    } else if !extent.description.hasPrefix("?") {
      message.field(2, text: extent.description)
    }
    return message
  }

  /// The last message in a field of another.
  static func nested(_ message: TensorData, _ number: Int) throws(Diagnostic) -> TensorData? { try all(message, number).last }

  /// The messages in a field of another, in order.
  static func all(_ message: TensorData, _ number: Int) throws(Diagnostic) -> [TensorData] {
    try message.store.reading { (bytes) throws(Diagnostic) -> [TensorData] in
      var found: [TensorData] = []
      var reader = WireReader(bytes, message.range)
      while let field = try reader.next() {
        if field.number == number, let data = TensorData(message.store, range: try field.message()) { found.append(data) }
      }
      return found
    }
  }
}

extension WireMessage {
  /// A StringStringEntryProto.
  mutating func entry(_ number: Int, _ key: String, _ value: String) {
    field(
      number,
      message: .of {
        $0.field(1, text: key)
        $0.field(2, text: value)
      })
  }
}
