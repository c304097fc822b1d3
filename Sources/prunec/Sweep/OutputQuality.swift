import Graph
import Passes
import Runtime

/// How much of a model's quality a smaller one has.
struct Quality {
  /// Σ‖y − y'‖² / Σ‖y‖² of each output of real numbers, their mean.
  let lost: Double
  /// Share of rows whose largest number stays at its place; nil where no output looks like scores of classes.
  let agreement: Double?
  /// Share of labels that the largest number is at; nil without labels.
  let accuracy: Double?
}

/// Samples that models are judged by.
struct TestSamples {
  /// How many batches there are.
  let count: Int
  /// What a report says of them.
  let summary: String
  /// The model's inputs, batch by batch.
  let batch: (Int) -> [RuntimeValue]
  /// Labels of a batch, where there are some.
  var labels: (Int) -> Tensor? = { _ in nil }
  /// Which positions of a batch are padding, where that is known.
  var mask: (Int) -> Tensor? = { _ in nil }
}

/// Runs smaller models beside the original. The original's outputs are kept while they are small, and made again for each model where they
/// are not: memory stays bounded.
final class OutputQuality {
  private let original: Module
  private let samples: TestSamples
  private let source: NamedModel?
  private let threads: Int
  private let session: Session
  private var known: [Int: [RuntimeValue]] = [:]
  private var room = 1 << 28
  /// Which output looks like scores of classes.
  private let scores: Int?

  init(_ original: Module, _ samples: TestSamples, source: NamedModel?, threads: Int) {
    self.original = original
    self.samples = samples
    self.source = source
    self.threads = threads
    session = Session(original, source: source, threads: threads)
    let hasLabels = samples.labels(0) != nil
    scores = original.outputs.firstIndex { output in
      let (name, type) = (original[output].name.lowercased(), original[output].type)
      guard type.element.isFloat, type.isRanked, type.rank >= 2, type.shape.last?.constant ?? 2 >= 2 else { return false }
      return type.rank == 2 || name.contains("logit") || hasLabels
    }
  }

  /// What the original's outputs are worth by themselves: the share of labels that it gets right.
  func ownQuality() throws(Diagnostic) -> Quality { try quality(of: original) }

  /// What is left of it in a smaller model.
  func quality(of smaller: Module) throws(Diagnostic) -> Quality {
    let other = Session(smaller, source: source, threads: threads)
    var sums = [(error: Double, energy: Double)](repeating: (0, 0), count: original.outputs.count)
    var rows = (all: 0, equal: 0)
    var labels = (all: 0, right: 0)
    for batch in 0..<samples.count {
      let before = try reference(batch)
      let after = try other.run(samples.batch(batch))
      for (place, (one, two)) in zip(before, after).enumerated() {
        guard let one = one.tensor, let two = two.tensor, one.element.isFloat, one.shape == two.shape else { continue }
        let (a, b) = (one.reals, two.reals)
        let counted = Self.counted(one, samples.mask(batch))
        for index in a.indices where counted[index / max(1, a.count / counted.count)] {
          sums[place].error += (a[index] - b[index]) * (a[index] - b[index])
          sums[place].energy += a[index] * a[index]
        }
        guard place == scores, let width = one.shape.last, width >= 2 else { continue }
        let (old, new) = (Self.largest(a, width), Self.largest(b, width))
        let rowCounts = Self.counted(one, samples.mask(batch))
        for row in old.indices where rowCounts[row / max(1, old.count / rowCounts.count)] {
          rows.all += 1
          if old[row] == new[row] { rows.equal += 1 }
        }
        guard let given = samples.labels(batch) else { continue }
        let wanted = given.wholes
        guard wanted.count == new.count else {
          throw Diagnostic(
            .invalid,
            "labels are of shape \(given.shape), but the output is of shape \(one.shape); one label for each row is expected",
            at: .tensor(original[original.outputs[place]].name))
        }
        for (label, found) in zip(wanted, new) where label >= 0 {
          guard label < width else {
            throw Diagnostic(
              .invalid, "a label is \(label), but there are \(width) classes, 0 to \(width - 1)",
              at: .tensor(original[original.outputs[place]].name))
          }
          labels.all += 1
          if label == found { labels.right += 1 }
        }
      }
    }
    let shares = sums.filter { $0.energy > 0 }.map { $0.error / $0.energy }
    return Quality(
      lost: shares.isEmpty ? 0 : shares.reduce(0, +) / Double(shares.count),
      agreement: rows.all > 0 ? Double(rows.equal) / Double(rows.all) : nil,
      accuracy: labels.all > 0 ? Double(labels.right) / Double(labels.all) : nil)
  }

  private func reference(_ batch: Int) throws(Diagnostic) -> [RuntimeValue] {
    if let known = known[batch] { return known }
    let outputs = try session.run(samples.batch(batch))
    let bytes = outputs.reduce(0) { $0 + ($1.tensor?.data.count ?? 0) }
    if bytes <= room {
      room -= bytes
      known[batch] = outputs
    }
    return outputs
  }

  /// Whether each leading position of an output counts: padding does not.
  private static func counted(_ output: Tensor, _ mask: Tensor?) -> [Bool] {
    guard let mask, output.rank >= 2, Array(output.shape.prefix(2)) == mask.shape, mask.count > 0 else { return [true] }
    return mask.truths
  }

  /// Per row the place of the largest number; what is no number is never the largest.
  private static func largest(_ numbers: [Double], _ width: Int) -> [Int] {
    stride(from: 0, to: numbers.count - width + 1, by: width).map { start in
      var best = 0
      for at in 1..<width where numbers[start + at] > numbers[start + best] || numbers[start + best].isNaN { best = at }
      return best
    }
  }
}
