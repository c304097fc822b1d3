/// What the command can do. The first argument says which; `compile` may be left out.
enum Verb: String, CaseIterable, Sendable {
  case compile, sweep, groups, stats, masks, explain, dot, print
  case verifyDimensions = "verify-dimensions"
  case run, bench, verify, differentiate, convert, trace, completions, help

  /// What it does, in one line.
  var summary: String {
    switch self {
    case .compile: "make a smaller model"
    case .sweep: "compare criteria at several ratios: quality against size, nothing written but a report"
    case .groups: "list every group of indices that can be pruned, and what cannot be, with the reason"
    case .stats: "say which numbers are zero: by tensor, and which channels, heads or units a mask really emptied"
    case .masks: "write what would go as masks of zeros and ones, for a training loop that prunes bit by bit"
    case .explain: "say how a tensor's axes are made, what they are tied to and why they stay"
    case .dot: "draw the graph for Graphviz, coloured by group"
    case .print: "show the model as text"
    case .verifyDimensions: "infer every type again and compare it with what the file states"
    case .run: "execute the model, and show or write its outputs"
    case .bench: "time the model, alone or beside another"
    case .verify: "run a smaller model beside its original, restricted to what the plan keeps, and compare"
    case .differentiate: "make a model that computes the gradients of a loss by the parameters"
    case .convert: "write the model in another format, nothing pruned"
    case .trace: "make a model that is written in Swift, by name"
    case .completions: "print a completion script for a shell"
    case .help: "explain a verb"
    }
  }

  /// The arguments that are no options.
  var operands: [Operand] {
    switch self {
    case .compile, .sweep, .groups, .stats, .masks, .dot, .print, .verifyDimensions, .run, .bench, .differentiate, .convert:
      [.model]
    case .verify: [.model, .smaller]
    case .explain: [.model, .tensor]
    case .trace: [.traced]
    case .completions: [.shell]
    case .help: [.verb]
    }
  }

  /// How a call looks, without the command's name.
  var usage: String {
    switch self {
    case .compile: "[compile] MODEL -o SMALLER [options]"
    case .sweep: "sweep MODEL --ratios 0.1,0.3,0.5 [--criteria l1,l2] [--data X.npz] [--report R.html]"
    case .groups: "groups MODEL [--json]"
    case .stats: "stats MODEL [--masks M.safetensors] [--json]"
    case .masks: "masks MODEL -o M.safetensors [--ratio 0.5] [options]"
    case .explain: "explain MODEL TENSOR[:AXIS] [--json]"
    case .dot: "dot MODEL [-o FILE.dot]"
    case .print: "print MODEL"
    case .verifyDimensions: "verify-dimensions MODEL [--json]"
    case .run: "run MODEL [--inputs X.npz] [--outputs Y.npz] [options]"
    case .bench: "bench MODEL [--vs OTHER] [--threads N] [--json]"
    case .verify: "verify MODEL SMALLER --plan P.json [--inputs X.npz]"
    case .differentiate: "differentiate MODEL --loss LOSS [--of OUTPUT] [-o GRADIENT]"
    case .convert: "convert MODEL -o OTHER"
    case .trace: "trace NAME|config.json [-o FILE] [--seed N | --weights FILE] | --list"
    case .completions: "completions bash|zsh|fish"
    case .help: "help [VERB]"
    }
  }

