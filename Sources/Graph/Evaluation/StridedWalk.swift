/// Row-major walk over a shape, in which each of several tensors is read with strides of its own. Axes that all of them walk alike are
/// walked as one, so that most walks are a few long runs.
struct StridedWalk {
  /// Number of positions of the shape.
  let count: Int
  /// Length of one run: the innermost axes together.
  let run: Int
  /// Distance between neighbours of a run, per tensor.
  let steps: [Int]
  private let outer: [(extent: Int, strides: [Int])]
  private let starts: [Int]

  /// A walk over `extents`; per tensor one stride per axis, and where it begins (0 where left out).
  init(_ extents: [Int], strides: [[Int]], starts: [Int] = []) {
    var axes: [(extent: Int, strides: [Int])] = []
    for (axis, extent) in extents.enumerated() where extent != 1 {
      let own = strides.map { $0[axis] }
      if let last = axes.last, zip(last.strides, own).allSatisfy({ $0 == $1 &* extent }) {
        axes[axes.count - 1] = (last.extent &* extent, own)
      } else {
        axes.append((extent, own))
      }
    }
    let inner = axes.popLast()
    run = inner?.extent ?? 1
    steps = inner?.strides ?? strides.map { _ in 0 }
    outer = axes
    // Where there is nothing to walk, the other extents may be of any size.
    count = extents.contains(0) ? 0 : extents.reduce(1, *)
    self.starts = starts.isEmpty ? strides.map { _ in 0 } : starts
  }

  /// A walk over `target` that reads tensors of `shapes`, each of which broadcasts to it.
  init(broadcasting shapes: [[Int]], to target: [Int]) {
    self.init(target, strides: shapes.map { Self.strides(of: $0, over: target) })
  }

  /// Strides with which a tensor of `shape` is read over `target`, to which it broadcasts.
  static func strides(of shape: [Int], over target: [Int]) -> [Int] {
    let padded = Array(repeating: 1, count: max(0, target.count - shape.count)) + shape
    return zip(padded, Tensor.strides(padded)).map { $0 == 1 ? 0 : $1 }
  }

  /// Calls `body` for each run with the position in the shape where it begins, and per tensor where it begins there.
  func forEachRun(_ body: (_ at: Int, _ starts: [Int]) -> Void) {
    guard count > 0 else { return }
    var index = [Int](repeating: 0, count: outer.count)
    var starts = starts
    var at = 0
    while true {
      body(at, starts)
      at += run
      var axis = outer.count - 1
      while axis >= 0 {
        index[axis] += 1
        let (extent, strides) = outer[axis]
        for tensor in starts.indices { starts[tensor] += strides[tensor] }
        if index[axis] < extent { break }
        for tensor in starts.indices { starts[tensor] -= strides[tensor] * extent }
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }
}
