import Graph
import Testing

@testable import Runtime

@Suite("Sequences and optionals")
struct CollectionTests {
  private let pair = [node("SequenceConstruct", ["a", "b"], ["s"])]
  private let inputs: [RuntimeValue] = [.tensor(.real([1, 2])), .tensor(.real([3, 4]))]

  private func trial(_ nodes: [NamedNode], _ output: String = "y") -> RuntimeTrial {
    RuntimeTrial(pair + nodes, inputs: ["a", "b"], outputs: [output])
  }

  private func tensors(_ value: RuntimeValue?) -> [[Double]] {
    if case .sequence(let tensors, _)? = value { tensors.map(\.reals) } else { [] }
  }

  @Test("places count from either end, and those outside are refused")
  func places() throws {
    func at(_ place: Int) -> RuntimeTrial {
      trial([constant("i", [place], isScalar: true), node("SequenceAt", ["s", "i"], ["y"])])
    }
    #expect(try at(0).run(inputs).first?.tensor?.reals == [1, 2])
    #expect(try at(-1).run(inputs).first?.tensor?.reals == [3, 4])
    for place in [2, -3, Int.max, Int.min] {
      #expect(at(place).failure(inputs).contains("position \(place) is outside a sequence of 2"))
    }
  }

  @Test("tensors are put in and taken out")
  func edits() throws {
    let first = constant("i", [0], isScalar: true)
    let inserted = trial([first, node("SequenceInsert", ["s", "b", "i"], ["y"])])
    #expect(tensors(try inserted.run(inputs).first) == [[3, 4], [1, 2], [3, 4]])
    #expect(tensors(try trial([node("SequenceInsert", ["s", "a"], ["y"])]).run(inputs).first) == [[1, 2], [3, 4], [1, 2]])
    #expect(tensors(try trial([first, node("SequenceErase", ["s", "i"], ["y"])]).run(inputs).first) == [[3, 4]])
    #expect(tensors(try trial([node("SequenceErase", ["s"], ["y"])]).run(inputs).first) == [[1, 2]])
    #expect(try trial([node("SequenceLength", ["s"], ["y"])]).run(inputs).first?.tensor?.wholes == [2])
    let none = RuntimeTrial(
      [node("SequenceEmpty", [], ["e"]), node("SequenceErase", ["e"], ["y"])], inputs: [], outputs: ["y"])
    #expect(none.failure([]).contains("the sequence is empty"))
  }

  @Test("a sequence becomes one tensor along an axis, an old one or a new one")
  func concatenation() throws {
    func joined(_ axis: Int, new: Bool = false) -> RuntimeTrial {
      trial([node("ConcatFromSequence", ["s"], ["y"], [("axis", .int(axis)), ("new_axis", .int(new ? 1 : 0))])])
    }
    #expect(try joined(0).run(inputs).first?.tensor?.reals == [1, 2, 3, 4])
    #expect(try joined(1, new: true).run(inputs).first?.tensor?.reals == [1, 3, 2, 4])
    #expect(try joined(-1, new: true).run(inputs).first?.tensor?.shape == [2, 2])
    #expect(joined(1).failure(inputs).contains("axis 1 is outside"))
    #expect(joined(0).failure([.tensor(.real([1])), .tensor(.whole([1]))]).contains("do not fit together"))
  }

  @Test("a tensor is cut into a sequence")
  func splitting() throws {
    func cut(_ data: RuntimeTensor, _ sizes: [Int]?, _ attributes: [(name: String, value: AttributeValue)] = []) throws
      -> [[Double]]
    {
      let operands = sizes == nil ? ["x"] : ["x", "n"]
      let list = constant("n", sizes ?? [0], isScalar: sizes?.count == 1)
      let trial = RuntimeTrial(
        [list, node("SplitToSequence", operands, ["y"], attributes)], inputs: ["x"], outputs: ["y"])
      return tensors(try trial.run([.tensor(data)]).first)
    }
    let row = RuntimeTensor.real([1, 2, 3, 4, 5])
    #expect(try cut(row, [2]) == [[1, 2], [3, 4], [5]])
    #expect(try cut(row, [1, 4]) == [[1], [2, 3, 4, 5]])
    #expect(try cut(.real([1, 2, 3, 4], [2, 2]), nil, [("axis", .int(1)), ("keepdims", .int(0))]) == [[1, 3], [2, 4]])
    for sizes in [[0], [-1], [1, 1], [3, 3], [-1, 6], [Int.max, Int.max]] {
      #expect(throws: Diagnostic.self, "\(sizes)") { try cut(row, sizes) }
    }
  }

  @Test("a body is run for every place of a sequence")
  func maps() throws {
    let body = graph([node("Add", ["e", "k"], ["r"])], inputs: ["e", "k"], outputs: ["r"])
    let mapped = trial([node("SequenceMap", ["s", "a"], ["y"], bodies: [("body", body)])])
    #expect(tensors(try mapped.run(inputs).first) == [[2, 4], [4, 6]])
    let wrong = trial([node("SequenceMap", ["a", "s"], ["y"], bodies: [("body", body)])])
    #expect(wrong.failure(inputs).contains("the first operand is not a sequence"))
  }

  @Test("an optional holds something or nothing")
  func optionals() throws {
    let holding = RuntimeTrial(
      [node("Optional", ["x"], ["o"]), node("OptionalHasElement", ["o"], ["h"]), node("OptionalGetElement", ["o"], ["y"])],
      inputs: ["x"], outputs: ["h", "y"])
    let found = try holding.run([.tensor(.real([5]))])
    #expect(found.first?.tensor?.truths == [true])
    #expect(found.last?.tensor?.reals == [5])
    let nothing = RuntimeTrial(
      [node("Optional", [], ["o"]), node("OptionalHasElement", ["o"], ["y"])], inputs: [], outputs: ["y"])
    #expect(try nothing.run([]).first?.tensor?.truths == [false])
    let taken = RuntimeTrial(
      [node("Optional", [], ["o"]), node("OptionalGetElement", ["o"], ["y"])], inputs: [], outputs: ["y"])
    #expect(taken.failure([]).contains("holds nothing"))
  }

  @Test("a sequence where a tensor is expected is refused, and the other way round")
  func kinds() {
    #expect(trial([node("Neg", ["s"], ["y"])]).failure(inputs).contains("sequence"))
    #expect(trial([node("SequenceLength", ["a"], ["y"])]).failure(inputs).contains("operand 0 is not a sequence"))
  }
}
