/// Places for the boxes of a graph without cycles: in layers from top to bottom, so that edges lead downwards, with few crossings and little
/// slant (after Sugiyama, Tagawa and Toda, 1981). Edges over several layers pass between boxes; those of one source share their way.
struct LayeredLayout {
  /// Width and height of the whole.
  private(set) var size: (width: Double, height: Double) = (0, 0)
  /// Centres of the boxes.
  private(set) var centres: [(x: Double, y: Double)] = []
  /// Per edge the points that it passes, from the middle of a box's lower side to the middle of another's upper side.
  private(set) var ways: [[(x: Double, y: Double)]] = []

  private static let lane = 14.0

  private struct Cell {
    /// The box, or nil where edges pass.
    let box: Int?
    let layer: Int
    var x = 0.0
    var above: [Int] = []
    var below: [Int] = []
  }

  private var cells: [Cell] = []
  private var layers: [[Int]] = []
  private let boxes: [(width: Double, height: Double)]
  private var tops: [Double] = []
  private var heights: [Double] = []
  private let gap: (x: Double, y: Double)

  /// Boxes by their sizes; every edge leads from a lower to a higher number. What follows from none of `sources` stands near its readers.
  init(
    boxes: [(width: Double, height: Double)], edges: [(from: Int, to: Int)], sources: Set<Int>, gap: (x: Double, y: Double)
  ) {
    let count = boxes.count
    self.boxes = boxes
    self.gap = gap
    let edges = edges.filter { $0.from >= 0 && $0.from < $0.to && $0.to < count }
    let depth = Self.depths(count, edges, sources)
    cells = depth.enumerated().map { Cell(box: $0, layer: $1) }
    let chains = connect(edges, depth)
    layers = Array(repeating: [], count: (depth.max() ?? -1) + 1)
    for index in cells.indices { layers[cells[index].layer].append(index) }
    sort()
    place()
    finish(count, edges, chains)
  }

  /// The layer of each box: one below the lowest it follows; sources, and what does not follow from any, right above what reads it.
  private static func depths(_ count: Int, _ edges: [(from: Int, to: Int)], _ sources: Set<Int>) -> [Int] {
    var depth = [Int](repeating: 0, count: count)
    var isFed = [Bool](repeating: false, count: count)
    for edge in edges.sorted(by: { $0.to < $1.to }) {
      depth[edge.to] = max(depth[edge.to], depth[edge.from] + 1)
      if isFed[edge.from] || sources.contains(edge.from) { isFed[edge.to] = true }
    }
    var nearest = [Int?](repeating: nil, count: count)
    for edge in edges.sorted(by: { $0.from > $1.from }) {
      // All readers of a box are passed, and at their place, before the box itself is read.
      if !isFed[edge.to], let next = nearest[edge.to] { depth[edge.to] = max(depth[edge.to], next - 1) }
      nearest[edge.from] = min(nearest[edge.from] ?? Int.max, depth[edge.to])
    }
    for box in 0..<count where !isFed[box] { if let next = nearest[box] { depth[box] = max(depth[box], next - 1) } }
    return depth
  }

  /// Makes the cells that long edges pass; returns per edge the cells on its way.
  private mutating func connect(_ edges: [(from: Int, to: Int)], _ depth: [Int]) -> [[Int]] {
    struct Pass: Hashable {
      let source: Int
      let layer: Int
    }
    var passes: [Pass: Int] = [:]
    var links: Set<[Int]> = []
    return edges.map { edge in
      var chain = [edge.from]
      for layer in stride(from: depth[edge.from] + 1, to: depth[edge.to], by: 1) {
        let pass = Pass(source: edge.from, layer: layer)
        let cell = passes[pass] ?? cells.count
        if passes[pass] == nil {
          passes[pass] = cell
          cells.append(Cell(box: nil, layer: layer))
        }
        chain.append(cell)
      }
      chain.append(edge.to)
      for (upper, lower) in zip(chain, chain.dropFirst()) where links.insert([upper, lower]).inserted {
        cells[upper].below.append(lower)
        cells[lower].above.append(upper)
      }
      return chain
    }
  }

  // MARK: Order

  private mutating func sort() {
    var place = [Double](repeating: 0, count: cells.count)
    for layer in layers { for (at, cell) in layer.enumerated() { place[cell] = Double(at) } }
    var best = (crossings: crossings(place), layers: layers)
    for round in 0..<12 {
      let isDown = round % 2 == 0
      for index in isDown ? Array(layers.indices) : layers.indices.reversed() {
        let means = Dictionary(
          uniqueKeysWithValues: layers[index].map { cell in
            let near = isDown ? cells[cell].above : cells[cell].below
            return (cell, near.isEmpty ? place[cell] : near.reduce(0) { $0 + place[$1] } / Double(near.count))
          })
        layers[index].sort { (means[$0] ?? 0, place[$0]) < (means[$1] ?? 0, place[$1]) }
        for (at, cell) in layers[index].enumerated() { place[cell] = Double(at) }
      }
      let now = crossings(place)
      if now < best.crossings { best = (now, layers) }
      if now == 0 { break }
    }
    layers = best.layers
  }

