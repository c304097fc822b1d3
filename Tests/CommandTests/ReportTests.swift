import Foundation
import Graph
import Testing

@testable import prunec

/// `--report` as a user calls it: one page that stands by itself, whatever names a model has.
@Suite("The report")
struct ReportTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    try runner.write(SmallModel.perceptron(), "m.onnx")
  }

  private func page(_ name: String) throws -> PageReader { PageReader(try runner.contents(name)) }

  /// The perceptron with names that somebody chose to do harm.
  private func hostile(_ name: String) -> NamedModel {
    var model = SmallModel.perceptron()
    for index in model.initializers.indices where model.initializers[index].name == "fc1.weight" {
      let old = model.initializers[index]
      model.initializers[index] = NamedTensor(name: name, type: old.type, content: old.content)
    }
    for index in model.nodes.indices {
      model.nodes[index].inputs = model.nodes[index].inputs.map { $0 == "fc1.weight" ? name : $0 }
    }
    return model
  }

  @Test("the page is well-formed, needs nothing from elsewhere, and runs nothing")
  func standsAlone() throws {
    let outcome = try runner.run("m.onnx", "-o", "s.onnx", "--report", "r.html")
    #expect(outcome.code == 0)
    let page = try page("r.html")
    #expect(page.fault == nil)
    #expect(page.foreign.isEmpty)
    #expect(page.values("content").contains { $0.contains("default-src 'none'") })
    // What XML would read otherwise than HTML, the style sheet does not hold.
    #expect(!page.text(of: "style").contains { "\"'<>&".contains($0) })
    #expect(page.text(of: "style").contains("prefers-color-scheme:dark"))
  }

  @Test("it shows sizes before and after, widths, scores with the cut, what stays, and the graph")
  func sections() throws {
    #expect(try runner.run("m.onnx", "-o", "s.onnx", "--ratio", "0.25", "--report", "r.html").code == 0)
    let page = try page("r.html")
    #expect(page.values("id") == ["numbers", "widths", "scores", "graph", "stays", "tensors", "times"])
    #expect(page.text(of: "h1") == "m.onnx → s.onnx")
    // 4·16 + 16 + 16·3 + 3 numbers before, 4·12 + 12 + 12·3 + 3 after.
    #expect(page.text.contains("99") && page.text.contains("131"))
    #expect(page.text.contains("fc1.hidden") && page.text.contains("12 of 16"))
    #expect(page.text.contains("kept 12 of 16; kept from "))
    #expect(page.text.contains("Latency: median of "))
    #expect(page.text.contains("Asked for: 25.0 % of every group's indices to go"))
    #expect(page.text.contains("it is part of the interface: output y"))
  }

  @Test("without running the models there is no latency, and the page says why; nothing is drawn of scores where nothing went")
  func leftOut() throws {
    #expect(try runner.run("m.onnx", "-o", "s.onnx", "--no-check", "--report", "r.html").code == 0)
    var text = try page("r.html").text
    #expect(text.contains("not measured") && text.contains("--no-check: the models were not run"))
    #expect(!text.contains("Latency: median of "))
    #expect(try runner.run("m.onnx", "--dry-run", "--ratio", "0", "--report", "q.html").code == 0)
    text = try page("q.html").text
    #expect(text.contains("no model was written") && text.contains("not written") && text.contains("Nothing is removed"))
    #expect(try !page("q.html").values("id").contains("scores"))
    #expect(!runner.exists("s2.onnx"))
  }

  @Test(
    "names cannot break out of the page",
    arguments: [
      "</title><script>alert(1)</script>", "\"onload='alert(1)'x=\"", "]]><!--", "&lt;b&gt;&#0;",
      "a\u{202E}b\u{7}c\u{0}d\u{FFFF}",
      "</style><style>*{display:none}", "<svg/onload=alert(1)>.weight",
    ])
  func hostileNames(_ name: String) throws {
    try runner.write(hostile(name), "m.onnx")
    let outcome = try runner.run("m.onnx", "-o", "s.onnx", "--report", "r.html")
    // A name that the reader refuses cannot do harm either.
    guard outcome.code == 0 else {
      #expect(!runner.exists("r.html"))
      return
    }
    let page = try page("r.html")
    #expect(page.fault == nil)
    #expect(page.foreign.isEmpty)
    #expect(page.count("style") == 1 && page.count("title") > 1 && page.count("body") == 1)
    let text = String(decoding: try runner.contents("r.html"), as: UTF8.self)
    #expect(!text.contains("\u{202E}") && !text.contains("\u{7}"))
    #expect(!text.contains("<script") && !text.contains("<!--") && !text.contains("<style>*"))
  }

  @Test("a plain name stands in the page as it is")
  func plainNames() throws {
    try runner.write(hostile("Gewicht für α.weight"), "m.onnx")
    #expect(try runner.run("m.onnx", "-o", "s.onnx", "--report", "r.html").code == 0)
    #expect(try page("r.html").text.contains("Gewicht für α"))
  }

  @Test("two runs write the same page but for times")
  func repeatable() throws {
    var pages: [[String]] = []
    for _ in 0..<2 {
      #expect(try runner.run("m.onnx", "-o", "s.onnx", "--no-check", "--report", "r.html").code == 0)
      let text = String(decoding: try runner.contents("r.html"), as: UTF8.self)
      pages.append(text.split(separator: "\n").map(String.init).filter { !$0.contains(" in all: ") })
    }
    #expect(pages[0] == pages[1])
  }

  @Test("a page goes over no input and no other output, and a folder that is missing is said before anything is done")
  func refused() throws {
    for (arguments, code) in [
      (["--report", "r.txt"], Int32(2)), (["--report", "nowhere/r.html"], 5), (["--plan", "r.html", "--report", "r.html"], 2),
    ] {
      let outcome = try runner.run(CommandRunner.command, ["m.onnx", "-o", "s.onnx"] + arguments)
      #expect(outcome.code == code)
      #expect(outcome.errors.split(separator: "\n").count == 1)
      #expect(!runner.exists("s.onnx") && !runner.exists("r.html"))
    }
    try runner.write(SmallModel.perceptron(), "model.html")
    let bytes = try runner.contents("model.html")
    #expect(try runner.run("model.html", "--dry-run", "--report", "model.html").code == 5)
    #expect(try runner.contents("model.html") == bytes)
  }

  @Test("the JSON report names the page")
  func json() throws {
    let outcome = try runner.run("m.onnx", "-o", "s.onnx", "--json", "--report", "r.html")
    let fields = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(fields["report"] as? String == "r.html")
    #expect(runner.exists("r.html"))
  }
}
