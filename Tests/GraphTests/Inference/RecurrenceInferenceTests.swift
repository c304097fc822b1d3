import Graph
import Testing

@Suite("Types of recurrences")
struct RecurrenceInferenceTests {
  @Test("each result has an axis of directions")
  func results() {
    #expect(
      inferred("LSTM", "f32[s, n, 6]; f32[1, 20, 6]; f32[1, 20, 5]; f32[1, 40]", [.hiddenSize: .int(5)], results: 3)
        == "f32[s, 1, n, 5]; f32[1, n, 5]; f32[1, n, 5]")
    #expect(
      inferred(
        "GRU", "f32[s, n, 6]; f32[2, 15, 6]; f32[2, 15, 5]; f32[2, 30]; i32[n]; f32[2, n, 5]",
        [.hiddenSize: .int(5), .direction: .string("bidirectional")], results: 2) == "f32[s, 2, n, 5]; f32[2, n, 5]")
    #expect(
      inferred("RNN", "f32[n, s, 6]; f32[1, 5, 6]; f32[1, 5, 5]", [.layout: .int(1)], results: 2)
        == "f32[n, s, 1, 5]; f32[n, 1, 5]")
    #expect(
      inferred("LSTM", "f32[s, n, 6]; f32[1, 20, 6]; f32[1, 20, 5]; -; -; -; -; f32[1, 15]", results: 1) == "f32[s, 1, n, 5]")
  }

  @Test(
    "operands whose gates, hidden or input numbers do not match are refused",
    arguments: [
      ("f32[s, n, 6]; f32[1, 20, 7]; f32[1, 20, 5]", "failure: the input weight is f32[1, 20, 7] where [1, 20, 6] is expected"),
      ("f32[s, n, 6]; f32[1, 15, 6]; f32[1, 15, 5]", "failure: the input weight is f32[1, 15, 6] where [1, 20, 6] is expected"),
      ("f32[s, n, 6]; f32[1, 20, 6]; f32[1, 20, 4]", "failure: hidden_size is 5, the recurrence weight f32[1, 20, 4] has 4"),
      ("f32[s, n, 6]; f32[1, 20, 6]; f32[1, 20, 5]; f32[1, 20]", "failure: the bias is f32[1, 20] where [1, 40] is expected"),
      (
        "f32[s, n, 6]; f32[1, 20, 6]; f32[1, 20, 5]; -; -; f32[2, n, 5]",
        "failure: the initial hidden state is f32[2, n, 5] where [1, n, 5] is expected"
      ),
    ])
  func mismatches(operands: String, expected: String) {
    #expect(inferred("LSTM", operands, [.hiddenSize: .int(5)]) == expected)
  }

  @Test("an unknown direction is refused")
  func direction() {
    #expect(
      inferred("RNN", "f32[s, n, 6]; f32[1, 5, 6]; f32[1, 5, 5]", [.direction: .string("up")])
        == "failure: direction is up, which is none of forward, reverse, bidirectional")
  }
}
