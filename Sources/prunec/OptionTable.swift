import Passes
import Runtime

/// Every option of the command: this table drives parsing, help and completions.
enum Option: CaseIterable, Sendable, Hashable {
  case output, ratio, maxRatio, keepParams, keepFlops, keepLatency, keepMemory
  case roundTo, minKeep, uniform, scope, criterion, aggregate, normalise, loss, of
  case only, ignore, kinds, noVary, noRotate
  case dropBlocks, keepDepth, data, compensate, blocks
  case removeZeros, masks, scoreBy, pattern, global
  case plan, apply, report, strict, dryRun
  case ratios, criteria
  case inputs, outputs, dimension, seed, threads, profile, maxIterations, versus
  case check, noCheck, tolerance
  case weights, list, table
  case json, quiet, timing, printAfter, stopAfterEdit
  case help, version

  /// Another word for the criterion l1, which pruning without structure uses.
  static let magnitude = "magnitude"

  /// Names, argument and meaning.
  var entry: OptionEntry {
    switch self {
    case .output:
      OptionEntry(
        "--output", ["-o"], .file("FILE"),
        "where the result goes; its ending (.onnx, .ir) is its format; without one, a folder like the input")
    case .ratio:
      OptionEntry(
        "--ratio", ["--pruning-ratio"], .text("[PATTERN=]R"), isList: true,
        "share of every group's indices to remove, 0 to below 1 (0.5); with a pattern, for the groups and tensors it matches")
    case .maxRatio: OptionEntry("--max-ratio", [], .text("R"), "no group loses a larger share than this")
    case .keepParams: OptionEntry("--keep-params", [], .text("S"), "keep this share of the parameters, instead of a ratio")
    case .keepFlops: OptionEntry("--keep-flops", [], .text("S"), "keep this share of the multiply-adds, instead of a ratio")
    case .keepLatency:
      OptionEntry(
        "--keep-latency", [], .text("S"),
        "keep this share of the time that a run takes on this machine, measured; inputs as in --inputs, else one sample of --data, else "
          + "random ones")
    case .keepMemory:
      OptionEntry(
        "--keep-memory", [], .text("S"),
        "keep this share of the memory that a run takes: weights, and what lies between the layers")
    case .table:
      OptionEntry(
        "--table", [], .none, "measure how long products of matrices take here, as a budget of time wants to know, and show it")
    case .roundTo:
      OptionEntry(
        "--round-to", [], .text("N"),
        "round counts to multiples of N (8 for channels, hidden and width groups of 64 or more; 1: no rounding)")
    case .minKeep: OptionEntry("--min-keep", [], .text("N"), "no group keeps fewer indices than N (1)")
    case .uniform:
      OptionEntry(
        "--uniform", [], .none, "groups of equal structure keep equally many indices (always so for checkpoint folders)")
    case .scope:
      OptionEntry(
        "--scope", [], .choice("SCOPE", Scope.allCases.map(\.rawValue)),
        "who competes: each group by itself (local), all together (global), those of equal structure (isomorphic)")
    case .criterion:
      OptionEntry(
        "--criterion", [], .choice("NAME", Criterion.allCases.map(\.rawValue) + [Option.magnitude]),
        "what makes an index worth keeping (l2); magnitude is l1, remain counts the numbers that are not zero")
    case .aggregate:
      OptionEntry(
        "--aggregate", [], .choice("HOW", ScoreAggregation.allCases.map(\.rawValue)),
        "how the figures that an index has in several weights become one (mean)")
    case .normalise:
      OptionEntry(
        "--normalise", ["--normalize"], .choice("HOW", ScoreNormalisation.allCases.map(\.rawValue)),
        "how the figures of a group are made comparable with those of others (mean)")
    case .loss:
      OptionEntry(
        "--loss", [], .choice("LOSS", Loss.names.map(\.name)),
        "what criteria of gradients differentiate (cross-entropy with labels, next-token for language models, else sum-squares)")
    case .of: OptionEntry("--of", [], .text("OUTPUT"), "the output that the loss is of (the first real one)")
    case .seed: OptionEntry("--seed", [], .text("N"), "seed of everything random (0)")
    case .only:
      OptionEntry("--only", [], .text("GLOB,.."), isList: true, "prune only groups that match, by their own name or a tensor's")
    case .ignore:
      OptionEntry("--ignore", ["--ignored-layers"], .text("GLOB,.."), isList: true, "leave groups that match as they are")
    case .kinds:
      OptionEntry(
        "--kinds", [], .choices("KIND,..", ["all"] + GroupKind.allCases.map(\.rawValue)), isList: true,
        "prune groups of these kinds, instead of the default choice")
    case .noVary:
      OptionEntry(
        "--no-vary", [], .none, "keep the same indices everywhere, where heads or groups of channels could keep some of their own"
      )
    case .noRotate:
      OptionEntry(
        "--no-rotate", [], .none, "with --data, cut dims inside heads where they stand, instead of sorting them by worth first")
    case .dropBlocks:
      OptionEntry(
        "--drop-blocks", [], .text("LIST"), isList: true,
        "drop residual blocks by number (4), range (3-7), layer (L2, L2-L5) or the name of their sum (a glob); nothing else goes "
          + "unless a ratio or share is given")
    case .keepDepth:
      OptionEntry(
        "--keep-depth", [], .text("S"),
        "keep so many whole layers (12), or this share of them (0.75): those that do most; nothing else goes unless a ratio or share "
          + "is given")
    case .data:
      OptionEntry(
        "--data", [], .file("X.npz"),
        "samples of what the model will see: an array for every input (NAME or in.NAME), the first axis counting samples; weights are "
          + "then fitted anew to what is left of their inputs, and layers judged by how they turn the stream")
    case .compensate:
      OptionEntry(
        "--compensate", [], .choice("HOW", Compensation.allCases.map(\.rawValue)),
        "with --data, what is done for layers that lose inputs: nothing (none), their mean goes into the bias (bias), weights are fitted "
          + "anew (ridge), and what goes is what can be made up for best (obs); auto tries them on held-back data (auto)")
    case .blocks: OptionEntry("--blocks", [], .none, "list residual blocks and layers, which compile can drop")
    case .scoreBy:
      OptionEntry(
        "--score-by", [], .text("GLOB,.."), isList: true,
        "weights that decide what a group's indices are worth (all that carry it), such as '*attn.qkv*'")
    case .pattern:
      OptionEntry(
        "--pattern", [], .text("unstructured|N:M"),
        "mask single numbers instead of whole indices: the smallest share of each weight, or all but N of every M inputs (2:4)")
    case .global: OptionEntry("--global", [], .none, "with --pattern unstructured: the smallest of all weights together")
    case .removeZeros:
      OptionEntry(
        "--remove-zeros", [], .none,
        "remove what adds nothing, and that alone: indices that masks or training set to zero, so that the outputs stay as they are"
      )
    case .masks:
      OptionEntry(
        "--masks", [], .file("M.safetensors"),
        "multiply parameters by these masks first: tensors NAME or NAME_mask of zeros and ones, or NAME_orig and NAME_mask")
    case .plan:
      OptionEntry("--plan", [], .file("OUT.json"), "write which indices were kept, and how every tensor is made of them")
    case .apply: OptionEntry("--apply", [], .file("IN.json"), "carry out a plan instead of choosing")
    case .report:
      OptionEntry(
        "--report", [], .file("R.html"),
        "write a page to look at in a browser: sizes and latency before and after, widths, scores with the cut, the graph")
    case .ratios:
      OptionEntry(
        "--ratios", [], .text("R,.."), isList: true,
        "shares of every group's indices to remove, one compile for each (0.1,0.3,0.5)")
    case .criteria:
      OptionEntry(
        "--criteria", [], .choices("NAME,..", Criterion.allCases.map(\.rawValue)), isList: true,
        "criteria to compare (l2; with --data, every way of compensating beside them, unless --compensate names one)")
    case .strict: OptionEntry("--strict", [], .none, "write nothing, and exit with 1, when anything had to be given up")
    case .dryRun: OptionEntry("--dry-run", [], .none, "everything but writing the model and the plan")
    case .inputs: OptionEntry("--inputs", [], .file("X.npz"), "an array for every input (NAME or in.NAME; random ones without)")
    case .outputs: OptionEntry("--outputs", [], .file("Y.npz"), "where the outputs go, as arrays out.NAME")
    case .dimension:
      OptionEntry("--dim", [], .text("NAME=N"), isList: true, "length of a symbolic extent, for inputs made up (1)")
    case .check:
      OptionEntry(
        "--check", [], .none, "run original and result, and compare (as is done anyway for models below 1 GB)")
    case .noCheck: OptionEntry("--no-check", [], .none, "do not run the models to compare them")
    case .tolerance: OptionEntry("--tolerance", [], .text("E"), "largest relative error that counts as rounding (0.0001)")
    case .threads: OptionEntry("--threads", [], .text("N"), "threads to compute with (one per processor)")
    case .profile: OptionEntry("--profile", [], .none, "run a few times, and say where the time goes")
    case .versus: OptionEntry("--vs", [], .file("OTHER"), "time another model in turns with this one, and compare")
    case .maxIterations:
      OptionEntry("--max-iterations", [], .text("N"), "turns after which a loop of the model is given up (1000000)")
    case .weights: OptionEntry("--weights", [], .file("W.safetensors"), "the numbers of the parameters, instead of random ones")
    case .list: OptionEntry("--list", [], .none, "name all models, with a line each")
    case .json: OptionEntry("--json", [], .none, "report as JSON on standard output")
    case .quiet: OptionEntry("--quiet", ["-q"], .none, "no progress and no summary: errors, and what was asked for")
    case .timing: OptionEntry("--timing", [], .none, "say on standard error how long each pass took")
    case .printAfter:
      OptionEntry(
        "--print-after", [], .choice("PASS", ["all"] + Pipeline.compile.map(\.name) + Lowering.stages.map(\.name)),
        "show the model as text after a pass")
    case .stopAfterEdit:
      OptionEntry("--stop-after-edit", [], .text("N"), "stop rewriting after N edits, to find the one that is wrong")
    case .help: OptionEntry("--help", ["-h"], .none, "this text")
    case .version: OptionEntry("--version", [], .none, "the version of prunec")
    }
  }

