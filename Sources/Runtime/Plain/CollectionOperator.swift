import Graph

/// Tensors cut apart and put together along an axis, of any element type.
enum TensorList {
  /// One index of an axis, without the axis.
  static func slice(_ tensor: Tensor, axis: Int, index: Int) -> Tensor {
    let strides = Tensor.strides(tensor.shape)
    var shape = tensor.shape
    var rest = strides
    shape.remove(at: axis)
    rest.remove(at: axis)
    return tensor.picking(Tensor.positions(shape, strides: rest, start: index * strides[axis]), shape: shape)
  }

  /// A run of indices of an axis.
  static func slice(_ tensor: Tensor, axis: Int, range: Range<Int>) -> Tensor {
    let strides = Tensor.strides(tensor.shape)
    var shape = tensor.shape
    shape[axis] = range.count
    return tensor.picking(Tensor.positions(shape, strides: strides, start: range.lowerBound * strides[axis]), shape: shape)
  }

  /// Tensors one after the other along an axis; nil where they do not fit.
  static func concatenated(_ tensors: [Tensor], axis: Int) -> Tensor? {
    guard let first = tensors.first, first.shape.indices.contains(axis), let bits = first.element.bits, bits >= 8 else {
      return nil
    }
    var shape = first.shape
    shape[axis] = 0
    for tensor in tensors {
      var other = tensor.shape
      guard tensor.element == first.element, other.count == shape.count else { return nil }
      let (sum, overflow) = shape[axis].addingReportingOverflow(other[axis])
      other[axis] = shape[axis]
      guard other == shape, !overflow else { return nil }
      shape[axis] = sum
    }
    guard let count = Tensor.count(shape), let total = first.element.byteCount(of: count) else { return nil }
    let outer = first.shape[..<axis].reduce(1, *)
    let data = TensorData(count: total) { target in
      var at = 0
      for row in 0..<outer {
        for tensor in tensors {
          let length = tensor.data.count / max(1, outer)
          tensor.data.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(rebasing: target[at..<at + length])
              .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[row * length..<(row + 1) * length]))
          }
          at += length
        }
      }
    }
    return Tensor(first.element, shape, data: data)
  }
}

/// Operators on sequences and optionals.
enum CollectionOperator: String {
  case sequenceAt = "SequenceAt"
  case sequenceConstruct = "SequenceConstruct"
  case sequenceEmpty = "SequenceEmpty"
  case sequenceErase = "SequenceErase"
  case sequenceInsert = "SequenceInsert"
  case sequenceLength = "SequenceLength"
  case splitToSequence = "SplitToSequence"
  case concatFromSequence = "ConcatFromSequence"
  case optional = "Optional"
  case optionalHasElement = "OptionalHasElement"
  case optionalGetElement = "OptionalGetElement"
  case identity = "Identity"

  init?(_ opaque: Opaque) {
    guard opaque.domain.isEmpty else { return nil }
    self.init(rawValue: opaque.type)
  }

