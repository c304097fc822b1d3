/// Where the buffers of a program lie: buffers whose lives do not meet may share memory.
struct MemoryPlan {
  /// The place of a buffer.
  enum Place: Sendable, Hashable {
    /// Bytes from the beginning of the arena.
    case arena(Int)
    /// A constant, by its index.
    case constant(Int)
  }

  /// A buffer's size, and the steps from the one that first writes it to the one that last reads it.
  struct Life: Sendable {
    var bytes: Int
    var first: Int
    var last: Int
  }

  /// Offset of every buffer; 0 for those of no bytes.
  let offsets: [Int]
  /// Bytes of the arena.
  let bytes: Int

  private static let alignment = 64

  /// Places buffers: in some order, each at the lowest offset that is free during its life. Of a few orders, the one that takes least.
  init(_ lives: [Life]) {
    let least = Self.leastBytes(lives)
    let orders: [(Life) -> (Int, Int)] = [
      { (-$0.bytes, $0.first) }, { ($0.first, -$0.bytes) }, { (-$0.bytes * ($0.last - $0.first + 1), $0.first) },
      { ($0.first - $0.last, -$0.bytes) }, { (-$0.last, -$0.bytes) },
    ]
    var best: (offsets: [Int], bytes: Int)?
    for order in orders where best?.bytes != least {
      let keys = lives.map(order)
      let plan = Self.placed(lives, in: lives.indices.sorted { keys[$0] < keys[$1] })
      if plan.bytes < best?.bytes ?? .max { best = plan }
    }
    (offsets, bytes) = best ?? ([], 0)
  }

  private static func placed(_ lives: [Life], in order: [Int]) -> (offsets: [Int], bytes: Int) {
    var offsets = [Int](repeating: 0, count: lives.count)
    var placed: [Int] = []
    var bytes = 0
    for index in order where lives[index].bytes > 0 {
      let life = lives[index]
      let size = rounded(life.bytes)
      var offset = 0
      // `placed` is in order of offsets.
      for other in placed where lives[other].first <= life.last && life.first <= lives[other].last {
        if offsets[other] >= offset + size { break }
        offset = max(offset, offsets[other] + rounded(lives[other].bytes))
      }
      offsets[index] = offset
      bytes = max(bytes, offset + size)
      let at = placed.firstIndex { offsets[$0] > offset } ?? placed.count
      placed.insert(index, at: at)
    }
    return (offsets, bytes)
  }

  private static func rounded(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }

  /// The largest sum of sizes alive at one step: no plan can need less.
  static func leastBytes(_ lives: [Life]) -> Int {
    var changes: [Int: Int] = [:]
    for life in lives where life.bytes > 0 {
      changes[life.first, default: 0] += rounded(life.bytes)
      changes[life.last + 1, default: 0] -= rounded(life.bytes)
    }
    var (alive, most) = (0, 0)
    for step in changes.keys.sorted() {
      alive += changes[step] ?? 0
      most = max(most, alive)
    }
    return most
  }
}
