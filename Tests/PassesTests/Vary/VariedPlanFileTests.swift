import Foundation
import Graph
import Testing

@testable import Passes
@testable import TestSupport

/// Plans with `over`, as files.
@Suite("Plan files in which groups vary") struct VariedPlanFileTests {
  private let solution: Solution
  private let dims: Int

  init() throws {
    solution = try VariedChoiceTests.solution()
    dims = try VariedChoiceTests.dims(solution)
  }

  private static let outers = """
    {"name": "qkv.parts", "extent": 3, "kept": [0, 1, 2]}, {"name": "qkv.heads", "kept": [0, 1]},
    """

  private func read(_ groups: String) throws -> Plan {
    try PlanFile(reading: Data("{\"format\": \"prunec-plan-1\", \"groups\": [\(groups)]}".utf8)).plan(for: solution)
  }

  private func text(_ plan: Plan) -> String {
    PlanFile.text(plan: plan, solution: solution, survivors: [], file: "m.onnx", digest: "")
  }

  private func entries(_ text: String) -> [String] {
    text.split(separator: "\n").filter { $0.contains("\"extent\"") }.map { $0.trimmingCharacters(in: .init(charactersIn: " ,")) }
  }

  @Test(
    "what is written is read again; everything that is varied over stands before it, a fixed factor as a group that keeps all")
  func roundTrip() throws {
    var plan = Plan(kept: [nil, nil])
    plan.vary(dims, lists: [[0, 1], [1, 2], [0, 1], [1, 2], [2, 3], [0, 3]])
    let text = text(plan)
    #expect(
      entries(text) == [
        #"{ "name": "qkv.parts", "kind": "parts", "extent": 3, "kept": [0, 1, 2] }"#,
        #"{ "name": "qkv.heads", "kind": "heads", "extent": 2, "kept": [0, 1] }"#,
        #"{ "name": "qkv.head-dims", "kind": "head-dims", "extent": 4, "over": ["qkv.parts", "qkv.heads"], "#
          + #""kept": [[[0, 1], [1, 2]], [[0, 1], [1, 2]], [[2, 3], [0, 3]]] }"#,
      ])
    #expect(try PlanFile(reading: Data(text.utf8)).plan(for: solution) == plan)
    // What carries the factor says so; what was taken from one index of it says which.
    #expect(text.contains(#""qkv.weight": [6, {"product": ["qkv.parts", "qkv.heads", "qkv.head-dims"]}]"#))
    #expect(text.contains(#""v": [1, "qkv.heads", 5, {"product": [{"select": ["qkv.parts", 2]}, "qkv.head-dims"]}]"#))
    #expect(
      text.contains(#""proj.weight": [{"product": ["qkv.heads", {"select": ["qkv.parts", 2]}, "qkv.head-dims"]}, 6]"#))
  }

  @Test("only what the lists differ by is written; a plan that does not vary has no 'over' and no factor")
  func less() throws {
    var plan = Plan(kept: [nil, nil])
    plan.vary(dims, lists: [[0, 1], [1, 2], [0, 1], [1, 2], [0, 1], [1, 2]])
    #expect(
      entries(text(plan)).last
        == #"{ "name": "qkv.head-dims", "kind": "head-dims", "extent": 4, "over": ["qkv.heads"], "kept": [[0, 1], [1, 2]] }"#)
    #expect(!text(plan).contains("parts"))
    #expect(try PlanFile(reading: Data(text(plan).utf8)).plan(for: solution) == plan)
    plan.vary(dims, lists: Array(repeating: [0, 3], count: 6))
    #expect(entries(text(plan)) == [#"{ "name": "qkv.head-dims", "kind": "head-dims", "extent": 4, "kept": [0, 3] }"#])
  }

