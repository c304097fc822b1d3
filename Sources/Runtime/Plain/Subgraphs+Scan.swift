import Graph

extension Subgraphs {
  private func numbers(_ name: String) -> [Int]? {
    if case .ints(let list)? = node.attributes.first(where: { $0.name == name })?.value { list } else { nil }
  }

  /// Operands that carry a state, and those that are scanned.
  private func parts(_ operands: [RuntimeValue?]) throws(Diagnostic) -> (states: [RuntimeValue], sequences: [Tensor]) {
    guard case .int(let scanned)? = node.attributes.first(where: { $0.name == "num_scan_inputs" })?.value,
      (1...max(1, operands.count)).contains(scanned)
    else { throw failure("num_scan_inputs is missing or wrong") }
    var sequences: [Tensor] = []
    for operand in operands.suffix(scanned) {
      guard let tensor = operand?.tensor else { throw failure("what is scanned must be a tensor") }
      sequences.append(tensor)
    }
    return (operands.dropLast(scanned).map { $0 ?? .absent }, sequences)
  }

  /// One scan over `length` places of the sequences, whose axes are counted from the front: the last states, and what the turns add.
  private func walk(
    _ body: Body, _ states: [RuntimeValue], _ sequences: [(tensor: Tensor, axis: Int, isReversed: Bool)], length: Int
  ) throws(Diagnostic) -> (states: [RuntimeValue], collected: [[Tensor]]) {
    guard body.outputCount >= states.count else { throw failure("the body returns too few values") }
    var states = states
    var collected = [[Tensor]](repeating: [], count: body.outputCount - states.count)
    var bytes = 0
    for turn in 0..<length {
      var inputs = states
      for (tensor, axis, isReversed) in sequences {
        inputs.append(.tensor(TensorList.slice(tensor, axis: axis, index: isReversed ? length - 1 - turn : turn)))
      }
      let results = try body.run(inputs)
      states = Array(results.prefix(states.count))
      for index in collected.indices {
        guard let piece = results[states.count + index].tensor else { throw failure("what a turn adds must be a tensor") }
        collected[index].append(piece)
        bytes += piece.data.count
      }
      try requireRoom(bytes)
    }
    return (states, collected)
  }

  /// Scan since version 9.
  func scan(_ operands: [RuntimeValue?]) throws(Diagnostic) -> [RuntimeValue?] {
    let (states, tensors) = try parts(operands)
    let directions = numbers("scan_input_directions") ?? []
    let axes = numbers("scan_input_axes") ?? []
    var length: Int?
    var sequences: [(tensor: Tensor, axis: Int, isReversed: Bool)] = []
    for (index, tensor) in tensors.enumerated() {
      let axis = axes.indices.contains(index) ? axes[index] : 0
      let positive = axis < 0 ? axis &+ tensor.rank : axis
      guard tensor.shape.indices.contains(positive) else { throw failure("axis \(axis) is outside \(tensor.type)") }
      guard length == nil || length == tensor.shape[positive] else { throw failure("what is scanned has different lengths") }
      length = tensor.shape[positive]
      sequences.append((tensor, positive, directions.indices.contains(index) && directions[index] == 1))
    }
    let body = try body("body")
    let (last, collected) = try walk(body, states, sequences, length: length ?? 0)
    var outputs = last
    let outputDirections = numbers("scan_output_directions") ?? []
    let outputAxes = numbers("scan_output_axes") ?? []
    for (index, pieces) in collected.enumerated() {
      let isReversed = outputDirections.indices.contains(index) && outputDirections[index] == 1
      let axis = outputAxes.indices.contains(index) ? outputAxes[index] : 0
      let type = body.outputTypes[last.count + index]
      let rank = (pieces.first?.rank ?? (type.isRanked ? type.rank : 0)) + 1
      let positive = axis < 0 ? axis &+ rank : axis
      outputs.append(.tensor(try stacked(isReversed ? pieces.reversed() : pieces, axis: positive, of: type)))
    }
    return Self.padded(outputs, to: node.outputs.count)
  }

  /// Scan of version 8: the first axis of everything is a batch, the second is scanned, and each image may have a length of its own.
  func scanBatch(_ operands: [RuntimeValue?]) throws(Diagnostic) -> [RuntimeValue?] {
    let (states, tensors) = try parts(Array(operands.dropFirst()))
    guard let first = tensors.first, first.rank >= 2 else { throw failure("what is scanned has no batch and no sequence") }
    let (batch, longest) = (first.shape[0], first.shape[1])
    var starts: [Tensor] = []
    for state in states {
      guard let tensor = state.tensor, tensor.shape.first == batch else {
        throw failure("a state does not fit a batch of \(batch)")
      }
      starts.append(tensor)
    }
    guard tensors.allSatisfy({ $0.shape.prefix(2) == [batch, longest] }) else {
      throw failure("what is scanned has different lengths")
    }
    let lengths = operands.first??.tensor?.wholes ?? Array(repeating: longest, count: batch)
    guard lengths.count == batch, lengths.allSatisfy({ (0...longest).contains($0) }) else {
      throw failure("the lengths \(lengths) do not fit \(batch) sequences of \(longest)")
    }
    let directions = numbers("directions") ?? []
    let body = try body("body")
    var lines: [[Tensor]] = []
    for image in 0..<batch {
      let sequences = tensors.enumerated().map { index, tensor in
        (
          tensor: TensorList.slice(tensor, axis: 0, index: image), axis: 0,
          isReversed: directions.indices.contains(index) && directions[index] == 1
        )
      }
      let (last, collected) = try walk(
        body, starts.map { .tensor(TensorList.slice($0, axis: 0, index: image)) }, sequences, length: lengths[image])
      var line: [Tensor] = []
      for state in last {
        guard let tensor = state.tensor else { throw failure("a state must be a tensor") }
        line.append(tensor)
      }
      for (index, pieces) in collected.enumerated() {
        let whole = try stacked(pieces, axis: 0, of: body.outputTypes[last.count + index])
        // Behind its end an image has zeros.
        let width = whole.shape.dropFirst().reduce(1, *)
        let places = Array(0..<whole.count) + Array(repeating: -1, count: (longest - pieces.count) * width)
        line.append(whole.picking(places, shape: [longest] + whole.shape.dropFirst()))
      }
      lines.append(line)
    }
    var outputs: [RuntimeValue] = []
    for index in 0..<(lines.first?.count ?? 0) {
      outputs.append(.tensor(try stacked(lines.map { $0[index] }, axis: 0, of: body.outputTypes[index])))
    }
    return Self.padded(outputs, to: node.outputs.count)
  }
}