  /// The entry as a verb's help shows it.
  func entry(for verb: Verb) -> OptionEntry {
    if self == .plan, verb == .verify {
      return OptionEntry("--plan", [], .file("P.json"), "the plan by which SMALLER was made")
    }
    if self == .data, verb == .sweep {
      return OptionEntry(
        "--data", [], .file("X.npz"),
        "samples of what the model will see, an array for every input, and labels where there are some: a fifth is held back, and quality "
          + "is measured on it")
    }
    if self == .report, verb == .sweep {
      return OptionEntry("--report", [], .file("R.html"), "write a page with quality drawn against size, a line per criterion")
    }
    if self == .data, verb == .groups {
      return OptionEntry(
        "--data", [], .file("X.npz"),
        "with --blocks: an array for every input (NAME or in.NAME), to say how far each block turns the stream")
    }
    if self == .dimension, verb == .verify {
      return OptionEntry(
        "--dim", [], .text("NAME=N"), isList: true, "length of a symbolic extent, for inputs made up (some are tried)")
    }
    if self == .data, verb == .masks {
      return OptionEntry("--data", [], .file("X.npz"), "samples that criteria of gradients, such as saliency, go by")
    }
    if self == .output, verb == .masks {
      return OptionEntry("--output", ["-o"], .file("M.safetensors"), "where the masks go, one tensor of f32 for each parameter")
    }
    if self == .loss, verb == .differentiate {
      return OptionEntry("--loss", [], .choice("LOSS", Loss.names.map(\.name)), "what is differentiated")
    }
    if self == .only, verb == .differentiate {
      return OptionEntry("--only", [], .text("GLOB,.."), isList: true, "differentiate by the parameters that match (all)")
    }
    if self == .dimension, verb == .differentiate {
      return OptionEntry("--dim", [], .text("NAME=N"), isList: true, "fix a symbolic extent of the inputs")
    }
    if self == .seed, verb == .trace { return OptionEntry("--seed", [], .text("N"), "seed of random weights (0)") }
    if self == .seed, verb != .compile, verb != .masks, verb != .sweep {
      return OptionEntry("--seed", [], .text("N"), "seed of inputs made up, and of what the model draws at random (0)")
    }
    return entry
  }

