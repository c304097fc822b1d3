/// A layout, as a handle: how an axis is made of groups. Only the solver that gave it out can read it.
public struct Layout: Hashable, Sendable {
  /// Position in the solver's table.
  public let index: Int32
  /// A handle for a position in a solver's table.
  public init(index: Int32) { self.index = index }
}

/// Why an axis loses nothing, or why a solver could not follow it. The node that caused it is kept beside it.
public enum Reason: Hashable, Sendable {
  /// The axis belongs to an input or output of the model, which stay as they are.
  case interface(String)
  /// The operator mixes neighbours along the axis (windows of convolutions and pools, interpolation, local norms).
  case neighbourhood
  /// The order of indices along the axis matters (cumulative sums, recurrences over time, sorting).
  case order
  /// Which indices are read is decided by data when the model runs.
  case indexedByData
  /// The extents on the two sides have no common factor structure: 6·4 against 4·6.
  case doesNotFactor
  /// A cut falls inside a block of a product.
  case cutInsideBlock
  /// Parts of a concatenation meet blocks of a product at other places.
  case runOfParts
  /// The operator is unknown to prunec (or control flow), so everything it touches stays.
  case opaque(String)
  /// The axis has a length that is fixed by the model's structure (a qkv of three, a constant count of positions).
  case structure
  /// The length is known only when the model runs.
  case dynamic
  /// Positions along the axis leave the graph or are used as numbers.
  case positionsEscape
  /// Positions along the axis are an output of the model.
  case positionsReturned(String)
  /// It decides a length that the model takes to be what it was on the exporter's example.
  case boundToExample
  /// The tensor stores packed or otherwise encoded numbers that cannot be sliced here.
  case encoded
  /// The pieces were selected one by one, so none may go.
  case selected
  /// The sizes on the two sides could not be compared.
  case incomparable
  /// The axis is not supported by the rule of this operator, with what is missing.
  case unsupported(String)
  /// The user asked for it (`--ignore`).
  case ignored(String)
}

extension Reason: CustomStringConvertible {
  /// A clause that completes "… because …", for a person who has not read the solver.
  public var description: String {
    switch self {
    case .interface(let name): "it is part of the interface: \(name)"
    case .neighbourhood: "neighbouring positions are mixed along it"
    case .order: "the order along it matters"
    case .indexedByData: "it is indexed by data"
    case .doesNotFactor: "it does not factor the same way on both sides"
    case .cutInsideBlock: "it is cut inside a block"
    case .runOfParts: "parts of a concatenation straddle its blocks"
    case .opaque(let name): "it meets \(name), an operator prunec does not know"
    case .structure: "its length is part of the model's structure"
    case .dynamic: "its length is known only when the model runs"
    case .positionsEscape: "positions along it are used as numbers"
    case .positionsReturned(let name): "positions along it are returned: output \(name)"
    case .boundToExample: "it decides a length that the export fixed to what its example showed: export with dynamic lengths"
    case .encoded: "it is stored packed"
    case .selected: "its indices are picked one by one"
    case .incomparable: "its symbolic sizes cannot be compared"
    case .unsupported(let what): what
    case .ignored(let pattern): "it was left out by --ignore \(pattern)"
    }
  }
}

/// What an operator tells about the part that a layout plays in it; kinds of groups (heads, hidden, …) follow from these.
public enum AxisRole: Hashable, Sendable {
  /// A batch axis of a product of two activations: attention heads.
  case batchOfActivations
  /// Contracted between two activations: query and key dims.
  case contractedActivations
  /// An axis of one factor of a product of two activations that is free and reaches the result: value dims.
  case freeOfActivations
  /// Written by a linear layer: the output axis of its weight.
  case linearOutput
  /// Read by a linear layer: the contracted axis of its weight.
  case linearInput
  /// Written by a convolution.
  case convolutionOutput
  /// Read by a convolution.
  case convolutionInput
  /// The count of groups of a grouped convolution or of a block-diagonal product.
  case groups
  /// A channel inside a group of a grouped convolution.
  case insideGroup
  /// The normalised axis of a layer or RMS norm.
  case layerNormalised
  /// The groups of a group norm.
  case normGroups
  /// The channels inside a group of a group norm.
  case insideNormGroup
  /// Made by repeating (expand of 1 to n): queries of a key-value group, when part of heads.
  case repeated
  /// An axis of both operands of an addition of two activations: residual sums.
  case residual
  /// Positions of top-k or arg-max range over it.
  case codomain
  /// Hidden units of a recurrence.
  case recurrentHidden
  /// The rows of a table that is read by constant or data positions.
  case tableRows
}

