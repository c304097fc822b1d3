import Graph
import Testing

@testable import prunec

/// Places of boxes and ways of edges.
@Suite("Layered layout")
struct LayeredLayoutTests {
  private func layout(_ count: Int, _ edges: [(from: Int, to: Int)], sources: Set<Int> = [0]) -> LayeredLayout {
    LayeredLayout(boxes: Array(repeating: (100, 40), count: count), edges: edges, sources: sources, gap: (20, 20))
  }

  private func overlaps(_ layout: LayeredLayout) -> Bool {
    let centres = layout.centres
    return centres.indices.contains { one in
      centres.indices.contains { other in
        one < other && abs(centres[one].x - centres[other].x) < 99.9 && abs(centres[one].y - centres[other].y) < 39.9
      }
    }
  }

  @Test("a chain is a straight line downwards")
  func chain() {
    let layout = layout(4, [(0, 1), (1, 2), (2, 3)])
    #expect(Set(layout.centres.map(\.x)).count == 1)
    #expect(layout.centres.map(\.y) == [20, 80, 140, 200])
    #expect(layout.size.width == 100 && layout.size.height == 220)
  }

  @Test("an edge past other boxes goes around them; boxes stay in line")
  func shortcut() {
    let layout = layout(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
    #expect(layout.centres.allSatisfy { abs($0.x - layout.centres[0].x) < 1 })
    let way = layout.ways[3]
    #expect(way.count == 6)
    #expect(way[1...4].allSatisfy { abs($0.x - layout.centres[1].x) > 50 })
  }

  @Test("boxes never overlap, edges lead downwards, everything lies inside")
  func random() {
    var generator = SplitMix(seed: 7)
    for count in [1, 2, 5, 20, 60] {
      var edges: [(from: Int, to: Int)] = []
      for to in 1..<max(2, count) where to < count {
        for _ in 0..<1 + Int(generator.next() % 2) { edges.append((Int(generator.next() % UInt64(to)), to)) }
      }
      let layout = layout(count, edges)
      #expect(!overlaps(layout))
      #expect(edges.allSatisfy { layout.centres[$0.from].y < layout.centres[$0.to].y })
      #expect(layout.centres.allSatisfy { $0.x >= 49 && $0.x <= layout.size.width - 49 && $0.y >= 20 })
      #expect(layout.ways.count == edges.count)
    }
  }

  @Test("what follows from no source stands near its reader; a source and what follows from it do not wait")
  func constants() {
    let layout = layout(6, [(0, 1), (1, 2), (3, 4), (4, 5), (2, 5)])
    #expect(layout.centres[4].y == layout.centres[2].y)
    #expect(layout.centres[3].y == layout.centres[1].y)
    #expect(layout.centres[0].y == 20)
  }

  @Test("no box, an edge backwards, an edge to nowhere: nothing is drawn of them")
  func degenerate() {
    #expect(layout(0, []).centres.isEmpty)
    #expect(layout(2, [(1, 0), (0, 9)]).ways.isEmpty)
  }
}
