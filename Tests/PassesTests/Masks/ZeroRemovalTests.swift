import Graph
import Testing

@testable import Passes
@testable import TestSupport

/// What `--remove-zeros` may remove, and beside each case one that looks alike and must stay. In all of them the outputs are the original's.
@Suite struct ZeroRemovalTests {
  private static func convolutions(pads: Int, between: String = "%a = relu %h : f32[1, 4, 8, 8]") -> String {
    """
    module m {
      opset 20
      param %one.weight : f32[4, 2, 3, 3]
      param %one.bias : f32[4]
      param %scale : f32[4]
      param %shift : f32[4]
      param %mean : f32[4]
      param %variance : f32[4]
      param %two.weight : f32[3, 4, 3, 3]
      func (%x: f32[1, 2, 8, 8]) -> (%y: f32[1, 3, \(6 + 2 * pads), \(6 + 2 * pads)]) {
        %h = conv %x, %one.weight, %one.bias pads=[1, 1, 1, 1] : f32[1, 4, 8, 8]
        \(between)
        %y = conv %a, %two.weight pads=[\(pads), \(pads), \(pads), \(pads)] : f32[1, 3, \(6 + 2 * pads), \(6 + 2 * pads)]
      }
    }
    """
  }

  @Test func aMaskedChannelOfAConvolutionGoesItsBiasMovesOn() throws {
    let model = try ZeroedModel(Self.convolutions(pads: 0), [("one.weight", 0, 1, 0), ("one.weight", 0, 3, 0)])
    #expect(model.removed("one.channels") == [1, 3])
    #expect(model.zeros.removed.first?.folded == [1, 3])
    #expect(model.zeros.biases.count == 1, "two had no bias, and gets one")
    #expect(try model.error() < 1e-6)
  }

  @Test func notIntoAPaddedConvolutionWhoseBordersSeeZeros() throws {
    let model = try ZeroedModel(Self.convolutions(pads: 1), [("one.weight", 0, 1, 0)])
    #expect(model.zeros.isEmpty)
    guard case .constantAtBorders = model.reason("one.channels") else {
      Issue.record("\(model.zeros.kept)")
      return
    }
    #expect(try model.error() == 0)
  }

  @Test func intoAPaddedConvolutionWhereTheConstantIsZero() throws {
    // A negative bias ends as relu's zero.
    let model = try ZeroedModel(Self.convolutions(pads: 1), [("one.weight", 0, 1, 0), ("one.bias", 0, 1, -0.5)])
    #expect(model.removed("one.channels") == [1])
    #expect(model.zeros.biases.isEmpty)
    #expect(try model.error() < 1e-6)
  }

  @Test func aChannelThatNobodyReadsGoesWhateverItCarries() throws {
    let model = try ZeroedModel(Self.convolutions(pads: 1), [("two.weight", 1, 2, 0)])
    #expect(model.removed("one.channels") == [2])
    #expect(try model.error() < 1e-6)
  }

  @Test func notAChannelWhoseBiasAloneIsZero() throws {
    let model = try ZeroedModel(Self.convolutions(pads: 0), [("one.bias", 0, 2, 0)])
    #expect(model.zeros.isEmpty)
  }

  private static let batchNorm = """
    %n = batch_norm %h, %scale, %shift, %mean, %variance epsilon=1e-05 : f32[1, 4, 8, 8]
        %a = sigmoid %n : f32[1, 4, 8, 8]
    """

  @Test func aBatchNormWithScaleZeroIsItsShift() throws {
    let model = try ZeroedModel(Self.convolutions(pads: 0, between: Self.batchNorm), [("scale", 0, 0, 0)])
    #expect(model.removed("one.channels") == [0])
    #expect(model.zeros.removed.first?.folded == [0], "sigmoid(shift) is not zero")
    #expect(try model.error() < 1e-6)
  }

