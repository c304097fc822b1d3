import Foundation
import Tracing

/// Rotary position embedding (Su et al. 2021): pairs of a head's dims, i and i + size/2, are turned by the position times a frequency.
public struct RotaryEmbedding: Sendable {
  /// How frequencies are stretched for contexts longer than those of training.
  public enum Scaling: Sendable, Hashable {
    /// θ^(−2i/size), as they are.
    case none
    /// All divided by a factor.
    case linear(factor: Double)
    /// The base grows with the length; up to the trained length, which is all that is offered here, this changes nothing.
    case dynamic(factor: Double)
    /// Long waves divided by a factor, short ones kept, a smooth passage between (Llama 3.1).
    case llama3(factor: Double, low: Double, high: Double, trained: Int)
    /// A ramp by the number of turns within the trained length, and larger cosines and sines (Peng et al. 2023).
    case yarn(factor: Double, fast: Double, slow: Double, trained: Int, attention: Double, truncates: Bool)
  }

  /// θ, the base.
  public let theta: Double
  /// How frequencies are stretched.
  public let scaling: Scaling

  /// A base and a scaling.
  public init(theta: Double = 10_000, scaling: Scaling = .none) {
    self.theta = theta
    self.scaling = scaling
  }

  /// The size/2 frequencies, in radians per position, of heads of a size. Rounded as the models do it, in f32.
  func frequencies(size: Int) -> [Double] {
    let plain = (0..<size / 2).map { index in
      let exponent = Float(2 * index) / Float(size)
      return 1 / pow(Float(theta), exponent)
    }
    switch scaling {
    case .none, .dynamic: return plain.map(Double.init)
    case .linear(let factor): return plain.map { Double($0 / Float(factor)) }
    case .llama3(let factor, let low, let high, let trained):
      return plain.map { frequency in
        let wave = 2 * Double.pi / Double(frequency)
        if wave < Double(trained) / high { return Double(frequency) }
        if wave > Double(trained) / low { return Double(frequency) / factor }
        let smooth = (Double(trained) / wave - low) / (high - low)
        return (1 - smooth) * Double(frequency) / factor + smooth * Double(frequency)
      }
    case .yarn(let factor, let fast, let slow, let trained, _, let truncates):
      func dimension(_ turns: Double) -> Double {
        Double(size) * Foundation.log(Double(trained) / (turns * 2 * .pi)) / (2 * Foundation.log(theta))
      }
      var first = dimension(fast)
      var last = dimension(slow)
      if truncates { (first, last) = (first.rounded(.down), last.rounded(.up)) }
      first = max(first, 0)
      last = min(last, Double(size - 1))
      if first == last { last += 0.001 }
      return plain.enumerated().map { index, frequency in
        let ramp = min(max((Double(index) - first) / (last - first), 0), 1)
        return Double(frequency) / factor * ramp + Double(frequency) * (1 - ramp)
      }
    }
  }

  /// What cosines and sines are multiplied by.
  private var magnitude: Double {
    switch scaling {
    case .none, .linear, .dynamic, .llama3: 1
    case .yarn(_, _, _, _, let attention, _): attention
    }
  }

  /// Cosines and sines, [length, size], for positions 0 to before `length`; computed in the graph from the frequencies.
  func tables(_ trace: Trace, length: Extent, size: Int) -> Rotation {
    let frequencies = trace.constant(frequencies(size: size), name: "rotary_emb.inv_freq")
    let half = trace.range(length, element: .f32).unsqueezed(axis: 1) * frequencies
    let angles = Tensor.concatenated([half, half], axis: -1)
    if magnitude == 1 { return Rotation(cosines: angles.cos(), sines: angles.sin()) }
    return Rotation(cosines: angles.cos() * magnitude, sines: angles.sin() * magnitude)
  }
}

/// Cosines and sines of all positions, [length, size].
struct Rotation: Sendable {
  let cosines: Tensor
  let sines: Tensor

  /// Turns the heads of queries or keys [..., length, size].
  func callAsFunction(_ x: Tensor) -> Tensor {
    let halves = x.chunked(2, axis: -1)
    return x * cosines + Tensor.concatenated([-halves[1], halves[0]], axis: -1) * sines
  }
}

extension Configuration {
  /// θ and scaling, as `rope_parameters` (newer files) or `rope_theta` and `rope_scaling` say. Throws for kinds that are not known.
  func rotaryEmbedding(theta fallback: Double = 10_000) throws(Diagnostic) -> RotaryEmbedding {
    let newer = try object("rope_parameters")
    let older = try object("rope_scaling")
    let scaling = newer ?? older
    var theta = try number("rope_theta", default: fallback)
    if let newer { theta = try newer.number("rope_theta", default: theta) }
    try require(theta > 1, "the base of the rotary embedding is \(theta), which is not above 1")
    guard let scaling else { return RotaryEmbedding(theta: theta) }
    let longest = try count("max_position_embeddings", default: 2048)
    let stated = try count("original_max_position_embeddings", default: longest)
    let trained = try scaling.count("original_max_position_embeddings", default: stated)
    let (newName, oldName) = (try scaling.text("rope_type"), try scaling.text("type"))
    let kind = newName ?? oldName ?? "default"
    if kind == "default" { return RotaryEmbedding(theta: theta) }
    if (try scaling.number("partial_rotary_factor", default: 1)) != 1 {
      throw Diagnostic(.unsupported, "rotary embeddings of a part of each head are not known here", file: name)
    }
    func factor() throws(Diagnostic) -> Double {
      let factor = try scaling.number("factor")
      try scaling.require(factor > 0, "'factor' is \(factor), which is not positive")
      return factor
    }
    switch kind {
    case "linear": return RotaryEmbedding(theta: theta, scaling: .linear(factor: try factor()))
    case "dynamic": return RotaryEmbedding(theta: theta, scaling: .dynamic(factor: try factor()))
    case "llama3":
      return RotaryEmbedding(
        theta: theta,
        scaling: .llama3(
          factor: try factor(), low: try scaling.number("low_freq_factor"), high: try scaling.number("high_freq_factor"),
          trained: trained))
    case "yarn":
      let factor = try scaling.number("factor", default: Double(longest) / Double(trained))
      try scaling.require(factor > 0, "'factor' is \(factor), which is not positive")
      func magnitude(_ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * Foundation.log(factor) + 1 }
      let scale = try scaling.number("mscale", default: 0)
      let scaleAll = try scaling.number("mscale_all_dim", default: 0)
      let inferred = scale != 0 && scaleAll != 0 ? magnitude(scale) / magnitude(scaleAll) : magnitude(1)
      return RotaryEmbedding(
        theta: theta,
        scaling: .yarn(
          factor: factor, fast: try scaling.number("beta_fast", default: 32), slow: try scaling.number("beta_slow", default: 1),
          trained: trained, attention: try scaling.number("attention_factor", default: inferred),
          truncates: try scaling.flag("truncate", default: true)))
    default:
      throw Diagnostic(
        .unsupported, "rotary scaling '\(kind)' is not known; default, linear, dynamic, llama3 and yarn are", file: name)
    }
  }
}
