import Graph

/// What is done for the layers that lose inputs.
public enum Compensation: String, Sendable, CaseIterable {
  /// Nothing: the rest of their weights stays as it is.
  case none
  /// The mean of what they lose is added to their bias.
  case bias
  /// Their weights are fitted anew to what is left of their inputs, around the weights that stand there.
  case ridge
  /// As ridge; and what goes is what can be made up for best.
  case obs
  /// Whichever of these does best on a tenth of the data that is held back.
  case auto
}

extension Compensation {
  /// True where weights are fitted anew.
  var isFitted: Bool {
    switch self {
    case .none, .bias: false
    case .ridge, .obs, .auto: true
    }
  }

  /// What makes an index worth keeping where nobody says.
  var usualCriterion: Criterion {
    switch self {
    case .none: .activation
    case .bias, .ridge: .fluctuation
    case .obs, .auto: .obs
    }
  }
}

/// What compensation is asked to do.
public struct CompensationOptions: Sendable {
  /// Samples to take statistics from.
  public var data: CalibrationData
  /// What is done.
  public var mode = Compensation.auto
  /// What makes an index worth keeping; nil: what suits the mode (obs; fluctuation for ridge and bias; activation for none).
  public var criterion: Criterion?
  /// λ: how strongly fitted weights hold to those that stand there, as a share of the mean second moment of the inputs.
  public var strength = 0.1
  /// β: which share of what the stream has drifted by the layers before is put into the target of a fit.
  public var drift = 0.5
  /// True when dims inside heads may be rotated before they are cut.
  public var rotates = true
  /// Threads to compute with.
  public var threads = 1
  /// The model that the module was imported from, which control flow needs to be executed.
  public var source: NamedModel?

  /// True where what goes is chosen by scores of weights or gradients.
  var wantsScores: Bool { criterion.map { $0.basis != .inputs } ?? false }

  /// The defaults, with samples.
  public init(data: CalibrationData) { self.data = data }
}

/// What compensation did.
public struct CompensationReport: Sendable {
  /// What was done in the end.
  public let mode: Compensation
  /// How many samples were used.
  public let samples: Int
  /// Layers whose weights were fitted anew.
  public let layers: Int
  /// Of these, layers with a bias.
  public let biased: Int
  /// Rows of data at the widest layer, and the numbers in a row there: with fewer rows than numbers a fit has little to go by.
  public let widest: (rows: Int, columns: Int)?
  /// What was tried on held-back samples, with the share of the outputs' energy that was lost; empty where nothing was.
  public internal(set) var trials: [Trial] = []
  /// The error curves of the groups that were up for choice, by group.
  public internal(set) var curves: [Curve] = []

  /// What removing members of a group costs.
  public struct Curve: Sendable {
    /// Its place in `Solution.groups`.
    public let group: Int
    /// Squared error at the group's consumers when so many members are gone: 0 for none, then one number per member.
    public let errors: [Double]
  }

  /// One way that was tried.
  public struct Trial: Sendable {
    /// What was done.
    public let mode: Compensation
    /// Σ‖y − y'‖² / Σ‖y‖² of the outputs, their mean.
    public let error: Double
  }

  init(mode: Compensation, samples: Int, layers: Int, biased: Int, widest: (rows: Int, columns: Int)?) {
    self.mode = mode
    self.samples = samples
    self.layers = layers
    self.biased = biased
    self.widest = widest
  }
}