  @Test func aBatchNormTurnsAMaskedChannelIntoAConstant() throws {
    // Neither weight nor bias is left, and (0 − mean) / deviation · scale + shift flows on.
    let zero: [ZeroedModel.Slice] = [("one.weight", 0, 2, 0), ("one.bias", 0, 2, 0)]
    let free = try ZeroedModel(Self.convolutions(pads: 0, between: Self.batchNorm), zero)
    #expect(free.removed("one.channels") == [2])
    #expect(try free.error() < 1e-6)
    let padded = try ZeroedModel(Self.convolutions(pads: 1, between: Self.batchNorm), zero)
    #expect(padded.zeros.isEmpty)
  }

  private static func gate(_ result: String) -> String {
    """
    module m {
      opset 20
      param %up.weight : f32[5, 6]
      param %up.bias : f32[6]
      param %gate.weight : f32[5, 6]
      param %down.weight : f32[6, 3]
      func (%x: f32[batch, 5]) -> (%y: f32[batch, 3]) {
        %u = gemm %x, %up.weight, %up.bias : f32[batch, 6]
        %g = matmul %x, %gate.weight : f32[batch, 6]
        %s = sigmoid %g : f32[batch, 6]
        %p = \(result) : f32[batch, 6]
        %y = matmul %p, %down.weight : f32[batch, 3]
      }
    }
    """
  }

  @Test func zeroTimesAnythingIsZero() throws {
    let model = try ZeroedModel(Self.gate("mul %u, %s"), [("up.weight", 1, 4, 0), ("up.bias", 0, 4, 0)])
    #expect(model.removed("up.hidden") == [4])
    #expect(try model.error() < 1e-6)
  }

  @Test func aGateThatIsHalfOpenStillLetsThrough() throws {
    // sigmoid(0) is one half: a gate of zeros does not close.
    let model = try ZeroedModel(Self.gate("mul %u, %s"), [("gate.weight", 1, 4, 0)])
    #expect(model.zeros.isEmpty)
    #expect(model.reason("up.hidden") == .carriesSignal)
  }

  @Test func aSumOfTwoConstantsIsFoldedAndOfOneIsNot() throws {
    let both = try ZeroedModel(Self.gate("add %u, %s"), [("gate.weight", 1, 4, 0), ("up.weight", 1, 4, 0)])
    #expect(both.removed("up.width") == [4])
    #expect(both.zeros.removed.first?.folded == [4])
    #expect(try both.error() < 1e-6)
    let one = try ZeroedModel(Self.gate("add %u, %s"), [("up.weight", 1, 4, 0), ("up.bias", 0, 4, 0)])
    #expect(one.zeros.isEmpty)
  }

  private static func residual(norm: String) -> String {
    """
    module m {
      opset 20
      param %in.weight : f32[5, 6]
      param %block.weight : f32[6, 6]
      param %block.bias : f32[6]
      param %norm.weight : f32[6]
      param %norm.bias : f32[6]
      param %out.weight : f32[6, 3]
      func (%x: f32[batch, 5]) -> (%y: f32[batch, 3]) {
        %r = matmul %x, %in.weight : f32[batch, 6]
        %b = gemm %r, %block.weight, %block.bias : f32[batch, 6]
        %s = add %r, %b : f32[batch, 6]
        \(norm)
        %y = matmul %n, %out.weight : f32[batch, 3]
      }
    }
    """
  }

  @Test func aResidualStreamNeedsAllItsWritersToBeEmpty() throws {
    let plain = Self.residual(norm: "%n = relu %s : f32[batch, 6]")
    let all: [ZeroedModel.Slice] = [("in.weight", 1, 2, 0), ("block.weight", 1, 2, 0), ("block.bias", 0, 2, 0)]
    let model = try ZeroedModel(plain, all)
    #expect(model.removed("in.width") == [2])
    #expect(try model.error() < 1e-6)
    #expect(try ZeroedModel(plain, Array(all.dropLast(2))).zeros.isEmpty, "one writer is not empty")
  }

