import Graph
import Testing

@Suite struct PoolingEvaluationTests {
  private let row = NumberTensor.real([1, 3, 2, 5, 4], [1, 1, 5])
  private let two: [AttributeName: AttributeValue] = [.kernelShape: .ints([2])]

  private func with(_ more: [AttributeName: AttributeValue]) -> [AttributeName: AttributeValue] { two.merging(more) { $1 } }

  @Test func theLargestNumberOfEachWindowAndItsPlace() throws {
    let pooled = try evaluated("MaxPool", [row], two, outputs: 2)
    #expect(pooled[0].reals == [3, 3, 5, 5])
    #expect(pooled[1].wholes == [1, 1, 3, 3])
    #expect(try evaluated("MaxPool", [row], with([.strides: .ints([2])])).reals == [3, 5])
    #expect(try evaluated("MaxPool", [row], with([.strides: .ints([2]), .ceilMode: .int(1)])).reals == [3, 5, 4])
    #expect(try evaluated("MaxPool", [row], with([.dilations: .ints([3])])).reals == [5, 4])
    #expect(failure("MaxPool", [row]).contains("kernel_shape"))
    #expect(!failure("MaxPool", [row], [.kernelShape: .ints([0])]).isEmpty)
  }

  @Test func placesCountThroughAllImagesRowByRowOrColumnByColumn() throws {
    let images = NumberTensor.real([0, 1, 2, 3, 0, 0, 0, 9, 0, 0, 0, 0], [1, 2, 2, 3])
    let window: [AttributeName: AttributeValue] = [.kernelShape: .ints([2, 3])]
    #expect(try evaluated("MaxPool", [images], window, outputs: 2)[1].wholes == [3, 7])
    let turned = try evaluated("MaxPool", [images], window.merging([.storageOrder: .int(1)]) { $1 }, outputs: 2)
    #expect(turned[1].wholes == [1, 8])
  }

  @Test func paddingIsLessThanAnyNumber() throws {
    let padded = with([.kernelShape: .ints([3]), .pads: .ints([1, 1])])
    #expect(try evaluated("MaxPool", [.real([-1, -2], [1, 1, 2])], padded).reals == [-1, -1])
    #expect(try evaluated("MaxPool", [.whole([-128, -128], [1, 1, 2], .i8)], padded).wholes == [-128, -128])
    #expect(try evaluated("MaxPool", [.real([.nan, 7, 1, 0], [1, 1, 4])], two).reals.map(\.isNaN) == [true, false, false])
  }

  @Test func averagesLeaveOutPaddingUnlessAsked() throws {
    let data = NumberTensor.real([2, 4], [1, 1, 2])
    let padded = with([.kernelShape: .ints([3]), .pads: .ints([1, 1])])
    #expect(try evaluated("AveragePool", [data], padded).reals == [3, 3])
    #expect(try evaluated("AveragePool", [data], padded.merging([.countIncludePad: .int(1)]) { $1 }).reals == [2, 2])
    // Where a window hangs over the end, what it lacks is not even padding.
    let over = with([.strides: .ints([2]), .ceilMode: .int(1), .countIncludePad: .int(1)])
    #expect(try evaluated("AveragePool", [row], over).reals == [2, 3.5, 4])
  }

  @Test func normsAndWholeImages() throws {
    let data = NumberTensor.real([3, -4, 0, 0], [1, 2, 2])
    #expect(try evaluated("LpPool", [data], two).reals == [5, 0])
    #expect(try evaluated("LpPool", [data], with([.p: .int(1)])).reals == [7, 0])
    #expect(try evaluated("GlobalAveragePool", [data]).reals == [-0.5, 0])
    #expect(try evaluated("GlobalMaxPool", [data]).reals == [3, 0])
    #expect(try evaluated("GlobalLpPool", [data], [.p: .int(1)]).reals == [7, 0])
    #expect(try evaluated("GlobalMaxPool", [.counting([1, 2, 2, 2])]).shape == [1, 2, 1, 1])
  }

  @Test func unpoolingPutsNumbersBack() throws {
    let data = NumberTensor.real([5, 6], [1, 1, 2])
    let window = with([.strides: .ints([2])])
    #expect(try evaluated("MaxUnpool", [data, .whole([1, 2], [1, 1, 2])], window).reals == [0, 5, 6, 0])
    let larger = try evaluated("MaxUnpool", [data, .whole([1, 2], [1, 1, 2]), .whole([1, 1, 5])], window)
    #expect(larger.reals == [0, 5, 6, 0, 0])
    for index in [-1, 4, Int.max] {
      #expect(failure("MaxUnpool", [data, .whole([1, index], [1, 1, 2])], window).contains("index \(index) is outside"))
    }
  }
}

@Suite struct ResizeEvaluationTests {
  private let pair = NumberTensor.real([0, 10], [1, 1, 2])

  private func doubled(_ attributes: [AttributeName: AttributeValue]) throws -> [Double] {
    try evaluated("Resize", [pair, nil, .real([1, 1, 2])], attributes).reals
  }

