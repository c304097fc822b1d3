import Formats
import Graph

/// Masks in a safetensors file, and what they do to a model.
///
/// A tensor NAME, or NAME_mask, of zeros and ones masks the parameter NAME. A file with tensors X_orig and X_mask, as PyTorch's pruning
/// leaves them in a state_dict, gives X its numbers too: X_orig where X_mask is one. Of such a file the other tensors are the unmasked
/// parameters: they take the place of the model's.
public enum MaskFile {
  /// Applies the masks of a file to a module's parameters. Returns the names of the parameters masked.
  ///
  /// Throws `invalid`, with the file's name: a mask that names no parameter, has another shape than it, or holds anything but 0 and 1; an
  /// X_orig without X_mask.
  public static func apply(_ path: String, to module: inout Module) throws(Diagnostic) -> [String] {
    let file = try Safetensors.read(path: path)
    do throws(Diagnostic) { return try apply(file.tensors, to: &module) } catch { throw error.inFile(path) }
  }

  private static func apply(_ tensors: [NamedTensor], to module: inout Module) throws(Diagnostic) -> [String] {
    let byName = Dictionary(tensors.map { ($0.name, $0.content) }, uniquingKeysWith: { first, _ in first })
    if tensors.isEmpty { throw Diagnostic(.invalid, "holds no masks") }
    let parameters = Parameters(module)
    let isState = byName.keys.contains { $0.hasSuffix("_orig") }
    var masked: [String] = []
    for name in byName.keys.sorted() {
      guard let content = byName[name] else { continue }
      if name.hasSuffix("_orig") {
        let base = String(name.dropLast("_orig".count))
        if byName[base + "_mask"] == nil { throw missingMask(base, of: name) }
      } else if name.hasSuffix("_mask") || !isState {
        let base = name.hasSuffix("_mask") ? String(name.dropLast("_mask".count)) : name
        let place = try parameters.place(base, of: name)
        let value = module[module.parameters[place.index].value]
        if let given = byName[base + "_orig"] { try replace(place, by: given, base + "_orig", in: &module) }
        let numbers = module.parameters[place.index].content
        let shape = place.isTransposed ? numbers.shape.reversed() : numbers.shape
        try Masks.check(content, of: shape, named: name, weight: place.isTransposed ? base : value.name)
        guard let mask = Tensor(place.oriented(content)), let tensor = Tensor(numbers) else {
          throw Diagnostic(.invalid, "\(base) has no numbers that could be masked", at: .tensor(name))
        }
        module.parameters[place.index].content = Masks.content(Masks.applying(mask, to: tensor))
        masked.append(value.name)
      } else if let place = parameters.known(name) {
        try replace(place, by: content, name, in: &module)
      }
    }
    if masked.isEmpty { throw Diagnostic(.invalid, "holds no masks") }
    return masked
  }

  /// A parameter, and whether a file has its transpose.
  private struct Place {
    let index: Int
    let isTransposed: Bool

    /// A tensor of the file as the model has it.
    func oriented(_ content: TensorContent) -> TensorContent {
      guard isTransposed, content.shape.count == 2, let tensor = Tensor(content) else { return content }
      return Masks.content(tensor.transposed([1, 0]))
    }
  }

  /// The parameters of a module by their names, and by those that PyTorch has for them.
  private struct Parameters {
    private var places: [String: Place] = [:]

    init(_ module: Module) {
      let lost = LayerNames(module).names
      for (index, parameter) in module.parameters.enumerated() {
        places[module[parameter.value].name] = Place(index: index, isTransposed: false)
        if let name = lost[parameter.value] { places[name] = Place(index: index, isTransposed: true) }
      }
    }

    func known(_ name: String) -> Place? { places[name] ?? places[name + "_orig"] }

    func place(_ name: String, of tensor: String) throws(Diagnostic) -> Place {
      if let place = known(name) { return place }
      let near = Suggestion.nearest(to: name, among: Array(places.keys)).map { "; did you mean '\($0)'?" }
      throw Diagnostic(
        .invalid, "the model has no parameter \(name)\(near ?? "; 'prunec stats' lists its parameters")", at: .tensor(tensor))
    }
  }

  /// The tensors of a file of weights alone, each X_orig with its X_mask as the one tensor X.
  public static func multipliedOut(_ tensors: [NamedTensor]) throws(Diagnostic) -> [NamedTensor] {
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var result: [NamedTensor] = []
    for tensor in tensors {
      if tensor.name.hasSuffix("_mask"), byName[tensor.name.dropLast("_mask".count) + "_orig"] != nil { continue }
      guard tensor.name.hasSuffix("_orig") else {
        result.append(tensor)
        continue
      }
      let base = String(tensor.name.dropLast("_orig".count))
      guard let mask = byName[base + "_mask"]?.content else { throw missingMask(base, of: tensor.name) }
      try Masks.check(mask, of: tensor.content.shape, named: base + "_mask", weight: tensor.name)
      guard let ones = Tensor(mask), let numbers = Tensor(tensor.content) else { continue }
      let product = Masks.applying(ones, to: numbers)
      result.append(NamedTensor(name: base, type: tensor.type, content: Masks.content(product)))
    }
    return result
  }

  private static func missingMask(_ base: String, of name: String) -> Diagnostic {
    Diagnostic(
      .invalid,
      "there is no \(base)_mask beside it; save the state_dict of a model whose pruning is still on, or store \(base) alone",
      at: .tensor(name))
  }

  /// Gives a parameter the numbers of a tensor of the file. Throws where these do not fit.
  private static func replace(_ place: Place, by content: TensorContent, _ name: String, in module: inout Module)
    throws(Diagnostic)
  {
    let own = module.parameters[place.index].content
    let fitting = place.oriented(content)
    guard own.shape == fitting.shape, own.element == fitting.element else {
      let value = module[module.parameters[place.index].value]
      throw Diagnostic(
        .invalid,
        "is \(content.element.rawValue)\(content.shape), but the model's \(value.name) is \(own.element.rawValue)\(own.shape)",
        at: .tensor(name))
    }
    module.parameters[place.index].content = fitting
  }
}
