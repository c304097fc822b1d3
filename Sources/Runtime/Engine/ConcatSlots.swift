import Graph

/// Values that are made where a concat wants them: no copy is needed.
///
/// Images lie with their channels last, so a part of a concat over channels is a slice of every pixel. Where concats each begin with all that
/// an earlier one joined, as in dense blocks, one buffer serves them all: each reads as much of a pixel as it joins.
struct ConcatSlots {
  /// Where a value goes: which buffer, and the first of its channels.
  struct Slot {
    let family: Int
    let channel: Int
  }

  /// A buffer that concats share.
  struct Family {
    /// Images, channels and spatial extents of the longest concat.
    let shape: [Int]
    /// The parts that it joins.
    let parts: [ValueID]
  }

  private(set) var families: [Family] = []
  /// By part.
  private(set) var slots: [ValueID: Slot] = [:]
  /// By what a concat makes: the family in whose buffer it lies.
  private(set) var results: [ValueID: Int] = [:]

  init(_ module: Module) {
    var concats: [(result: ValueID, parts: [ValueID], shape: [Int])] = []
    for node in module.nodes {
      guard case .joining(.concat) = node.operation, let result = node.outputs.first.flatMap({ $0 }),
        let shape = module[result].type.staticShape, (3...4).contains(shape.count), node.attributes.int(.axis) == 1,
        module[result].type.element == .f32, !shape.contains(0)
      else { continue }
      let parts = node.inputs.compactMap { $0 }
      guard parts.count == node.inputs.count, parts.count > 1, Set(parts).count == parts.count else { continue }
      concats.append((result, parts, shape))
    }
    // The longest first: shorter ones may be how it begins.
    for concat in concats.enumerated().sorted(by: { ($1.element.parts.count, $0.offset) < ($0.element.parts.count, $1.offset) }) {
      let (result, parts, shape) = concat.element
      if let first = parts.first.flatMap({ slots[$0] }), families[first.family].parts.starts(with: parts) {
        results[result] = first.family
        continue
      }
      guard parts.allSatisfy({ slots[$0] == nil }) else { continue }
      var channel = 0
      for part in parts {
        slots[part] = Slot(family: families.count, channel: channel)
        channel += module[part].type.staticShape?[1] ?? 0
      }
      results[result] = families.count
      families.append(Family(shape: shape, parts: parts))
    }
  }
}
