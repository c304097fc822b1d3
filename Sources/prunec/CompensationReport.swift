import Passes

extension CompensationReport {
  /// What was done for the layers that lost inputs, in a line or two; a warning where the data are few.
  func lines(_ console: Console) -> [String] {
    let layers = Wording.plural(layers, "layer")
    let samples = Wording.plural(samples, "sample")
    var lines: [String] =
      switch mode {
      case .none: ["Calibrated with \(samples): what goes is what matters least to them; the other weights stay as they are"]
      case .bias where biased == 0:
        ["Calibrated with \(samples): none of the \(layers) that lost inputs has a bias, so nothing was made up for"]
      case .bias:
        ["Calibrated with \(samples): \(Wording.plural(biased, "layer")) had the mean of what they lost added to their bias"]
      case .ridge, .obs, .auto:
        ["Calibrated with \(samples): \(layers) had their weights fitted anew to the inputs that are left"]
      }
    if !trials.isEmpty {
      let tried = trials.map { "\($0.mode.rawValue) \(Wording.percent($0.error))" }.joined(separator: ", ")
      lines.append("Tried on held-back samples, share of the outputs lost: \(tried)")
    }
    if let widest, widest.rows < widest.columns {
      lines.append(
        console.warning(
          "The widest layer has \(Wording.count(widest.columns)) inputs, but the data hold only \(Wording.count(widest.rows)) rows for it "
            + "(tokens, or places of images): more samples would make the result better"))
    }
    return lines
  }

  /// The same as JSON.
  var json: Json {
    .object([
      ("mode", .text(mode.rawValue)), ("samples", .integer(samples)), ("layers", .integer(layers)),
      ("rows", widest.map { .integer($0.rows) } ?? .null), ("widest", widest.map { .integer($0.columns) } ?? .null),
      ("trials", .array(trials.map { .object([("mode", .text($0.mode.rawValue)), ("error", .number($0.error))]) })),
    ])
  }
}
