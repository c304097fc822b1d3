import Formats
import Foundation
import Graph
import Testing

@testable import prunec

@Suite("The verb differentiate, and criteria by their names")
struct DifferentiateVerbTests {
  private let runner: CommandRunner

  init() throws {
    runner = try CommandRunner()
    try runner.write(SmallModel.perceptron(), "m.onnx")
  }

  @Test("Gradients are written as a model, which runs and can be read as text")
  func written() throws {
    let outcome = try runner.run("differentiate", "m.onnx", "--loss", "sum-squares", "-o", "g.onnx")
    #expect(outcome.code == 0 && outcome.output.hasPrefix("g.onnx: 4 gradients"), "\(outcome)")
    #expect(try runner.run("verify-dimensions", "g.onnx").code == 0)
    let run = try runner.run("run", "g.onnx")
    #expect(run.code == 0 && run.output.contains("grad.fc1.weight") && run.output.contains("loss"))
    let text = try runner.run("differentiate", "m.onnx", "--loss", "mse", "--only", "fc2.*")
    #expect(text.output.contains("%target") && text.output.contains("%grad.fc2.bias") && !text.output.contains("%grad.fc1"))
    try runner.write(text.output, "g.ir")
    #expect(try runner.run("verify-dimensions", "g.ir").code == 0)
  }

  @Test("A wrong call is one line, with what to do")
  func refused() throws {
    func message(_ arguments: String...) throws -> String {
      try runner.run(CommandRunner.command, ["differentiate", "m.onnx"] + arguments).errors
    }
    #expect(try message().contains("--loss is missing"))
    #expect(try message("--loss", "sum-square").contains("sum-squares"))
    #expect(try message("--loss", "mse", "--of", "q").contains("the model has no output 'q'"))
    #expect(try message("--loss", "mse", "--only", "nothing").contains("--only matches no real parameter"))
    #expect(try message("--loss", "next-token").contains("[batch, positions, vocabulary]"))
    #expect(!runner.exists("g.onnx"))
  }

  @Test(
    "Every criterion of weights compiles, with every option; those of gradients with data",
    arguments: ["l1", "l2", "linf", "bn-scale", "fpgm", "lamp", "remain", "random"])
  func criteria(name: String) throws {
    let outcome = try runner.run("m.onnx", "-o", "s.onnx", "--criterion", name)
    #expect(outcome.code == 0, "\(outcome.errors)")
    if name != "random" {
      #expect(try runner.run("m.onnx", "-o", "t.onnx", "--criterion", name, "--aggregate", "max", "--normalise", "sum").code == 0)
    }
  }

  @Test("Combinations that make no sense are refused with both names")
  func senseless() throws {
    func message(_ arguments: String...) throws -> String {
      let outcome = try runner.run(CommandRunner.command, ["m.onnx", "-o", "s.onnx"] + arguments)
      #expect(outcome.code == 2)
      return outcome.errors
    }
    #expect(
      try message("--criterion", "taylor").contains(
        "--criterion taylor goes by gradients, so it needs --data; without data there are random, l1"))
    #expect(try message("--loss", "mse").contains("--loss is differentiated by criteria of gradients; l2 is none"))
    #expect(try message("--criterion", "random", "--aggregate", "max").contains("--aggregate has no figures"))
    #expect(try message("--normalise", "gaussian", "--scope", "global").contains("gaussian gives figures below 0"))
    #expect(!runner.exists("s.onnx"))
  }
}