  /// Verbs that take the option.
  var verbs: [Verb] {
    switch self {
    case .output: [.compile, .masks, .dot, .differentiate, .convert, .trace]
    case .weights, .list: [.trace]
    case .report: [.compile, .sweep]
    case .ratios, .criteria: [.sweep]
    case .seed: [.compile, .sweep, .masks, .run, .bench, .verify, .trace]
    case .plan: [.compile, .verify]
    case .inputs: [.compile, .run, .bench, .verify]
    case .threads: [.compile, .sweep, .run, .bench, .verify]
    case .dimension: [.run, .bench, .verify, .differentiate]
    case .only: [.compile, .sweep, .masks, .differentiate]
    case .loss, .of: [.compile, .sweep, .masks, .differentiate]
    case .maxIterations: [.run, .bench]
    case .check, .noCheck: [.compile]
    case .tolerance: [.verify]
    case .outputs, .profile: [.run]
    case .versus: [.bench]
    case .table: [.bench]
    case .maxRatio, .roundTo, .minKeep, .uniform, .scope, .aggregate, .normalise, .ignore, .kinds, .noVary:
      [.compile, .sweep, .masks]
    case .ratio, .keepParams, .keepFlops, .criterion, .apply, .scoreBy: [.compile, .masks]
    case .compensate, .noRotate: [.compile, .sweep]
    case .keepLatency, .keepMemory, .strict, .dryRun, .stopAfterEdit, .dropBlocks, .keepDepth, .removeZeros:
      [.compile]
    case .data: [.compile, .sweep, .groups, .masks]
    case .masks: [.compile, .stats, .masks]
    case .pattern, .global: [.masks]
    case .blocks: [.groups]
    case .printAfter: [.compile, .run]
    case .json: [.compile, .sweep, .groups, .stats, .masks, .explain, .verifyDimensions, .bench, .verify]
    case .quiet:
      [
        .compile, .sweep, .groups, .stats, .masks, .explain, .dot, .print, .verifyDimensions, .run, .bench, .verify,
        .differentiate,
        .convert, .trace,
      ]
    case .timing: [.compile]
    case .help: Verb.allCases
    case .version: []
    }
  }