  @Test func notUnderANormWhoseMeanCountsTheIndex() throws {
    let normed = Self.residual(norm: "%n = layer_norm %s, %norm.weight, %norm.bias axis=-1 : f32[batch, 6]")
    let model = try ZeroedModel(
      normed, [("in.weight", 1, 2, 0), ("block.weight", 1, 2, 0), ("block.bias", 0, 2, 0), ("out.weight", 0, 2, 0)])
    #expect(model.zeros.isEmpty)
    #expect(model.reason("in.width") == .mixed)
  }

  @Test func notUnderASoftmaxOverTheIndices() throws {
    let soft = Self.residual(norm: "%n = softmax %s axis=-1 : f32[batch, 6]")
    let model = try ZeroedModel(soft, [("block.weight", 0, 2, 0), ("out.weight", 0, 2, 0)])
    #expect(model.zeros.isEmpty)
    #expect(model.reason("in.width") == .mixed)
  }

  @Test func whatLosesItsReaderGoesInTheNextRound() throws {
    // Unit 3 of the second layer is read by nobody; unit 1 of the first is read by unit 3 alone.
    let text = """
      module m {
        opset 20
        param %a.weight : f32[4, 5]
        param %b.weight : f32[5, 6]
        param %c.weight : f32[6, 2]
        func (%x: f32[batch, 4]) -> (%y: f32[batch, 2]) {
          %h = matmul %x, %a.weight : f32[batch, 5]
          %r = relu %h : f32[batch, 5]
          %k = matmul %r, %b.weight : f32[batch, 6]
          %s = relu %k : f32[batch, 6]
          %y = matmul %s, %c.weight : f32[batch, 2]
        }
      }
      """
    let alone = (0..<6).filter { $0 != 3 }.map { ("b.weight", 1, $0) }
    var module = RandomFilled.module(text)
    module = try ZeroedModel.setting([("c.weight", 0, 3, 0)], in: module)
    let index = try #require(module.parameters.firstIndex { module[$0.value].name == "b.weight" })
    let tensor = try #require(Tensor(module.parameters[index].content))
    var numbers = tensor.reals
    for (_, _, column) in alone { numbers[1 * 6 + column] = 0 }
    let set = Tensor(reals: numbers, .f32, tensor.shape)
    module.parameters[index].content = TensorContent(set.data, element: .f32, shape: set.shape)
    let model = try ZeroedModel(module)
    #expect(model.removed("b.hidden") == [3])
    #expect(model.removed("a.hidden") == [1])
    #expect(try model.error() < 1e-6)
  }

  @Test func theInterfaceKeepsItsEmptyOutputs() throws {
    let text = """
      module m {
        opset 20
        param %a.weight : f32[4, 5]
        func (%x: f32[batch, 4]) -> (%y: f32[batch, 5]) {
          %y = matmul %x, %a.weight : f32[batch, 5]
        }
      }
      """
    let model = try ZeroedModel(text, [("a.weight", 1, 2, 0)])
    #expect(model.zeros.isEmpty)
    #expect(model.zeros.kept.isEmpty)
  }

  @Test func atLeastOneIndexOfAnEmptyLayerStays() throws {
    let model = try ZeroedModel(
      Self.gate("mul %u, %s"), (0..<6).flatMap { [("up.weight", 1, $0, 0), ("up.bias", 0, $0, 0)] })
    #expect(model.removed("up.hidden") == [1, 2, 3, 4, 5])
    #expect(model.reason("up.hidden") == .least(1))
    #expect(try model.error() == 0)
  }

  @Test func aMaskThatHoldsNoNumberProvesNothing() throws {
    let model = try ZeroedModel(Self.gate("mul %u, %s"), [("up.weight", 1, 4, 0), ("up.bias", 0, 4, .nan)])
    #expect(model.zeros.isEmpty)
  }
}

/// A model given as text, with random numbers.
enum RandomFilled {
  static func module(_ text: String) -> Module {
    guard let parsed = try? ModuleParser.parse(text) else { return Module(name: "broken") }
    return RandomWeights.filling(parsed, seed: 3)
  }
}
