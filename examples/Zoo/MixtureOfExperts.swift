import Tracing

/// A router picks some experts for every token; their results are added, weighted by the router's probabilities. Parameters as
/// Qwen3-MoE's checkpoints call them. The tensors of all experts are stacked: a `*` in a name stands for the expert's number.
struct MixtureOfExperts: Layer {
  let router: Linear
  let gates: Parameter
  let ups: Parameter
  let downs: Parameter
  let choice: ExpertChoice

  static let names = [
    "router": "gate", "gates": "experts.*.gate_proj.weight", "ups": "experts.*.up_proj.weight",
    "downs": "experts.*.down_proj.weight",
  ]

  init(_ c: CausalConfiguration) {
    router = Linear(c.width, c.experts, bias: false)
    gates = Parameter([c.experts, c.expertHidden, c.width])
    ups = Parameter([c.experts, c.expertHidden, c.width])
    downs = Parameter([c.experts, c.width, c.expertHidden])
    choice = ExpertChoice(c)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    choice(x, scores: router(x), gates: gates.tensor, ups: ups.tensor, downs: downs.tensor)
  }
}

/// The same with the names of Mixtral's checkpoints.
struct MixtralExperts: Layer {
  let router: Linear
  let gates: Parameter
  let ups: Parameter
  let downs: Parameter
  let choice: ExpertChoice

  static let names = [
    "router": "gate", "gates": "experts.*.w1.weight", "ups": "experts.*.w3.weight", "downs": "experts.*.w2.weight",
  ]

  init(_ c: CausalConfiguration) {
    router = Linear(c.width, c.experts, bias: false)
    gates = Parameter([c.experts, c.expertHidden, c.width])
    ups = Parameter([c.experts, c.expertHidden, c.width])
    downs = Parameter([c.experts, c.width, c.expertHidden])
    choice = ExpertChoice(c)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    choice(x, scores: router(x), gates: gates.tensor, ups: ups.tensor, downs: downs.tensor)
  }
}

/// How experts are picked and their results added.
struct ExpertChoice: Sendable {
  let count: Int
  let isNormalised: Bool
  let activation: Activation

  init(_ c: CausalConfiguration) {
    (count, isNormalised, activation) = (c.expertsPerToken, c.normalisesExperts, c.activation)
  }

  /// x [batch, sequence, width]; scores [batch, sequence, experts]; gates and ups [experts, hidden, width], downs [experts, width, hidden].
  func callAsFunction(_ x: Tensor, scores: Tensor, gates: Tensor, ups: Tensor, downs: Tensor) -> Tensor {
    let (best, chosen) = scores.softmax().topK(count)
    let shares = isNormalised ? best / best.sum([-1], keepingAxes: true) : best
    // Every token meets the matrices of its own experts: [batch, sequence, count, hidden, width] times [batch, sequence, 1, width, 1].
    let column = x.unsqueezed(axis: 2).unsqueezed(axis: -1)
    let gate = gates.gathered(chosen, axis: 0).matmul(column)
    let up = ups.gathered(chosen, axis: 0).matmul(column)
    let results = downs.gathered(chosen, axis: 0).matmul(activation(gate) * up).squeezed(axis: -1)
    return (results * shares.unsqueezed(axis: -1)).sum([2])
  }
}
