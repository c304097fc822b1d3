import Formats
import Graph
import Passes

/// What groups have in common that one number of config.json stands for.
private struct GroupSize: Hashable {
  let kind: GroupKind
  let extent: Int

  init(_ group: Group) { (kind, extent) = (group.kind, group.extent) }
}

/// `config.json` of a smaller model, and what its tensors are called when layers before them are gone.
///
/// Sizes follow from what the plan keeps. Whether the file then says all there is to say is not judged here: the model that it describes is
/// built and compared with the one that was made.
struct SmallerConfiguration {
  /// The new `config.json`.
  private(set) var configuration: JsonValue
  private let keys: SizeKeys
  private let modelType: String
  /// New numbers of layers by old ones, per prefix (`model.layers.`); empty where no layer is gone.
  private var renumbered: [String: [Int: Int]] = [:]

  /// The configuration of what a plan keeps of a model, and of the layers that still have tensors among `names`. Throws `refused` where layers
  /// keep different numbers.
  init(_ original: JsonValue, solution: Solution, plan: Plan, names: [String], before: [String]) throws(Diagnostic) {
    configuration = original
    modelType = original["model_type"]?.text ?? ""
    keys = SizeKeys(modelType: modelType)
    let prefix = original[keys.layers]?.int.flatMap { Self.layerPrefix(before, count: $0) }
    try setSizes(solution, plan, layers: prefix)
    if let prefix { try dropLayers(names: names, prefix) }
  }

  /// What a tensor of the original is called in the smaller model.
  func name(_ old: String) -> String {
    for (prefix, numbers) in renumbered {
      if let (number, rest) = Self.layer(of: old, prefix), let new = numbers[number] { return "\(prefix)\(new)\(rest)" }
    }
    return old
  }

  /// False for tensors of layers that are gone.
  func isLeft(_ old: String) -> Bool {
    for (prefix, numbers) in renumbered { if let layer = Self.layer(of: old, prefix) { return numbers[layer.number] != nil } }
    return true
  }

  // MARK: Sizes

  private mutating func setSizes(_ solution: Solution, _ plan: Plan, layers prefix: String?) throws(Diagnostic) {
    guard !plan.prunedGroups.isEmpty else { return }
    let old = configuration
    func number(_ key: String?) -> Int? { key.flatMap { old[$0]?.int } }
    guard let width = number(keys.width), let heads = number(keys.heads), heads > 0 else {
      throw Diagnostic(.invalid, "config.json states no \(keys.width) and \(keys.heads)")
    }
    let groups = number(keys.groups) ?? heads
    let headDims = number(keys.headDims) ?? width / heads
    var counts = (groups: groups, queries: heads / max(1, groups))
    // No key states it: it is how many heads there are for each of the groups.
    let queriesPerGroup = "\(keys.heads) by group"
    var changed: [String: (count: Int, group: String)] = [:]
    func set(_ key: String?, _ count: Int, _ group: Group) throws(Diagnostic) {
      guard let key else {
        throw cannotSay("\(group.name) keeps \(count) of \(group.extent) \(group.kind.rawValue)")
      }
      if let known = changed[key], known.count != count {
        throw cannotSay(
          "\(known.group) keeps \(known.count), but \(group.name) keeps \(count), and \(key) is one number for all layers")
      }
      changed[key] = (count, group.name)
    }
    /// True for groups that layers carry: there the numbers of config.json hold for all alike.
    func isOfLayer(_ group: Group) -> Bool {
      prefix.map { prefix in group.occurrences.contains { solution.module[$0.value].name.hasPrefix(prefix) } } ?? false
    }
    /// True for units of experts, whose parameters are stacks.
    func isOfExperts(_ group: Group) -> Bool { group.occurrences.contains { solution.module[$0.value].name.contains(".*.") } }
    let alike = Set(plan.prunedGroups.map { GroupSize(solution.groups[$0]) })
    for (index, group) in solution.groups.enumerated() {
      guard plan.kept[index] != nil || (isOfLayer(group) && alike.contains(GroupSize(group))) else { continue }
      let kept = plan.kept[index]?.count ?? group.extent
      switch group.kind {
      case .width where group.extent == width: try set(keys.width, kept, group)
      // Outside of layers, as in a pooler, only the width is stated.
      case .hidden where group.extent == width && prefix != nil && !isOfLayer(group): try set(keys.width, kept, group)
      case .hidden, .channels:
        let key = keys.expertHidden.flatMap { isOfExperts(group) ? $0 : nil } ?? keys.hidden
        let extent = number(key) ?? (key == keys.hidden ? 4 * width : nil)
        try set(extent == group.extent ? key : nil, kept, group)
      case .heads where group.extent == groups:
        try set(keys.groups ?? keys.heads, kept, group)
        counts.groups = kept
      case .queries where group.extent == heads / max(1, groups):
        try set(queriesPerGroup, kept, group)
        counts.queries = kept
      case .headDims where group.extent == headDims: try set(keys.headDims, kept, group)
      case .headDims where group.extent * 2 == headDims: try set(keys.headDims, 2 * kept, group)
      case .experts: try set(keys.experts.first { number($0) == group.extent }, kept, group)
      case .width, .heads, .queries, .headDims, .groups, .normGroups, .tokens:
        throw cannotSay("\(group.name) keeps \(kept) of \(group.extent) \(group.kind.rawValue)")
      }
    }
    changed[queriesPerGroup] = nil
    let (newWidth, newHeads) = (changed[keys.width]?.count ?? width, counts.groups * counts.queries)
    if keys.headDims == nil, newWidth != newHeads * headDims {
      throw cannotSay("\(newHeads) heads of \(headDims) are not \(newWidth), the \(keys.width)")
    }
    for (key, value) in changed.sorted(by: { $0.key < $1.key }) { configuration[key] = .int(value.count) }
    configuration[keys.heads] = .int(newHeads)
    if let key = keys.groups { configuration[key] = .int(counts.groups) }
    if let key = keys.headDims, changed[key] == nil { configuration[key] = .int(headDims) }
    // Left to itself, the hidden size is four times the width.
    if number(keys.hidden) == nil, changed[keys.hidden] == nil { configuration[keys.hidden] = .int(4 * width) }
  }

