import Graph
import Testing

@testable import Passes

/// Sums over axes are those of the numbers, whatever they are stored as.
@Suite("Axis sums") struct AxisSumsTests {
  @Test("as of the same numbers in f32, bit for bit", arguments: [ElementType.bf16, .f16, .f64, .i8, .u8], [true, false])
  func types(_ element: ElementType, squared: Bool) {
    let shape = [3, 21, 19]
    let sign: Double = element == .u8 ? 1 : -1
    var numbers: [Double] = []
    for at in 0..<3 * 21 * 19 {
      let size = Double(at * 37 % 101)
      numbers.append(at % 2 == 0 ? size : sign * size)
    }
    let wide = Tensor(reals: numbers, .f32, shape)
    let stored = Tensor(reals: numbers, element, shape)
    for axis in 0..<3 {
      func sums(_ tensor: Tensor) -> [Float] {
        AxisSums.sums(
          of: TensorContent(tensor.data, element: tensor.element, shape: shape), axis: axis, squared: squared)
      }
      #expect(sums(stored) == sums(wide))
      #expect(sums(stored).contains { $0 > 0 })
    }
  }

  @Test("numbers of other types give none")
  func none() {
    let whole = Tensor(wholes: [1, 2, 3, 4], .i64, [2, 2])
    #expect(AxisSums.sums(of: TensorContent(whole.data, element: .i64, shape: [2, 2]), axis: 0, squared: true) == [0, 0])
  }
}