  @Test func theNearestNumberOrWhatLiesBetween() throws {
    #expect(try doubled([:]) == [0, 0, 10, 10])
    #expect(try doubled([.mode: .string("linear")]) == [0, 2.5, 7.5, 10])
    #expect(try evaluated("Resize", [pair, nil, nil, .whole([1, 1, 3])]).reals == [0, 0, 10])
    #expect(try evaluated("Resize", [pair, nil, nil, .whole([1, 1, 1])], [.mode: .string("linear")]).reals == [5])
    #expect(try evaluated("Resize", [pair, nil, nil, .whole([4])], [.axes: .ints([2])]).shape == [1, 1, 4])
  }

  @Test func coordinatesFollowTheirRule() throws {
    func linear(_ rule: String) throws -> [Double] {
      try doubled([.mode: .string("linear"), .coordinateTransformationMode: .string(rule)])
    }
    #expect(try linear("asymmetric") == [0, 5, 10, 10])
    let aligned = try linear("align_corners")
    #expect(aligned.first == 0 && aligned.last == 10)
    #expect(zip(aligned, [0, 10.0 / 3, 20.0 / 3, 10]).allSatisfy { abs($0 - $1) < 1e-5 })
    #expect(try linear("half_pixel_symmetric") == linear("half_pixel"))
    func nearest(_ rule: String) throws -> [Double] {
      try doubled([.coordinateTransformationMode: .string("asymmetric"), .nearestMode: .string(rule)])
    }
    #expect(try nearest("floor") == [0, 0, 10, 10])
    #expect(try nearest("ceil") == [0, 10, 10, 10])
    #expect(try nearest("round_prefer_floor") == [0, 0, 10, 10])
    #expect(try nearest("round_prefer_ceil") == [0, 10, 10, 10])
    let unknown = failure("Resize", [pair, nil, .real([1, 1, 2])], [.coordinateTransformationMode: .string("upside_down")])
    #expect(unknown.contains("upside_down"))
  }

  @Test func regionsAreCutOutAndPlacesOutsideAreFilled() throws {
    let attributes: [AttributeName: AttributeValue] = [
      .mode: .string("linear"), .coordinateTransformationMode: .string("tf_crop_and_resize"), .extrapolationValue: .float(-1),
    ]
    let cut = try evaluated("Resize", [.counting([4]), .real([0.5, 2]), nil, .whole([4])], attributes)
    #expect(cut.reals == [1.5, 3, -1, -1])
    #expect(failure("Resize", [.counting([4]), .real([0.5]), nil, .whole([4])], attributes).contains("region"))
  }

  @Test func cubicCurvesReproduceStraightLines() throws {
    // True of the curve with a = −0.5, away from the borders; with a = −0.75 it is not.
    let scales: [NumberTensor?] = [.counting([8]), nil, .real([2])]
    let straight = try evaluated("Resize", scales, [.mode: .string("cubic"), .cubicCoefficientA: .float(-0.5)]).reals
    func line(_ index: Int) -> Double { (Double(index) + 0.5) / 2 - 0.5 }
    #expect((4..<12).allSatisfy { abs(straight[$0] - line($0)) < 1e-5 })
    let bent = try evaluated("Resize", scales, [.mode: .string("cubic")]).reals
    #expect((4..<12).contains { abs(bent[$0] - straight[$0]) > 1e-3 })
  }

  @Test func antialiasingAveragesWhatIsSqueezed() throws {
    let spike = NumberTensor.real([0, 0, 8, 0, 0, 0, 0, 0])
    let halved = try evaluated("Resize", [spike, nil, .real([0.5])], [.mode: .string("linear"), .antialias: .int(1)]).reals
    #expect(abs(halved.reduce(0, +) - 4) < 1e-5)
    #expect(halved[0] > 0 && halved[1] > halved[0] && halved[3] == 0)
    #expect(try evaluated("Resize", [spike, nil, .real([0.5])], [.mode: .string("linear")]).reals == [0, 4, 0, 0])
  }

  @Test func scalesOfNoUseAreRefused() throws {
    for scale in [0, -1, Double.nan, .infinity] {
      #expect(!failure("Resize", [pair, nil, .real([1, 1, scale])]).isEmpty, "\(scale)")
    }
    #expect(!failure("Resize", [pair, nil, .real([1, 2])]).isEmpty)
    #expect(try evaluated("Upsample", opset: 9, [pair, .real([1, 1, 2])]).reals == [0, 0, 10, 10])
  }
}

@Suite struct SamplingEvaluationTests {
  private let square = NumberTensor.real([0, 1, 2, 3], [1, 1, 2, 2])

  private func sampled(_ x: Double, _ y: Double, _ attributes: [AttributeName: AttributeValue] = [:]) throws -> Double {
    try evaluated("GridSample", [square, .real([x, y], [1, 1, 1, 2])], attributes).reals.first ?? .nan
  }