  private func crossings(_ place: [Double]) -> Int {
    var total = 0
    for layer in layers {
      let links = layer.flatMap { upper in cells[upper].below.map { (place[upper], place[$0]) } }
      // Beyond that, the count would take longer than it is worth.
      guard links.count < 600 else { continue }
      for (at, one) in links.enumerated() {
        for other in links[(at + 1)...] where (one.0 - other.0) * (one.1 - other.1) < 0 { total += 1 }
      }
    }
    return total
  }

  // MARK: Places

  private func width(_ cell: Int) -> Double { cells[cell].box.map { boxes[$0].width } ?? Self.lane }

  /// Cells move towards the middle of what they are connected with, as far as their neighbours leave room.
  private mutating func place() {
    for layer in layers {
      var x = 0.0
      for cell in layer {
        cells[cell].x = x + width(cell) / 2
        x += width(cell) + gap.x
      }
      for cell in layer { cells[cell].x -= x / 2 }
    }
    for round in 0..<80 {
      for index in round % 2 == 0 ? Array(layers.indices) : layers.indices.reversed() {
        let boxes = layers[index].filter { cells[$0].box != nil }
        let middle = boxes.isEmpty ? 0 : boxes.reduce(0) { $0 + cells[$1].x } / Double(boxes.count)
        let wanted = layers[index].map { cell in
          let near = cells[cell].above + cells[cell].below
          // Straight lines are easy to follow: long edges first, then chains of boxes.
          let sum = near.reduce((0.0, 0.0)) { sum, other in
            let weight =
              switch (cells[other].box == nil, cells[cell].box == nil) {
              case (true, true): 2.0
              case (false, false): 3.0
              case (true, false), (false, true): 0.5
              }
            return (sum.0 + weight * cells[other].x, sum.1 + weight)
          }
          if sum.1 == 0 { return cells[cell].x }
          // A box that is alone in its layer stands in the middle of the drawing.
          if boxes == [cell] { return 0 }
          // Long edges keep close to the boxes that they pass.
          return cells[cell].box == nil ? (sum.0 + 0.5 * middle) / (sum.1 + 0.5) : sum.0 / sum.1
        }
        settle(layers[index], wanted)
      }
    }
  }

  /// Places as near to the wanted ones as the order and the widths allow, in the sense of least squares; boxes weigh more than long edges.
  /// Cells that would overlap move together (the pool of adjacent violators).
  private mutating func settle(_ layer: [Int], _ wanted: [Double]) {
    var offset = 0.0
    var pools: [(mean: Double, weight: Double, cells: [(cell: Int, offset: Double)])] = []
    for (at, cell) in layer.enumerated() {
      if at > 0 { offset += (width(layer[at - 1]) + width(cell)) / 2 + gap.x }
      var pool = (mean: wanted[at] - offset, weight: cells[cell].box == nil ? 1.0 : 500, cells: [(cell: cell, offset: offset)])
      while let last = pools.last, last.mean > pool.mean {
        let weight = last.weight + pool.weight
        pool = ((last.mean * last.weight + pool.mean * pool.weight) / weight, weight, last.cells + pool.cells)
        pools.removeLast()
      }
      pools.append(pool)
    }
    for pool in pools { for entry in pool.cells { cells[entry.cell].x = pool.mean + entry.offset } }
  }

  private mutating func finish(_ count: Int, _ edges: [(from: Int, to: Int)], _ chains: [[Int]]) {
    let low = cells.indices.map { cells[$0].x - width($0) / 2 }.min() ?? 0
    let high = cells.indices.map { cells[$0].x + width($0) / 2 }.max() ?? 0
    var y = 0.0
    for layer in layers {
      tops.append(y)
      heights.append(layer.compactMap { cells[$0].box.map { boxes[$0].height } }.max() ?? 0)
      y += (heights.last ?? 0) + gap.y
    }
    size = (max(0, high - low), max(0, y - gap.y))
    /// Upper and lower side; edges pass the whole height of a layer.
    func sides(_ cell: Int) -> (top: Double, bottom: Double) {
      let layer = cells[cell].layer
      let height = cells[cell].box.map { boxes[$0].height } ?? heights[layer]
      let top = tops[layer] + (heights[layer] - height) / 2
      return (top, top + height)
    }
    centres = (0..<count).map { (cells[$0].x - low, (sides($0).top + sides($0).bottom) / 2) }
    ways = chains.map { chain in
      var points: [(x: Double, y: Double)] = []
      for (at, cell) in chain.enumerated() {
        if at > 0 { points.append((cells[cell].x - low, sides(cell).top)) }
        if at + 1 < chain.count { points.append((cells[cell].x - low, sides(cell).bottom)) }
      }
      return points
    }
  }
}