  func evaluate(
    attributes: [(name: String, value: AttributeValue)], _ operands: [RuntimeValue?], opset: Int, label: String
  ) throws(Diagnostic) -> [RuntimeValue?] {
    func failure(_ message: String) -> Diagnostic { Diagnostic(.invalid, "\(rawValue): \(message)", at: .node(label)) }
    func number(_ name: String) -> Int? {
      if case .int(let number)? = attributes.first(where: { $0.name == name })?.value { number } else { nil }
    }
    func operand(_ index: Int) throws(Diagnostic) -> RuntimeValue {
      guard operands.indices.contains(index), let value = operands[index] else { throw failure("operand \(index) is missing") }
      return value
    }
    func tensor(_ index: Int) throws(Diagnostic) -> Tensor {
      guard let tensor = try operand(index).tensor else { throw failure("operand \(index) is not a tensor") }
      return tensor
    }
    func list(_ index: Int) throws(Diagnostic) -> ([Tensor], ElementType) {
      guard case .sequence(let list, let element) = try operand(index) else {
        throw failure("operand \(index) is not a sequence")
      }
      return (list, element)
    }
    func position(_ index: Int, count: Int, inclusive: Bool) throws(Diagnostic) -> Int? {
      guard operands.indices.contains(index), let value = operands[index] else { return nil }
      guard let given = value.tensor?.scalarWhole else { throw failure("the position is not one number") }
      let place = given < 0 ? given + count : given
      guard place >= 0, place < count || (inclusive && place == count) else {
        throw failure("position \(given) is outside a sequence of \(count)")
      }
      return place
    }
    switch self {
    case .sequenceConstruct:
      var tensors: [Tensor] = []
      for index in operands.indices { tensors.append(try tensor(index)) }
      return [.sequence(tensors, tensors.first?.element ?? .f32)]
    case .sequenceEmpty:
      return [.sequence([], number("dtype").flatMap { ElementType(onnxCode: $0) } ?? .f32)]
    case .sequenceAt:
      let (tensors, _) = try list(0)
      guard let place = try position(1, count: tensors.count, inclusive: false) else { throw failure("the position is missing") }
      return [.tensor(tensors[place])]
    case .sequenceErase:
      var (tensors, element) = try list(0)
      guard !tensors.isEmpty else { throw failure("the sequence is empty") }
      tensors.remove(at: try position(1, count: tensors.count, inclusive: false) ?? tensors.count - 1)
      return [.sequence(tensors, element)]
    case .sequenceInsert:
      var (tensors, element) = try list(0)
      let added = try tensor(1)
      if tensors.isEmpty { element = added.element }
      tensors.insert(added, at: try position(2, count: tensors.count, inclusive: true) ?? tensors.count)
      return [.sequence(tensors, element)]
    case .sequenceLength:
      return [.tensor(Tensor(scalar: try list(0).0.count))]
    case .splitToSequence:
      let data = try tensor(0)
      return [
        .sequence(
          try Self.split(
            data, by: operands.count > 1 ? operands[1]?.tensor : nil, number("axis") ?? 0, keeps: number("keepdims") ?? 1 != 0,
            failure), data.element)
      ]
    case .concatFromSequence:
      let (tensors, _) = try list(0)
      guard let first = tensors.first, let axis = number("axis") else { throw failure("the sequence is empty") }
      let isNew = number("new_axis") ?? 0 != 0
      let rank = first.rank + (isNew ? 1 : 0)
      let place = axis < 0 ? axis + rank : axis
      guard (0..<max(rank, 1)).contains(place) else { throw failure("axis \(axis) is outside tensors of \(rank) axes") }
      let parts =
        isNew
        ? tensors.map { tensor in
          var shape = tensor.shape
          shape.insert(1, at: min(place, shape.count))
          return tensor.reshaped(shape)
        } : tensors
      guard let whole = TensorList.concatenated(parts, axis: place) else { throw failure("the tensors do not fit together") }
      return [.tensor(whole)]
    case .optional: return [operands.first.flatMap { $0 } ?? RuntimeValue.absent]
    case .optionalHasElement:
      if case .some(.some(let value)) = operands.first, case .tensor = value { return [.tensor(Tensor(truths: [true], []))] }
      if case .some(.some(let value)) = operands.first, case .sequence = value { return [.tensor(Tensor(truths: [true], []))] }
      return [.tensor(Tensor(truths: [false], []))]
    case .optionalGetElement:
      let value = try operand(0)
      if case .absent = value { throw failure("the optional holds nothing") }
      return [value]
    case .identity: return [try operand(0)]
    }
  }

  private static func split(
    _ data: Tensor, by sizes: Tensor?, _ axis: Int, keeps: Bool, _ failure: (String) -> Diagnostic
  ) throws(Diagnostic) -> [Tensor] {
    let place = axis < 0 ? axis + data.rank : axis
    guard data.shape.indices.contains(place) else { throw failure("axis \(axis) is outside \(data.type)") }
    let extent = data.shape[place]
    guard let sizes else {
      return (0..<extent).map { index in
        keeps ? TensorList.slice(data, axis: place, range: index..<index + 1) : TensorList.slice(data, axis: place, index: index)
      }
    }
    var lengths = sizes.wholes
    if sizes.rank == 0, let length = lengths.first {
      guard length > 0 else { throw failure("pieces of \(length) indices cannot be made") }
      lengths = stride(from: 0, to: extent, by: length).map { min(length, extent - $0) }
    }
    var pieces: [Tensor] = []
    var start = 0
    for length in lengths {
      guard length >= 0, length <= extent - start else { throw failure("the sizes \(lengths) do not add up to \(extent)") }
      pieces.append(TensorList.slice(data, axis: place, range: start..<start + length))
      start += length
    }
    guard start == extent else { throw failure("the sizes \(lengths) do not add up to \(extent)") }
    return pieces
  }
}