  // MARK: Layers

  private mutating func dropLayers(names: [String], _ prefix: String) throws(Diagnostic) {
    guard let count = configuration[keys.layers]?.int else { return }
    let left = Set(names.compactMap { Self.layer(of: $0, prefix)?.number }).sorted()
    guard left.count < count else { return }
    if left.isEmpty { throw cannotSay("no layer is left") }
    renumbered[prefix] = Dictionary(uniqueKeysWithValues: left.enumerated().map { ($1, $0) })
    configuration[keys.layers] = .int(left.count)
    for member in configuration.members ?? [] where Self.perLayer.contains(member.key) {
      guard let elements = member.value.elements, elements.count == count else { continue }
      configuration[member.key] = .array(left.map { elements[$0] })
    }
    renumberDenseLayers(left, of: count)
  }

  /// Lists with one entry per layer.
  private static let perLayer: Set<String> = ["layer_types", "no_rope_layers", "mlp_layer_types"]

  /// Layers without experts are listed by number, or every so many layers has some: afterwards they are listed.
  private mutating func renumberDenseLayers(_ left: [Int], of count: Int) {
    let listed = configuration["mlp_only_layers"]?.elements?.compactMap(\.int) ?? []
    let step = configuration["decoder_sparse_step"]?.int ?? 1
    guard step > 0, step > 1 || !listed.isEmpty else { return }
    let dense = left.enumerated().filter { listed.contains($1) || ($1 + 1) % step != 0 }
    configuration["mlp_only_layers"] = .array(dense.map { .int($0.offset) })
    if step > 1 { configuration["decoder_sparse_step"] = .int(1) }
  }

  /// What stands before the number of a layer in the names of tensors: the prefix under which there are as many numbers as layers.
  private static func layerPrefix(_ names: [String], count: Int) -> String? {
    var numbers: [String: Set<Int>] = [:]
    for name in names {
      let parts = name.split(separator: ".")
      for (index, part) in parts.enumerated() {
        guard let number = Int(part) else { continue }
        numbers[parts[..<index].joined(separator: ".") + ".", default: []].insert(number)
        break
      }
    }
    return numbers.filter { $0.value == Set(0..<count) }.map(\.key).sorted().first
  }

  /// The number of the layer that a name belongs to, and what follows it: of tensors from a dot, of what a layer computes from a stroke.
  private static func layer(of name: String, _ prefix: String) -> (number: Int, rest: Substring)? {
    guard name.hasPrefix(prefix) else { return nil }
    let rest = name.dropFirst(prefix.count)
    guard let end = rest.firstIndex(where: { $0 == "." || $0 == "/" }) else { return nil }
    return Int(rest[..<end]).map { ($0, rest[end...]) }
  }

  // MARK: What cannot be said

  /// The refusal of a result that config.json has no words for.
  func cannotSay(_ what: String) -> Diagnostic {
    Diagnostic(
      .refused,
      "config.json of a \(modelType) cannot say this result: \(what). Write .onnx or .ir instead (-o NAME.onnx), or prune other kinds (--kinds)"
    )
  }

  /// Patterns of tensors whose units are as many as the width has channels, so that they cannot lose some by themselves.
  static func boundToWidth(_ configuration: JsonValue) -> [Glob] {
    SizeKeys(modelType: configuration["model_type"]?.text ?? "").boundToWidth.map(Glob.init)
  }

  /// Kinds that `config.json` can never say for a model type by themselves, with the reason.
  static func unsayable(_ configuration: JsonValue) -> [GroupKind: String] {
    let type = configuration["model_type"]?.text ?? ""
    let keys = SizeKeys(modelType: type)
    var reasons: [GroupKind: String] = [:]
    if keys.headDims == nil {
      let reason = "config.json of a \(type) has no size of a head: it is \(keys.width) divided by \(keys.heads)"
      reasons[.headDims] = reason
      reasons[.heads] = reason
    }
    if type == "gemma" { reasons[.width] = "a \(type) multiplies its embeddings by the square root of \(keys.width)" }
    if keys.experts.isEmpty { reasons[.experts] = "config.json of a \(type) counts no experts" }
    return reasons
  }
}
