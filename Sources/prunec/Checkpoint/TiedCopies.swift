import Formats
import Graph
import Tracing
import Zoo

/// Tensors that some checkpoints store a second time because two layers share them: the table of tokens is also the last layer's weight.
enum TiedCopies {
  /// Names of copies with the names that their originals may have.
  private static let known: [(copy: String, originals: [String])] = [
    ("lm_head.weight", ["model.embed_tokens.weight", "transformer.wte.weight", "wte.weight"]),
    ("cls.predictions.decoder.weight", ["bert.embeddings.word_embeddings.weight"]),
    ("cls.predictions.decoder.bias", ["cls.predictions.bias"]),
  ]

  /// The copies among tensors which the model itself does not read, each with its original.
  static func find(
    in contents: [String: TensorContent], of model: any ZooModel
  ) throws(Diagnostic) -> [(copy: String, original: String)] {
    let candidates = known.filter { contents[$0.copy] != nil }
    if candidates.isEmpty { return [] }
    let read = Set(try model.namedParameters().map(\.name))
    return candidates.filter { !read.contains($0.copy) }.compactMap { candidate in
      candidate.originals.first { contents[$0] != nil }.map { (candidate.copy, $0) }
    }
  }
}

extension TensorContent {
  /// True for the same shape, type and bytes.
  func hasSameNumbers(as other: TensorContent) -> Bool {
    shape == other.shape && element == other.element && materialized().hasSameBytes(as: other.materialized())
  }
}
