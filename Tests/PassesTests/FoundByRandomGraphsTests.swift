import Graph
import Testing

@testable import Passes

/// What random graphs found, each as small as it gets.
@Suite("Found by random graphs")
struct FoundByRandomGraphsTests {
  /// Layouts of a module in the text form.
  static func solve(_ text: String) throws -> Solution {
    var compilation = Compilation(try ModuleParser.parse("module m {\n" + text + "\n}\n"), options: CompileOptions())
    for pass in Pipeline.solve { try pass.run(&compilation) }
    return try #require(compilation.solution)
  }

  /// The lines of the smaller module that keeps some indices of the groups on the given axes of parameters ("w:0").
  static func shrink(_ text: String, keep: [String: [Int]]) throws -> [String] {
    let solution = try solve(text)
    var compilation = Compilation(solution.module, options: CompileOptions())
    compilation.inferred = solution.inferred
    compilation.solution = solution
    var plan = Plan(kept: Array(repeating: nil, count: solution.groups.count))
    for (place, kept) in keep { plan.kept[try #require(try groups(solution, place).first)] = kept }
    compilation.plan = plan
    for pass in [Pipeline.shrink, Pipeline.verify] { try pass.run(&compilation) }
    return ModulePrinter.print(compilation.module).split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
  }

  /// Groups on an axis of a parameter.
  static func groups(_ solution: Solution, _ place: String) throws -> [Int] {
    let parts = place.split(separator: ":")
    let value = try #require(solution.module.values.firstIndex { $0.name == parts[0] })
    return solution.groups(in: solution.axes[value][try #require(Int(parts[1]))])
  }

  @Test("scales of a resize are one number per axis: no group; the channels it passes are one")
  func resizeScales() throws {
    let solution = try Self.solve(
      """
        opset 18
        param %w : f32[6, 3, 1, 1]
        param %v : f32[2, 6, 1, 1]
        param %scales : f32[4] = [1.0, 1.0, 2.0, 2.0]
        func (%x: f32[1, 3, 4, 4]) -> (%y: f32[1, 2, 8, 8]) {
          %a = conv %x, %w : f32[1, 6, 4, 4]
          %b = resize %a, _, %scales mode="nearest" : f32[1, 6, 8, 8]
          %y = conv %b, %v : f32[1, 2, 8, 8]
        }
      """)
    #expect(try Self.groups(solution, "scales:0").isEmpty)
    #expect(try Self.groups(solution, "w:0") == Self.groups(solution, "v:1"))
    #expect(try !Self.groups(solution, "w:0").isEmpty)
  }

  @Test("the two values of a one-hot are no group")
  func oneHotValues() throws {
    let solution = try Self.solve(
      """
        param %values : f32[2] = [0.0, 1.0]
        param %depth : i64[] = 5
        param %table : f32[5, 4]
        param %out : f32[4, 2]
        func (%x: i64[1, 3]) -> (%y: f32[1, 3, 2]) {
          %hot = one_hot %x, %depth, %values : f32[1, 3, 5]
          %a = matmul %hot, %table : f32[1, 3, 4]
          %y = matmul %a, %out : f32[1, 3, 2]
        }
      """)
    #expect(try Self.groups(solution, "values:0").isEmpty)
    #expect(try !Self.groups(solution, "table:1").isEmpty)
  }

  @Test("asking for the shape of a vector is no use of its numbers: the vector stays one, and its shape follows")
  func shapeOfParameter() throws {
    let text = """
        param %token : f32[1, 1, 4]
        param %w : f32[4, 2]
        param %zero : i64[1] = [0]
        param %two : i64[1] = [2]
        param %one : i64[1] = [1]
        func (%x: f32[batch, 3]) -> (%y: f32[batch, 1, 2]) {
          %sx = shape %x : i64[2]
          %b = gather %sx, %zero : i64[1]
          %st = shape %token : i64[3]
          %c = gather %st, %two : i64[1]
          %to = concat %b, %one, %c axis=0 : i64[3]
          %e = expand %token, %to : f32[batch, 1, 4]
          %y = matmul %e, %w : f32[batch, 1, 2]
        }
      """
    #expect(try Self.solve(text).module.parameters.count == 5)
    let lines = try Self.shrink(text, keep: ["w:0": [1, 3]])
    #expect(lines.contains { $0.hasPrefix("param %token : f32[1, 1, 2]") })
    #expect(lines.contains("%e = expand %token, %to : f32[batch, 1, 2]"))
  }

  @Test("a weight behind a reshape is data, not a shape number that gets its old numbers back; a scale from a shape is")
  func reshapedWeight() throws {
    let lines = try Self.shrink(
      """
        param %w : f32[10, 8, 2]
        param %to : i64[2] = [0, 16]
        param %v : f32[16, 2]
        param %last : i64[] = -1
        func (%x: f32[1, 10]) -> (%y: f32[1, 2]) {
          %flat = reshape %w, %to : f32[10, 16]
          %h = matmul %x, %flat : f32[1, 16]
          %s = shape %h : i64[2]
          %n = gather %s, %last : i64[]
          %f = cast %n to=1 : f32[]
          %d = div %h, %f : f32[1, 16]
          %y = matmul %d, %v : f32[1, 2]
        }
      """, keep: ["w:1": [0, 5, 6]])
    #expect(lines.contains("%flat = reshape %w, %to : f32[10, 6]"))
    #expect(lines.contains("param %to : i64[2] = [0, 6]"))
    #expect(lines.contains { $0.hasPrefix("%f = cast %") && !$0.contains("%n ") } || lines.contains { $0.contains("= 16") })
  }
}