  /// What a newcomer should know, in a few lines.
  var details: String {
    switch self {
    case .compile:
      """
      Finds the dependency groups of MODEL, removes the least useful indices of each (half of them unless told otherwise),
      and writes the same program with smaller tensors. MODEL is an .onnx or .ir file, or a checkpoint
      folder; the ending of SMALLER chooses its format, and without one a folder becomes a folder. Inputs and outputs keep their shapes,
      so the result is a drop-in replacement. Give samples with --data to keep accuracy, or fine-tune the result to win it back.
      """
    case .sweep:
      """
      Compiles MODEL in memory once for every criterion and ratio and compares the outputs with the original's on samples that
      nothing was fitted to: the share of the outputs' energy that is lost, how often the largest output stays at its place where outputs
      look like scores of classes, and accuracy where the data have labels. Without --data, inputs are random, which says little about
      what the model is good for.
      """
    case .groups:
      """
      A group is a set of indices that go or stay together wherever they occur: the channels of a residual stream, the heads of
      an attention. Each line names a group, its kind, how many indices it has, and the axes of parameters that carry it.
      Below stands what is frozen, by which node, and how many parameters that concerns.
      """
    case .stats:
      """
      Counts the zeros of every parameter, and says for each group of indices (channels, heads, hidden units) which of them are zero
      throughout: only these can be removed to any gain, scattered zeros cost as much as other numbers. Masks of PyTorch's pruning
      (X_orig with X_mask) are multiplied out first.
      """
    case .masks:
      """
      Chooses as compile does, by the same options, but removes nothing: M.safetensors holds, for every parameter that would lose something,
      a tensor of the same name and shape (f32) with 1 for what stays and 0 for what goes. A head, channel or hidden unit is masked as a
      whole, in every weight, bias and norm that carries it. --pattern masks single numbers instead, which no tool can shrink away.
      In PyTorch: masks = safetensors.torch.load_file("M.safetensors"), and after every step of the optimiser
      for name, p in model.named_parameters(): p.data.mul_(masks.get(name, 1)).
      """
    case .explain:
      """
      Prints the layout of each axis (or of one), every group in it with the other axes it is tied to and the nodes that tie them,
      and the parts that keep all their indices with the reason. The name of a group works too: it lists where the group occurs.
      """
    case .dot:
      """
      Nodes are clustered by block and edges carry types; axes that share a group share a colour.
      """
    case .print:
      """
      The text can be read back: every verb takes it as a model. Weights are left out, apart from small ones.
      """
    case .verifyDimensions:
      """
      Infers every type from the inputs and parameters alone, and checks each operator's own conditions on the way.
      Exit code 0 when everything agrees, 1 with a list of what does not.
      """
    case .run:
      """
      X.npz holds an array NAME or in.NAME for every input of the model (numpy.savez writes such files); without --inputs, inputs are
      random, with length 1 for symbolic extents unless --dim says otherwise. Y.npz gets an array out.NAME for every output.
      """
    case .bench:
      """
      Runs the model for about two seconds and gives the median time of a run with the tenth and ninetieth percentile.
      With --vs, the two models take turns, so that what else the machine does disturbs both alike.
      """
    case .verify:
      """
      In the original, every product, mean, norm, softmax and pooling runs over the indices that the plan keeps; its outputs, and every
      value inside, must be those of SMALLER, and each of SMALLER's numbers must be the original's, bit for bit. Inputs are random
      unless given. Exit code 1 when something differs.
      """
    case .differentiate:
      """
      The result is a model like any other: it takes the inputs of MODEL, and those of the loss (labels for cross-entropy, target for mse,
      target.OUTPUT for distortion), and gives out the loss and an array grad.NAME for every parameter NAME. It runs with 'prunec run'.
      Without -o it is printed as text. An operator that lets no gradient pass is an error that names it.
      """
    case .convert:
      """
      .onnx to .ir and back. The .ir is a safetensors file: its tensors are the parameters, its metadata carries the program.
      What came from ONNX goes back to ONNX with every name, attribute and doc string it had.
      """
    case .trace:
      """
      NAME is one of the models that --list names, in its published size; a config.json gives the sizes of a checkpoint. Weights are
      random, or those of a safetensors file, which must hold every tensor of the model and no other. Without -o the program is
      printed as text, without weights.
      """
    case .completions:
      """
      bash: prunec completions bash > ~/.local/share/bash-completion/completions/prunec
      zsh:  prunec completions zsh > ~/.zfunc/_prunec   (with ~/.zfunc in $fpath)
      fish: prunec completions fish > ~/.config/fish/completions/prunec.fish
      """
    case .help: "Without a verb: an overview."
    }
  }

  /// True where the lines of `details` are commands, to be left as they are.
  var hasExactLines: Bool { self == .completions }

  /// One call worth copying, and what it does.
  var example: (call: String, meaning: String) {
    switch self {
    case .compile:
      (
        "prunec resnet50.onnx -o small.onnx --ratio 0.3 --ignore conv1",
        "removes 30 % of the channels of every group but those of conv1, and prints what that did to size and cost"
      )
    case .sweep:
      (
        "prunec sweep vit.onnx --ratios 0.1,0.3,0.5 --data images.npz --report sweep.html",
        "draws how much of vit.onnx's quality is left at three sizes, for every way of choosing and compensating"
      )
    case .groups: ("prunec groups vit.onnx", "lists heads, hidden units and widths of vit.onnx, and what is frozen")
    case .stats:
      ("prunec stats lenet.onnx", "says how many numbers of each layer are zero, and whether any channel is empty")
    case .masks:
      (
        "prunec masks vit.onnx -o heads.safetensors --kinds heads --ratio 0.5",
        "masks half of the heads of every attention of vit.onnx, and shrinks nothing"
      )
    case .explain:
      (
        "prunec explain vit.onnx blocks.0.attn.qkv.weight:0",
        "says that axis 0 is product(3, heads, dims), and which other weights lose a head with it"
      )
    case .dot: ("prunec dot vit.onnx -o vit.dot && dot -Tsvg vit.dot > vit.svg", "draws vit.onnx")
    case .print: ("prunec print lenet.onnx | less", "shows every node of lenet.onnx with the types it makes")
    case .verifyDimensions: ("prunec verify-dimensions small.onnx && echo fine", "checks a model that some tool has edited")
    case .run:
      (
        "prunec run vit.onnx --inputs x.npz --outputs y.npz",
        "executes vit.onnx on the arrays of x.npz and writes what it returns"
      )
    case .bench:
      ("prunec bench small.onnx --vs vit.onnx --threads 1", "says how many times faster small.onnx is than vit.onnx")
    case .verify:
      ("prunec verify vit.onnx small.onnx --plan plan.json", "proves that small.onnx is what plan.json makes of vit.onnx")
    case .differentiate:
      (
        "prunec differentiate lenet.onnx --loss cross-entropy -o gradient.onnx",
        "writes a model that takes images and labels, and returns the gradient of every weight"
      )
    case .convert: ("prunec convert vit.onnx -o vit.ir", "writes vit.onnx as one safetensors file")
    case .trace:
      ("prunec trace resnet18 -o resnet18.onnx", "writes ResNet-18 with random weights")
    case .completions: ("source <(prunec completions bash)", "completes verbs, options and files in this shell")
    case .help: ("prunec help explain", "says how to use explain")
    }
  }
}

/// An argument that is no option.
enum Operand: Sendable {
  case model, smaller, tensor, traced, shell, verb

  /// What usage lines call it.
  var placeholder: String {
    switch self {
    case .model: "MODEL"
    case .smaller: "SMALLER"
    case .tensor: "TENSOR[:AXIS]"
    case .traced: "NAME"
    case .shell: "bash|zsh|fish"
    case .verb: "VERB"
    }
  }
}

/// Shells that completions are written for.
enum Shell: String, CaseIterable, Sendable {
  case bash, zsh, fish
}