  /// Under which heading a verb's help shows it.
  func section(for verb: Verb) -> OptionSection {
    switch self {
    case .plan where verb == .verify, .seed where verb != .compile && verb != .masks && verb != .sweep: .running
    case .ratio, .ratios, .maxRatio, .keepParams, .keepFlops, .keepLatency, .keepMemory, .roundTo, .minKeep, .uniform, .keepDepth:
      .howMuch
    case .data where verb == .groups, .blocks: .report
    case .scope, .criterion, .criteria, .aggregate, .normalise, .loss, .of, .seed, .only, .ignore, .kinds, .noVary, .dropBlocks,
      .data,
      .compensate, .noRotate, .removeZeros, .scoreBy, .pattern, .global:
      .what
    case .output, .plan, .apply, .report, .strict, .dryRun, .weights, .masks: .files
    case .inputs, .outputs, .dimension, .threads, .profile, .maxIterations, .versus, .check, .noCheck, .tolerance: .running
    case .json, .quiet, .timing, .list, .table, .printAfter, .stopAfterEdit, .help, .version: .report
    }
  }

  /// The option with a name or alias.
  static func named(_ name: String) -> Option? { byName[name] }

  private static let byName: [String: Option] = Dictionary(
    allCases.flatMap { option in option.entry.names.map { ($0, option) } }, uniquingKeysWith: { first, _ in first })
}

/// Headings of the options in a verb's help.
enum OptionSection: String, CaseIterable {
  case files = "Output"
  case running = "Running and comparing"
  case howMuch = "How much goes"
  case what = "What goes"
  case report = "Reporting"
}

/// One line of the option table.
struct OptionEntry {
  /// What follows an option.
  enum Argument {
    case none
    /// Any text, by the name that help gives it.
    case text(String)
    /// The path of a file.
    case file(String)
    /// One of some words.
    case choice(String, [String])
    /// Some of some words, between commas.
    case choices(String, [String])

    /// What help calls it.
    var placeholder: String? {
      switch self {
      case .none: nil
      case .text(let name), .file(let name), .choice(let name, _), .choices(let name, _): name
      }
    }
  }

  /// Its name, with dashes.
  let name: String
  /// Other names.
  let aliases: [String]
  /// What follows it.
  let argument: Argument
  /// May be given several times.
  let isList: Bool
  /// What it does, in one line; defaults in parentheses.
  let meaning: String

  init(_ name: String, _ aliases: [String], _ argument: Argument, isList: Bool = false, _ meaning: String) {
    self.name = name
    self.aliases = aliases
    self.argument = argument
    self.isList = isList
    self.meaning = meaning
  }

  /// All names, short ones first.
  var names: [String] { (aliases + [name]).sorted { $0.count < $1.count } }
}
