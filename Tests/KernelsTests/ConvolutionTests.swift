import Foundation
import Kernels
import TestSupport
import Testing

/// Convolutions and pools against sums in double precision: strides, dilations, padding on one side, groups, channels that no vector divides.
@Suite struct ConvolutionTests {
  /// Sizes of a window over an image; the output's size follows from pads that may differ at the two ends.
  struct Window: Sendable, CustomTestStringConvertible {
    var height = 9
    var width = 11
    var kernel = (3, 3)
    var stride = (1, 1)
    var dilation = (1, 1)
    var before = (1, 1)
    var after = (1, 1)

    var output: (height: Int, width: Int) {
      (
        (height + before.0 + after.0 - dilation.0 * (kernel.0 - 1) - 1) / stride.0 + 1,
        (width + before.1 + after.1 - dilation.1 * (kernel.1 - 1) - 1) / stride.1 + 1
      )
    }

    var testDescription: String {
      "\(height)×\(width), kernel \(kernel), stride \(stride), dilation \(dilation), pads \(before) \(after)"
    }

    /// The pixels of the input under an output pixel, with the place in the kernel.
    func pixels(_ y: Int, _ x: Int) -> [(pixel: Int, tap: Int)] {
      (0..<kernel.0 * kernel.1).compactMap { tap in
        let row = y * stride.0 - before.0 + tap / kernel.1 * dilation.0
        let column = x * stride.1 - before.1 + tap % kernel.1 * dilation.1
        return (0..<height).contains(row) && (0..<width).contains(column) ? (row * width + column, tap) : nil
      }
    }

    static let all: [Window] = [
      Window(), Window(kernel: (1, 1), before: (0, 0), after: (0, 0)),
      Window(kernel: (1, 1), stride: (2, 2), before: (0, 0), after: (0, 0)),
      Window(stride: (2, 2)), Window(stride: (2, 3), before: (0, 2), after: (2, 0)),
      Window(dilation: (2, 3), before: (2, 3), after: (2, 3)),
      Window(width: 40, kernel: (7, 7), stride: (2, 2), before: (3, 3), after: (3, 3)),
      Window(height: 1, width: 50, kernel: (1, 5), before: (0, 4), after: (0, 0)),
      Window(height: 2, width: 2, before: (2, 2), after: (2, 2)),
      Window(kernel: (4, 2), before: (0, 0), after: (0, 0)),
    ]
  }

  /// Input channels, output channels, groups: dense, grouped with few and many channels, depthwise with and without a multiplier.
  static let channels: [(Int, Int, Int)] = [
    (1, 1, 1), (3, 16, 1), (5, 7, 1), (16, 33, 1), (8, 8, 8), (17, 17, 17), (33, 66, 33), (12, 8, 4), (64, 64, 2), (6, 9, 3),
    (40, 40, 40),
  ]

  @Test("every output is its sum, in pieces of pixels and panels, and nothing beside it is touched", arguments: Window.all)
  func sums(_ window: Window) {
    onEveryInstructionSet { set in
      for (channels, made, groups) in Self.channels { check(window, channels, made, groups, set) }
    }
  }