  @Test("outers may be named in any order, and some be left out")
  func order() throws {
    let turned = try read(
      Self.outers
        + #"{"name": "qkv.head-dims", "over": ["qkv.heads", "qkv.parts"], "kept": [[[0], [0], [1]], [[2], [2], [3]]]}"#)
    #expect(turned.varied[dims] == [[0], [2], [0], [2], [1], [3]])
    let heads = try read(Self.outers + #"{"name": "qkv.head-dims", "over": ["qkv.heads"], "kept": [[0], [3]]}"#)
    #expect(heads.varied[dims] == [[0], [3], [0], [3], [0], [3]])
  }

  @Test("lists of outer indices that go count for nothing")
  func removed() throws {
    let plan = try read(
      #"""
      {"name": "qkv.parts", "kept": [0, 1, 2]}, {"name": "qkv.heads", "kept": [1]},
      {"name": "qkv.head-dims", "over": ["qkv.parts", "qkv.heads"], "kept": [[[0], [2]], [[3], [2]], [[1], [3]]]}
      """#)
    #expect(plan.varied[dims] == [[0], [2], [3], [2], [1], [3]])
    let model = try CompiledModel(solution.module) { _ in plan }
    #expect(try model.proof(seed: 1).isProved)
  }

  @Test(
    "what does not fit is one clear line",
    arguments: [
      (
        outers + #"{"name": "qkv.head-dims", "over": ["qkv.heads"], "kept": [[0, 1], [2]]}"#,
        "group 'qkv.head-dims' keeps 2 indices in one list and 1 in another; all must be equally long"
      ),
      (
        outers + #"{"name": "qkv.head-dims", "over": ["qkv.heads"], "kept": [[0], [1], [2]]}"#,
        "group 'qkv.head-dims' has 3 lists of kept indices for the 2 indices of 'qkv.heads'"
      ),
      (
        outers + #"{"name": "qkv.head-dims", "over": ["qkv.heads"], "kept": [0, 1]}"#,
        "group 'qkv.head-dims' varies over 'qkv.heads', so 'kept' must hold one list for each of its 2 indices"
      ),
      (
        outers + #"{"name": "qkv.head-dims", "kept": [[0], [1]]}"#,
        "group 'qkv.head-dims' has lists of kept indices, but no 'over' that says what each is for"
      ),
      (
        outers + #"{"name": "qkv.head-dims", "over": ["qkv.hands"], "kept": [[0], [1]]}"#,
        "group 'qkv.head-dims' varies over 'qkv.hands', which is not listed before it; did you mean 'qkv.heads'?"
      ),
      (
        #"{"name": "qkv.head-dims", "over": ["qkv.heads"], "kept": [[0], [1]]}, {"name": "qkv.heads", "kept": [0, 1]}"#,
        "group 'qkv.head-dims' varies over 'qkv.heads', which is listed after it; list it first"
      ),
      (
        #"{"name": "qkv.head-dims", "over": ["qkv.parts"], "kept": [[0], [0], [1]]}"#,
        "group 'qkv.head-dims' varies over 'qkv.parts', which is not listed before it; list a fixed factor as a group that keeps all"
      ),
      (
        #"{"name": "qkv.parts", "kept": [0, 2]}"#,
        "'qkv.parts' is a fixed factor, all of which stays: its 'kept' must list 0 to 2"
      ),
      (
        #"{"name": "qkv.head-dims", "kept": [0]}, {"name": "qkv.heads", "over": ["qkv.head-dims"], "kept": [[0], [0], [0], [1]]}"#,
        "group 'qkv.heads' cannot vary over 'qkv.head-dims' (it can over nothing): 'prunec explain' names the tensor that forbids it"
      ),
      (
        outers + #"{"name": "qkv.head-dims", "over": ["qkv.parts"], "kept": [[0], [1], [1]]}"#,
        "group 'qkv.head-dims' keeps other indices for 0 than for 1 of 'qkv.parts'; these meet, and must be the same"
      ),
      (
        outers + #"{"name": "qkv.head-dims", "over": ["qkv.heads", "qkv.heads"], "kept": [[[0], [1]], [[0], [1]]]}"#,
        "group 'qkv.head-dims' varies over 'qkv.heads' twice"
      ),
      (
        outers + #"{"name": "qkv.head-dims", "over": ["qkv.heads"], "kept": [[0], [4]]}"#,
        "group 'qkv.head-dims' keeps index 4, but has indices 0 to 3"
      ),
      (
        outers + #"{"name": "qkv.head-dims", "over": ["qkv.heads"], "kept": [[1, 0], [0, 1]]}"#,
        "group 'qkv.head-dims' keeps indices that are not in ascending order, each once"
      ),
    ])
  func bad(_ groups: String, _ message: String) throws {
    let error = #expect(throws: Diagnostic.self) { try read(groups) }
    #expect(error?.message == message)
  }
}
