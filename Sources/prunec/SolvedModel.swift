import Graph
import Passes

/// A model and its groups: what `groups`, `explain` and `dot` look at.
struct SolvedModel {
  let file: ModelFile
  let solution: Solution
  /// Blocks that a plan drops before groups are found, and the module without them.
  let drop: (depth: Depth, remaining: Module)?

  /// Reads a model and finds its groups; those of what is left, where a plan drops blocks.
  static func read(_ path: String, _ console: Console, plan: PlanFile? = nil) throws(Diagnostic) -> SolvedModel {
    let progress = ProgressBar(console)
    defer { progress.finish() }
    progress.report("reading \(path)")
    let file = try ModelReader.read(path)
    var options = CompileOptions()
    options.progress = { progress.report($0, $1 > 0 ? $1 : nil) }
    options.plan = plan
    var compilation = Compilation(file.module, options: options)
    do throws(Diagnostic) {
      try Pipeline.run([Pipeline.dropBlocks] + Pipeline.solve, on: &compilation)
    } catch {
      throw error.inFile(path)
    }
    guard let solution = compilation.solution else { throw Diagnostic(.invalid, "could not be solved", file: path) }
    let drop = compilation.depth.flatMap { depth in compilation.remaining.map { (depth, $0) } }
    return SolvedModel(file: file, solution: solution, drop: drop)
  }
}

/// How reports call what a solution has.
struct SolutionNames {
  let solution: Solution
  private let originals: [ValueID: ValueID]

  init(_ solution: Solution) {
    self.solution = solution
    var originals = solution.module.clones
    for parameter in solution.module.parameters { if let original = parameter.copyOf { originals[parameter.value] = original } }
    self.originals = originals
  }

  /// Copies that prunec made of shared parameters, and the names of what they copy.
  var copies: [(copy: String, original: String)] {
    let module = solution.module
    return originals.map { (copy: module[$0.key].name, original: module[$0.value].name) }.sorted { $0.copy < $1.copy }
  }

  /// A value as the file calls it: a copy has the name of its original.
  func name(_ value: ValueID) -> String { Wording.name(solution.module[originals[value] ?? value].name) }

  /// `blocks.0.attn.qkv.weight:0`.
  func axis(_ value: ValueID, _ axis: Int) -> String { "\(name(value)):\(axis)" }

  /// Operator and name of a node: `reshape /blocks.0/attn/Reshape`.
  func node(_ index: Int) -> String {
    let node = solution.module.nodes[index]
    return "\(node.operation.textName) \(Wording.name(solution.module.label(of: node)))"
  }

  /// The first few of some texts without repetition, and how many more there are.
  static func few(_ texts: [String], _ limit: Int) -> String {
    var seen: Set<String> = []
    let unique = texts.filter { seen.insert($0).inserted }
    if unique.count <= limit { return unique.joined(separator: ", ") }
    return unique.prefix(limit).joined(separator: ", ") + " and \(Wording.count(unique.count - limit)) more"
  }
}

extension GroupKind {
  /// What its indices are, for several of them.
  var nouns: String {
    switch self {
    case .heads: "attention heads"
    case .queries: "queries that share a key-value group"
    case .headDims: "dims inside a head"
    case .hidden: "hidden units"
    case .width: "channels of a residual stream or a norm"
    case .groups: "groups of a grouped convolution"
    case .normGroups: "groups of a group norm"
    case .experts: "experts"
    case .tokens: "positions"
    case .channels: "channels"
    }
  }
}