  private func check(_ window: Window, _ channels: Int, _ made: Int, _ groups: Int, _ set: String) {
    let (height, width) = window.output
    let (from, to) = (channels + 2, made + 3)
    let taps = window.kernel.0 * window.kernel.1
    let each = channels / groups
    let input = Memory(ProductTests.numbers((window.height * window.width - 1) * from + channels, seed: 4))
    let weights = Memory(ProductTests.numbers(made * each * taps, seed: 5))
    let bias = Memory(ProductTests.numbers(made, seed: 6))
    let output = Memory([Float](repeating: 7, count: (height * width - 1) * to + made))
    var problem = pk_convolution()
    (problem.height, problem.width, problem.channels) = (window.height, window.width, channels)
    (problem.output_height, problem.output_width, problem.output_channels) = (height, width, made)
    problem.groups = groups
    (problem.kernel_height, problem.kernel_width) = window.kernel
    (problem.stride_height, problem.stride_width) = window.stride
    (problem.dilation_height, problem.dilation_width) = window.dilation
    (problem.pad_top, problem.pad_left) = window.before
    problem.input = UnsafePointer(input.pointer)
    problem.input_pixel_stride = from
    problem.output = output.pointer
    problem.output_pixel_stride = to
    problem.epilogue.alpha = 1
    problem.epilogue.bias = UnsafePointer(bias.pointer)
    let packed = Memory([Float](repeating: .nan, count: pk_packed_convolution_size(&problem)))
    pk_pack_convolution(&problem, weights.pointer, packed.pointer)
    problem.packed_weights = UnsafePointer(packed.pointer)
    let scratch = Memory([Float](repeating: .nan, count: max(1, pk_convolution_scratch_size(&problem))))
    for pixels in oddRanges(height * width) where !pixels.isEmpty {
      for panels in oddRanges(pk_convolution_panel_count(&problem)) where !panels.isEmpty {
        pk_convolution_run(&problem, pixels.lowerBound, pixels.upperBound, panels.lowerBound, panels.upperBound, scratch.pointer)
      }
    }
    #expect(output.isIntact && packed.isIntact && scratch.isIntact)
    var worst = 0.0
    var isBesideTouched = false
    for y in 0..<height {
      for x in 0..<width {
        let pixels = window.pixels(y, x)
        for channel in 0..<made {
          let group = channel / (made / groups)
          var sum = Double(bias.pointer[channel])
          for (pixel, tap) in pixels {
            for at in 0..<each {
              let value = input.pointer[pixel * from + group * each + at]
              sum += Double(value) * Double(weights.pointer[(channel * each + at) * taps + tap])
            }
          }
          worst = max(worst, abs(sum - Double(output.pointer[(y * width + x) * to + channel])))
        }
        if y * width + x + 1 < height * width {
          let gap = (y * width + x) * to + made
          isBesideTouched = isBesideTouched || (0..<3).contains { output.pointer[gap + $0] != 7 }
        }
      }
    }
    // Rounding errors of a sum grow with the root of its length.
    #expect(worst < 2e-6 * Double(each * taps).squareRoot() + 1e-6, "\(channels) → \(made) in \(groups) groups, \(set)")
    #expect(!isBesideTouched, "\(channels) → \(made) in \(groups) groups, \(set)")
  }

  @Test("maxima and averages, padding counted or not, NaN where one is looked at", arguments: Window.all)
  func pools(_ window: Window) {
    let (height, width) = window.output
    onEveryInstructionSet { set in
      for channels in [1, 3, 16, 21, 64] {
        for (kind, counts) in [(PK_POOLING_MAX, false), (PK_POOLING_AVERAGE, false), (PK_POOLING_AVERAGE, true)] {
          var numbers = ProductTests.numbers((window.height * window.width - 1) * (channels + 1) + channels, seed: 9)
          numbers[0] = .nan
          let input = Memory(numbers)
          let output = Memory([Float](repeating: 7, count: height * width * channels))
          var pooling = pk_pooling()
          (pooling.kind, pooling.counts_padding) = (kind, counts)
          (pooling.height, pooling.width, pooling.channels) = (window.height, window.width, channels)
          (pooling.output_height, pooling.output_width) = (height, width)
          (pooling.kernel_height, pooling.kernel_width) = window.kernel
          (pooling.stride_height, pooling.stride_width) = window.stride
          (pooling.dilation_height, pooling.dilation_width) = window.dilation
          (pooling.pad_top, pooling.pad_left) = window.before
          (pooling.pad_bottom, pooling.pad_right) = window.after
          pooling.input = UnsafePointer(input.pointer)
          pooling.input_pixel_stride = channels + 1
          pooling.output = output.pointer
          pooling.output_pixel_stride = channels
          for pixels in oddRanges(height * width) where !pixels.isEmpty {
            pk_pooling_run(&pooling, pixels.lowerBound, pixels.upperBound)
          }
          #expect(output.isIntact)
          for y in 0..<height {
            for x in 0..<width {
              let pixels = window.pixels(y, x).map(\.pixel)
              for channel in 0..<channels {
                let seen = pixels.map { Double(input.pointer[$0 * (channels + 1) + channel]) }
                let found = Double(output.pointer[(y * width + x) * channels + channel])
                if seen.contains(where: \.isNaN) {
                  #expect(found.isNaN, "\(kind) \(set)")
                } else if kind == PK_POOLING_MAX {
                  #expect(found == seen.max() ?? -.infinity, "\(set)")
                } else {
                  let divisor = counts ? window.kernel.0 * window.kernel.1 : seen.count
                  let exact = seen.isEmpty ? 0 : seen.reduce(0, +) / Double(divisor)
                  #expect(abs(found - exact) < 1e-6, "(\(y), \(x)), padding counted: \(counts), \(set)")
                }
              }
            }
          }
        }
      }
    }
  }
}
