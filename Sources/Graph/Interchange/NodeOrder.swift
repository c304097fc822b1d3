/// The order in which the nodes of a file run.
enum NodeOrder {
  /// The nodes with none before what it reads, otherwise in the order given; nil where they stand so already, or form a cycle.
  ///
  /// Of all nodes that could run next, the first of the file does.
  static func sorted(_ nodes: [NamedNode]) -> [NamedNode]? {
    var makers: [String: Int] = [:]
    for (index, node) in nodes.enumerated() {
      for name in node.outputs where !name.isEmpty && makers[name] == nil { makers[name] = index }
    }
    var isSorted = true
    var waiting = Array(repeating: 0, count: nodes.count)
    var readers = Array(repeating: [Int](), count: nodes.count)
    for (index, node) in nodes.enumerated() {
      for name in node.inputs + node.captures {
        guard let maker = makers[name] else { continue }
        if maker >= index { isSorted = false }
        waiting[index] += 1
        readers[maker].append(index)
      }
    }
    if isSorted { return nil }
    var ready = SmallestFirst()
    for index in nodes.indices where waiting[index] == 0 { ready.insert(index) }
    var order: [NamedNode] = []
    order.reserveCapacity(nodes.count)
    while let index = ready.removeFirst() {
      order.append(nodes[index])
      for reader in readers[index] {
        waiting[reader] -= 1
        if waiting[reader] == 0 { ready.insert(reader) }
      }
    }
    return order.count == nodes.count ? order : nil
  }
}

/// Numbers of which the smallest leaves first: a binary heap.
private struct SmallestFirst {
  private var heap: [Int] = []

  mutating func insert(_ number: Int) {
    heap.append(number)
    var place = heap.count - 1
    while place > 0, heap[place] < heap[(place - 1) / 2] {
      heap.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  mutating func removeFirst() -> Int? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return first }
    heap[0] = last
    var place = 0
    while let child = [2 * place + 1, 2 * place + 2].filter({ $0 < heap.count }).min(by: { heap[$0] < heap[$1] }),
      heap[child] < heap[place]
    {
      heap.swapAt(place, child)
      place = child
    }
    return first
  }
}
