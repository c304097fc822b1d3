import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct GroupNormTests {
  private static func numbers(_ count: Int, seed: UInt64, shift: Float = 0) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float.random(in: -1...1, using: &generator) + shift }
  }

  private static func exact(
    _ from: [Float], pixels: Int, stride: Int, group: Range<Int>, epsilon: Float, scale: [Float]?, offset: [Float]?
  ) -> [[Double]] {
    let values = (0..<pixels).map { pixel in group.map { Double(from[pixel * stride + $0]) } }
    let all = values.flatMap { $0 }, mean = all.reduce(0, +) / Double(all.count)
    let variance = all.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(all.count)
    return values.map { row in
      zip(row, group).map { value, channel in
        let normal = (value - mean) / (variance + Double(epsilon)).squareRoot()
        return normal * Double(scale?[channel] ?? 1) + Double(offset?[channel] ?? 0)
      }
    }
  }

  @Test func groupsOfEveryWidth() {
    // Pixels, channels, groups.
    let shapes = [
      [1, 6, 3], [5, 17, 17], [70, 24, 8], [130, 40, 1], [33, 100, 5], [200, 3, 3], [3, 700, 1], [2, 1100, 2], [9, 90, 30],
    ]
    onEveryInstructionSet { set in
      for (index, shape) in shapes.enumerated() {
        let (pixels, channels, groups) = (shape[0], shape[1], shape[2]), stride = channels + 2, width = channels / groups
        let size = (pixels - 1) * stride + channels
        let from = Memory(Self.numbers(size, seed: 1)), scale = Memory(Self.numbers(channels, seed: 2))
        let offset = Memory(Self.numbers(channels, seed: 3)), to = Memory([Float](repeating: 7, count: size))
        for activation in [PK_ACTIVATION_NONE, PK_ACTIVATION_RELU, PK_ACTIVATION_SILU] {
          var norm = pk_group_norm(
            pixels: pixels, channels: channels, groups: groups, from: from.pointer, from_pixel_stride: stride, to: to.pointer,
            to_pixel_stride: stride, scale: index % 2 == 0 ? UnsafePointer(scale.pointer) : nil,
            offset: index % 3 == 0 ? UnsafePointer(offset.pointer) : nil, epsilon: 1e-5, activation: activation)
          for range in oddRanges(groups) { pk_group_norm_run(&norm, range.lowerBound, range.upperBound) }
          #expect(to.isIntact)
          for group in 0..<groups {
            let exact = Self.exact(
              from.values, pixels: pixels, stride: stride, group: (group * width)..<((group + 1) * width), epsilon: 1e-5,
              scale: norm.scale == nil ? nil : scale.values, offset: norm.offset == nil ? nil : offset.values)
            for (pixel, row) in exact.enumerated() {
              for (channel, value) in row.enumerated() {
                let right =
                  activation == PK_ACTIVATION_RELU
                  ? max(value, 0) : activation == PK_ACTIVATION_SILU ? value / (1 + exp(-value)) : value
                let result = Double(to.pointer[pixel * stride + group * width + channel])
                #expect(abs(result - right) < 1e-5, "\(shape), \(set)")
              }
            }
          }
          for pixel in 0..<(pixels - 1) { #expect(to.pointer[pixel * stride + channels] == 7, "\(shape), \(set)") }
        }
      }
    }
  }

  @Test func aLargeMeanDoesNotDrownTheVariance() {
    onEveryInstructionSet { set in
      let from = Memory(Self.numbers(500 * 8, seed: 4, shift: 1024)), to = Memory([Float](repeating: 7, count: 500 * 8))
      var norm = pk_group_norm()
      norm.pixels = 500
      norm.channels = 8
      norm.groups = 2
      norm.from = UnsafePointer(from.pointer)
      norm.from_pixel_stride = 8
      norm.to = to.pointer
      norm.to_pixel_stride = 8
      pk_group_norm_run(&norm, 0, 1)
      let exact = Self.exact(from.values, pixels: 500, stride: 8, group: 0..<4, epsilon: 0, scale: nil, offset: nil)
      for (pixel, row) in exact.enumerated() {
        for (channel, value) in row.enumerated() {
          #expect(abs(Double(to.pointer[pixel * 8 + channel]) - value) < 5e-4, "\(set)")
          #expect(to.pointer[pixel * 8 + 4 + channel] == 7, "the other group stays, \(set)")
        }
      }
    }
  }

  @Test func inPlaceGivesTheSame() {
    onEveryInstructionSet { set in
      let input = Self.numbers(60 * 20, seed: 5)
      let results = [false, true].map { isInPlace in
        let from = Memory(input), apart = Memory([Float](repeating: 7, count: input.count))
        var norm = pk_group_norm()
        norm.pixels = 60
        norm.channels = 20
        norm.groups = 4
        norm.from = UnsafePointer(from.pointer)
        norm.from_pixel_stride = 20
        norm.to = isInPlace ? from.pointer : apart.pointer
        norm.to_pixel_stride = 20
        norm.epsilon = 1e-5
        pk_group_norm_run(&norm, 0, 4)
        return isInPlace ? from.values : apart.values
      }
      #expect(results[0] == results[1], "\(set)")
    }
  }
}
