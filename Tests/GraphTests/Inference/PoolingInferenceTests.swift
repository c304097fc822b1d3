import Graph
import Testing

@Suite("Types of pools, resizing and transforms")
struct PoolingInferenceTests {
  @Test("windows: floor or ceiling; no window begins in the padded end")
  func windows() {
    let two: AttributeValue = .ints([2])
    #expect(inferred("MaxPool", "f32[n, 3, 7]", [.kernelShape: two, .strides: two], results: 2) == "f32[n, 3, 3]; i64[n, 3, 3]")
    #expect(inferred("MaxPool", "f32[n, 3, 7]", [.kernelShape: two, .strides: two, .ceilMode: .int(1)]) == "f32[n, 3, 4]")
    #expect(
      inferred("AveragePool", "f32[n, 3, 6]", [.kernelShape: .ints([1]), .strides: .ints([3]), .ceilMode: .int(1)])
        == "f32[n, 3, 2]")
    #expect(
      inferred("AveragePool", "f32[n, 3, 6]", [.kernelShape: two, .strides: two, .pads: .ints([1, 1]), .ceilMode: .int(1)])
        == "f32[n, 3, 4]")
    #expect(inferred("LpPool", "f32[n, 3, 9]", [.kernelShape: two, .dilations: .ints([3])]) == "f32[n, 3, 6]")
    #expect(
      inferred("MaxPool", "f32[n, 3, h]", [.kernelShape: .ints([3]), .strides: two, .ceilMode: .int(1)])
        == "f32[n, 3, floor(h/2)]")
    #expect(inferred("MaxPool", "f32[n, 3, 7]") == "failure: the attribute kernel_shape is missing")
    #expect(
      inferred("MaxPool", "f32[n, 3, 7, 7]", [.kernelShape: two])
        == "failure: kernel_shape [2] does not fit the 2 spatial axes of f32[n, 3, 7, 7]")
    #expect(
      inferred("MaxPool", "f32[n, 3, 7]", [.kernelShape: .ints([8])])
        == "failure: a window of 8 does not fit spatial axis 0 of extent 7")
    #expect(inferred("GlobalAveragePool", "f32[n, 3, h, w]") == "f32[n, 3, 1, 1]")
  }

  @Test("unpooling inverts the window, or takes the stated shape")
  func unpool() {
    let operands = "f32[n, 3, 4]; i64[n, 3, 4]"
    #expect(inferred("MaxUnpool", operands, [.kernelShape: .ints([3]), .strides: .ints([2])]) == "f32[n, 3, 9]")
    #expect(
      inferred("MaxUnpool", operands + "; i64[3]", [.kernelShape: .ints([2])], known: [2: .list(1, 3, 10)])
        == "f32[1, 3, 10]")
    #expect(
      inferred("MaxUnpool", "f32[n, 3, 4]; i64[n, 3, 5]", [.kernelShape: .ints([2])])
        == "failure: shapes [n, 3, 4] and [n, 3, 5] do not broadcast: 4 meets 5")
  }

  @Test("sizes name extents, of all axes or of some")
  func sizes() {
    let operands = "f32[n, 3, 8, 6]; -; -; i64[4]"
    #expect(inferred("Resize", operands, known: [3: .list(2, 3, 16, 16)]) == "f32[2, 3, 16, 16]")
    #expect(inferred("Resize", operands, known: [3: KnownValue(list: [.symbol("n"), 3, 16, 9])]) == "f32[n, 3, 16, 9]")
    #expect(
      inferred(
        "Resize", operands, known: [3: KnownValue(shape: [4], entries: [.unknown, .whole(3), .whole(16), .unknown]) ?? .list()])
        == "f32[?y.0.0, 3, 16, ?y.0.3]")
    let some = "f32[n, 3, 8, 6]; -; -; i64[2]"
    #expect(inferred("Resize", some, [.axes: .ints([2, -1])], known: [3: .list(16, 9)]) == "f32[n, 3, 16, 9]")
    #expect(
      inferred("Resize", some, [.axes: .ints([2, 3]), .keepAspectRatioPolicy: .string("not_larger")], known: [3: .list(16, 9)])
        == "f32[n, 3, 12, 9]")
    #expect(
      inferred("Resize", some, [.axes: .ints([2, 3]), .keepAspectRatioPolicy: .string("not_smaller")], known: [3: .list(16, 9)])
        == "f32[n, 3, 16, 12]")
    #expect(inferred("Resize", some, known: [3: .list(16, 9)]) == "failure: sizes has 2 numbers for 4 axes")
    #expect(inferred("Resize", "f32[n, 3, 8, 6]") == "failure: neither scales nor sizes are given")
  }

  @Test("scales multiply, rounding down; symbols by their fraction")
  func scales() throws {
    func resized(_ shape: String, _ scales: KnownValue?) -> String {
      inferred("Resize", "\(shape); f32[0]; f32[3]", known: scales.map { [2: $0] } ?? [:])
    }
    #expect(resized("f32[n, 3, 7]", .reals(1, 1, 2)) == "f32[n, 3, 14]")
    #expect(resized("f32[n, 3, 7]", .reals(1, 1, 0.5)) == "f32[n, 3, 3]")
    // 0.7 in 32 bits is a little less than 0.7, its product with 10 rounds to 7.
    #expect(resized("f32[n, 3, 10]", .reals(1, 1, Double(Float(0.7)))) == "f32[n, 3, 7]")
    #expect(resized("f32[n, 3, h]", .reals(1, 1, 2)) == "f32[n, 3, 2*h]")
    #expect(resized("f32[n, 3, 2*h]", .reals(1, 1, 1.5)) == "f32[n, 3, 3*h]")
    #expect(resized("f32[n, 3, h]", .reals(1, 1, Double(Float(1) / 3))) == "f32[n, 3, floor(h/3)]")
    #expect(resized("f32[n, 3, h]", .reals(nil, 1, 1)) == "f32[?y.0.0, 3, h]")
    #expect(resized("f32[n, 3, h]", nil) == "f32[?y.0.0, ?y.0.1, ?y.0.2]")
    #expect(resized("f32[n, 3, 7]", .reals(1, 1, 0)) == "failure: scales name 0.0 for axis 2, which is not positive")
    let scales = try #require(KnownValue.reals(1, 2))
    #expect(inferred("Upsample", "f32[n, 3]; f32[2]", opset: 9, known: [1: scales]) == "f32[n, 6]")
  }

  @Test("regions: one image per region")
  func regions() {
    #expect(
      inferred("RoiAlign", "f32[1, 8, h, w]; f32[r, 4]; i64[r]", [.outputHeight: .int(7), .outputWidth: .int(5)])
        == "f32[r, 8, 7, 5]")
    #expect(inferred("MaxRoiPool", "f32[1, 8, h, w]; f32[r, 5]", [.pooledShape: .ints([7, 7])]) == "f32[r, 8, 7, 7]")
    #expect(
      inferred("RoiAlign", "f32[1, 8, h, w]; f32[6, 4]; i64[5]")
        == "failure: the batch indices holds 5 numbers where 6 are expected")
    #expect(
      inferred("RoiAlign", "f32[1, 8, h, w]; f32[6, 5]; i64[6]")
        == "failure: the regions have 5 numbers each where 4 are expected")
  }

  @Test("grids: spatial axes of the result are those of the grid")
  func grids() {
    #expect(inferred("GridSample", "f32[n, 8, 4, 4]; f32[n, 9, 7, 2]") == "f32[n, 8, 9, 7]")
    #expect(
      inferred("GridSample", "f32[n, 8, 4, 4]; f32[n, 9, 7, 3]")
        == "failure: the grid has 3 coordinates, the input 2 spatial axes")
    #expect(inferred("AffineGrid", "f32[n, 2, 3]; i64[4]", known: [1: .list(1, 3, 9, 7)]) == "f32[n, 9, 7, 2]")
    #expect(inferred("AffineGrid", "f32[n, 3, 4]; i64[5]") == "f32[n, ?y.0.1, ?y.0.2, ?y.0.3, 3]")
    #expect(inferred("AffineGrid", "f32[n, 2, 3]; i64[5]") == "failure: theta has 2 rows where 3 are expected")
  }

  @Test("Fourier transforms: whole or half a spectrum, and back")
  func fourier() {
    #expect(inferred("DFT", "f32[n, 16, 1]") == "f32[n, 16, 2]")
    #expect(inferred("DFT", "f32[n, 16, 1]", [.onesided: .int(1)]) == "f32[n, 9, 2]")
    #expect(inferred("DFT", "f32[n, 9, 2]", [.onesided: .int(1), .inverse: .int(1)]) == "f32[n, 16, 1]")
    #expect(inferred("DFT", "f32[4, 16, 5, 1]; -; i64[]", known: [2: KnownValue(scalar: 0)]) == "f32[4, 16, 5, 2]")
    #expect(inferred("DFT", "f32[4, 16, 5, 1]; i64[]", opset: 17, known: [1: KnownValue(scalar: 8)]) == "f32[4, 8, 5, 2]")
    #expect(
      inferred("DFT", "f32[4, 16, 1]; -; i64[]", known: [2: KnownValue(scalar: 2)])
        == "failure: axis 2 is the last one, which holds real and imaginary parts")
    let step: [Int: KnownValue] = [1: KnownValue(scalar: 8)]
    #expect(inferred("STFT", "f32[n, 128, 1]; i64[]; f32[16]", known: step) == "f32[n, 15, 9, 2]")
    #expect(inferred("STFT", "f32[n, 128, 1]; i64[]; f32[16]", [.onesided: .int(0)], known: step) == "f32[n, 15, 16, 2]")
    #expect(
      inferred("STFT", "f32[n, 128, 1]; i64[]; f32[16]; i64[]", known: [1: KnownValue(scalar: 8), 3: KnownValue(scalar: 32)])
        == "failure: frame_length is 32, the window has 16 numbers")
  }
}