  @Test func theFirstCoordinateNamesTheColumn() throws {
    let aligned: [AttributeName: AttributeValue] = [.alignCorners: .int(1)]
    #expect(try sampled(0, 0) == 1.5)
    #expect(try sampled(-1, -1, aligned) == 0)
    #expect(try sampled(1, -1, aligned) == 1)
    #expect(try sampled(-1, 1, aligned) == 2)
    // Unless corners are aligned, −1 is the border of the image, half a place beyond its first number.
    #expect(try sampled(-0.5, -0.5) == 0)
    #expect(try sampled(0.5, -0.5) == 1)
    #expect(try sampled(1, 0.5) == 1.5)
    #expect(try sampled(0.4, -0.5, [.mode: .string("nearest")]) == 1)
  }

  @Test func placesOutside() throws {
    #expect(try sampled(5, 5) == 0)
    #expect(try sampled(5, 5, [.paddingMode: .string("border")]) == 3)
    #expect(try sampled(1.5, -0.5, [.paddingMode: .string("reflection")]) == 1)
    for wild in [1e30, -1e30, .infinity, .nan] {
      for padding in ["zeros", "border", "reflection"] {
        for mode in ["nearest", "linear", "cubic"] {
          _ = try sampled(wild, wild, [.paddingMode: .string(padding), .mode: .string(mode)])
        }
      }
    }
    #expect(failure("GridSample", [square, .real([0, 0], [1, 1, 1, 2])], [.paddingMode: .string("mirror")]).contains("mirror"))
  }

  @Test func affineGridsSpanTheImage() throws {
    let same = NumberTensor.real([1, 0, 0, 0, 1, 0], [1, 2, 3])
    let size = NumberTensor.whole([1, 1, 2, 2])
    #expect(try evaluated("AffineGrid", [same, size], [.alignCorners: .int(1)]).reals == [-1, -1, 1, -1, -1, 1, 1, 1])
    #expect(try evaluated("AffineGrid", [same, size]).reals == [-0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5])
    // No image makes no long axis cheaper.
    #expect(failure("AffineGrid", [.counting([0, 2, 3]), .whole([0, 1, 1 << 40, 2])]).contains("at most"))
    let moved = NumberTensor.real([1, 0, 3, 0, 1, 0], [1, 2, 3])
    #expect(try evaluated("AffineGrid", [moved, size]).reals == [2.5, -0.5, 3.5, -0.5, 2.5, 0.5, 3.5, 0.5])
  }

  @Test func regionsAreAveraged() throws {
    // Every number is its column's.
    let columns = NumberTensor.real([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3], [1, 1, 4, 4])
    let region = NumberTensor.real([0, 0, 2, 2], [1, 4])
    func aligned(_ rule: String, image: Int = 0) throws -> [Double] {
      try evaluated(
        "RoiAlign", [columns, region, .whole([image])],
        [.coordinateTransformationMode: .string(rule), .samplingRatio: .int(1)]
      ).reals
    }
    #expect(try aligned("half_pixel") == [0.5])
    #expect(try aligned("output_half_pixel") == [1])
    #expect(failure("RoiAlign", [columns, region, .whole([1])]).contains("image 1 of 1"))
    let wild = NumberTensor.real([0, 0, 1e30, .infinity], [1, 4])
    #expect(!failure("RoiAlign", [columns, wild, .whole([0])]).isEmpty)
    let pooled = try evaluated("MaxRoiPool", [columns, .real([0, 0, 0, 2, 1], [1, 5])], [.pooledShape: .ints([1, 1])])
    #expect(pooled.reals == [2])
  }
}

@Suite struct FourierEvaluationTests {
  @Test func spectraAndBack() throws {
    let pulse = NumberTensor.real([1, 0, 0, 0], [1, 4, 1])
    #expect(try evaluated("DFT", [pulse]).reals == [1, 0, 1, 0, 1, 0, 1, 0])
    let level = try evaluated("DFT", [.real([1, 1, 1, 1], [1, 4, 1])])
    #expect(level.shape == [1, 4, 2])
    #expect(zip(level.reals, [4, 0, 0, 0, 0, 0, 0, 0]).allSatisfy { abs($0 - $1) < 1e-6 })
    let half = try evaluated("DFT", [.real([1, 2, 3, 4], [1, 4, 1])], [.onesided: .int(1)])
    #expect(half.shape == [1, 3, 2])
    #expect(zip(half.reals, [10, 0, -2, 2, -2, 0]).allSatisfy { abs($0 - $1) < 1e-6 })
    let whole = try evaluated("DFT", [.real([1, 2, 3, 4], [1, 4, 1])])
    let back = try evaluated("DFT", [whole[0]], [.inverse: .int(1)])
    #expect(zip(back.reals, [1, 0, 2, 0, 3, 0, 4, 0]).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  @Test func framesOfASignal() throws {
    let signal = NumberTensor.real([1, 1, 2, 2], [1, 4, 1])
    let frames = try evaluated("STFT", [signal, NumberTensor(scalar: 2), .real([1, 1])])
    #expect(frames.shape == [1, 2, 2, 2])
    #expect(zip(frames.reals, [2, 0, 0, 0, 4, 0, 0, 0]).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(!failure("STFT", [signal, NumberTensor(scalar: 0), .real([1, 1])]).isEmpty)
  }
}
