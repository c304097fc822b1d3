import Formats
import Graph
import Passes
import Runtime
import Tracing
import Zoo

/// Reads whatever holds a model: a file, or a checkpoint folder.
enum ModelReader {
  /// Reads a model; of a folder, `config.json` says which program its weights belong to.
  static func read(_ path: String) throws(Diagnostic) -> ModelFile {
    guard CheckpointFolder.isFolder(path) else { return try ModelFile.read(path) }
    let folder = try CheckpointFolder.read(path)
    do throws(Diagnostic) {
      return try ModelFile(folder, module: try CheckpointModel.module(folder.configuration, try folder.contents()))
    } catch {
      var located = error
      located.file = error.file.map { "\(path)/\($0)" } ?? path
      throw located
    }
  }
}

/// Models of checkpoint folders: the zoo's, made as `config.json` says.
enum CheckpointModel {
  /// The program over the weights. Throws one diagnostic that lists every tensor that is missing, left over or of another shape.
  static func module(_ configuration: JsonValue, _ contents: [String: TensorContent]) throws(Diagnostic) -> Module {
    let model = try Zoo.model(configuration: try Configuration(json: configuration.text().utf8))
    var read = contents
    for (copy, original) in try TiedCopies.find(in: contents, of: model) {
      guard let content = contents[copy], let other = contents[original], content.hasSameNumbers(as: other) else {
        throw Diagnostic(
          .invalid,
          "\(copy) holds other numbers than \(original), but config.json does not say that they are two; "
            + "set 'tie_word_embeddings' to false there to keep both, or remove one", at: .tensor(copy))
      }
      read[copy] = nil
    }
    return try model.module(named: configuration["model_type"]?.text ?? "model", weights: .stored(read))
  }

  /// Writes the smaller model as a folder like the one it came from, its numbers in `config.json`; returns the bytes of its weights.
  ///
  /// Throws `refused`, and writes nothing, where the new `config.json` would describe another program than the one that was made.
  static func write(
    _ compilation: Compilation, _ folder: CheckpointFolder, to path: String, progress: (Double) -> Void
  ) throws(Diagnostic) -> Int {
    guard let solution = compilation.solution, let plan = compilation.plan else { return 0 }
    let smaller = compilation.module
    let stored = try folder.contents()
    let left = storedParts(of: smaller, stored, cutFrom: solution.module)
    let sizes = try SmallerConfiguration(
      folder.configuration, solution: solution, plan: plan, names: left.map(\.name), before: stored.keys.sorted())
    var tensors: [String: NamedTensor] = [:]
    func add(_ old: String, _ content: TensorContent) {
      let type = TensorType(content.element, content.shape.map { Extent($0) })
      tensors[old] = NamedTensor(name: sizes.name(old), type: type, content: content)
    }
    for (name, content) in left { add(name, content) }
    let model = try Zoo.model(configuration: try Configuration(json: folder.configuration.text().utf8))
    for (copy, original) in try TiedCopies.find(in: stored, of: model) { if let it = tensors[original] { add(copy, it.content) } }
    // What the program does not read goes along as it is, unless its layer is gone: tables that models keep beside their weights.
    let read = Set(storedParts(of: solution.module, stored).map(\.name))
    for (name, content) in stored where !read.contains(name) && tensors[name] == nil && sizes.isLeft(name) { add(name, content) }
    try check(smaller, tensors, sizes)
    try folder.write(tensors, configuration: sizes.configuration, to: path, progress: progress)
    return tensors.values.reduce(0) { $0 + $1.content.byteCount }
  }

  /// The parameters of a module that a folder holds, as the tensors that it has for them: the experts of a stack each by itself, counted from
  /// 0. Where a stack is cut from the stack of `original`, its parts are cut from the folder's tensors, and the stack itself is not read.
  private static func storedParts(
    of module: Module, _ stored: [String: TensorContent], cutFrom original: Module? = nil
  ) -> [(name: String, content: TensorContent)] {
    let stacks = (original?.parameters ?? []).compactMap { parameter in
      original.map { ($0[parameter.value].name, parameter.content.data) }
    }
    let whole = Dictionary(stacks.filter { $0.0.contains("*") }, uniquingKeysWith: { first, _ in first })
    return module.parameters.flatMap { parameter in
      let (name, content) = (module[parameter.value].name, parameter.content)
      let parts = NamedParameter.storedTensors(of: name, content)
      guard let data = whole[name], content.data.isIdentical(to: data), let kept = content.kept.first else { return parts }
      return zip(parts, kept ?? Array(parts.indices)).map { part, row in
        let source = stored[name.replacing("*", with: "\(row)")]
        return (part.name, source?.keeping(Array(content.kept.dropFirst())) ?? part.content)
      }
    }
    .filter { stored[$0.name] != nil }
  }

  /// A smaller folder's model with the names of the original: layers that follow dropped ones have other numbers there.
  static func withOriginalNames(
    _ smaller: Module, _ folder: CheckpointFolder, solution: Solution, plan: Plan
  ) throws(Diagnostic) -> Module {
    let stored = try folder.contents()
    let module = solution.module
    let names = storedParts(of: module, stored).map(\.name)
    let sizes = try SmallerConfiguration(
      folder.configuration, solution: solution, plan: plan, names: names, before: stored.keys.sorted())
    let originals = Dictionary(module.values.map { (sizes.name($0.name), $0.name) }, uniquingKeysWith: { first, _ in first })
    var renamed = smaller
    for index in renamed.values.indices {
      let name = renamed.values[index].name
      renamed.values[index].name = originals[name] ?? name
    }
    return renamed
  }

  /// The model that the new `config.json` describes is the one that was made.
  private static func check(
    _ smaller: Module, _ tensors: [String: NamedTensor], _ sizes: SmallerConfiguration
  ) throws(Diagnostic) {
    let contents = Dictionary(tensors.values.map { ($0.name, $0.content) }, uniquingKeysWith: { first, _ in first })
    let described: Module
    do throws(Diagnostic) { described = try module(sizes.configuration, contents) } catch {
      throw sizes.cannotSay(error.message)
    }
    var renamed = smaller
    for index in renamed.values.indices { renamed.values[index].name = sizes.name(renamed.values[index].name) }
    let weights = renamed.parameters.filter { parameter in
      NamedParameter.storedTensors(of: renamed[parameter.value].name, parameter.content).contains { contents[$0.name] != nil }
    }
    let names = Set(weights.map { renamed[$0.value].name })
    guard let difference = SameProgram.difference(renamed, described, weights: names) else { return }
    // Models leave out operations that do nothing at some sizes, such as repeating keys once: then the numbers decide.
    if try !computeSame(renamed, described) { throw sizes.cannotSay(difference) }
  }

  /// True where two models give the same outputs for random inputs, to rounding.
  private static func computeSame(_ one: Module, _ other: Module) throws(Diagnostic) -> Bool {
    let symbols = Set(one.inputs.flatMap { one[$0].type.shape.flatMap(\.symbols) })
    let extents = Dictionary(symbols.map { ($0, 7) }, uniquingKeysWith: { first, _ in first })
    let inputs = try RandomInputs.values(of: one, extents: extents, seed: 0)
    func outputs(_ module: Module) throws(Diagnostic) -> [RuntimeValue] {
      var run = try Stepper(module, source: nil, inputs: inputs, threads: 1)
      return try run.outputs()
    }
    let (mine, its) = (try outputs(one), try outputs(other))
    return zip(mine, its).allSatisfy { mine, its in
      guard let mine = mine.tensor, let its = its.tensor else { return false }
      return Proof.relativeError(mine, its) <= 1e-5
    }
  }
}