/// What an axis rule may ask of the solver while one node is looked at. A layout handed in or out may be bound to more structure at
/// any later call; the solver resolves it by itself.
public protocol AxisSolver: AnyObject {
  /// The node whose rule is running.
  var node: Node { get }
  /// Version of the operator set that the node's domain has in this module.
  var opset: Int { get }

  /// Type of an operand; nil when it is left out.
  func type(ofInput index: Int) -> TensorType?
  /// Type of a result; nil when nobody asked for it.
  func type(ofOutput index: Int) -> TensorType?
  /// What is known of an operand's numbers.
  func known(ofInput index: Int) -> KnownValue?
  /// What is known of a result's numbers.
  func known(ofOutput index: Int) -> KnownValue?
  /// True when the operand follows from parameters alone.
  func isParameterOnly(input index: Int) -> Bool
  /// True when the operand is itself a parameter.
  func isParameter(input index: Int) -> Bool
  /// Layouts of an operand's axes, outermost first; empty when it is left out.
  func axes(ofInput index: Int) -> [Layout]
  /// Says how the axes of a result are made; one layout per axis of its type. Every result must be given exactly once.
  func setAxes(ofOutput index: Int, _ layouts: [Layout])
  /// What the (integer) numbers of an operand range over: positions along that axis.
  func codomain(ofInput index: Int) -> Layout?
  /// Says that the numbers of a result are positions along an axis with this layout.
  func setCodomain(ofOutput index: Int, _ layout: Layout)

  /// A new group of that many indices; a fixed extent where the number is symbolic or 1.
  func fresh(_ extent: Extent) -> Layout
  /// A part that keeps all its indices, with the reason.
  func fixed(_ extent: Extent, _ reason: Reason) -> Layout
  /// Row-major product, outermost first.
  func product(_ factors: [Layout]) -> Layout
  /// Concatenation in order.
  func sum(_ parts: [Layout]) -> Layout
  /// The number of indices a layout stands for.
  func extent(_ layout: Layout) -> Extent

  /// Makes two layouts of equal extent the same; what cannot be made the same is frozen with a reason. Never fails.
  func unify(_ a: Layout, _ b: Layout)
  /// Keeps all indices of all groups in a layout.
  func freeze(_ layout: Layout, _ reason: Reason)
  /// Cuts a layout at ascending positions strictly inside it, into one more piece than positions. Blocks that cannot be cut are frozen.
  func cut(_ layout: Layout, at positions: [Int]) -> [Layout]
  /// Splits a layout into (outer, inner) with `inner` indices innermost; freezes and returns fixed factors where it does not divide.
  func split(_ layout: Layout, inner: Int) -> (outer: Layout, inner: Layout)
  /// Records a part that a layout plays.
  func note(_ role: AxisRole, _ layout: Layout)
}

extension AxisSolver {
  /// Freezes every axis of an operand.
  public func freezeInput(_ index: Int, _ reason: Reason) {
    for layout in axes(ofInput: index) { freeze(layout, reason) }
  }

  /// Gives a result axes that keep all their indices.
  public func setFixed(output index: Int, _ reason: Reason) {
    guard let type = type(ofOutput: index), type.isRanked else { return setAxes(ofOutput: index, []) }
    setAxes(ofOutput: index, type.shape.map { fixed($0, reason) })
  }

  /// Freezes everything the node reads and makes.
  public func freezeNode(_ reason: Reason) {
    for index in node.inputs.indices { freezeInput(index, reason) }
    for index in node.outputs.indices where node.outputs[index] != nil { setFixed(output: index, reason) }
  }
}
