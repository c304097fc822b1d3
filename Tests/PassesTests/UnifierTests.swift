import Graph
import Testing

@testable import Passes

/// Layouts with short names for groups, printed after unification.
private struct Bench {
  var unifier = Unifier()
  private var names: [Int32: String] = [:]

  /// A new group with a name.
  mutating func group(_ name: String, _ extent: Int) -> Layout {
    let layout = unifier.fresh(Extent(extent))
    if case .group(let leaf) = unifier.table.form(layout) { names[leaf] = name }
    return layout
  }

  mutating func fixed(_ extent: Int) -> Layout { unifier.fixed(Extent(extent), .structure) }
  mutating func symbol(_ name: String) -> Layout { unifier.fixed(.symbol(name), .dynamic) }
  mutating func product(_ factors: Layout...) -> Layout { unifier.table.product(factors) }
  mutating func sum(_ parts: Layout...) -> Layout { unifier.table.sum(parts) }

  /// The layout as it now stands; groups that came about by splitting and cutting are written by extent in braces.
  mutating func text(_ layout: Layout) -> String {
    let layout = unifier.table.resolve(layout)
    switch unifier.table.form(layout) {
    case .fixed: return "\(unifier.table.extent(layout))"
    case .group(let leaf): return names[leaf] ?? "{\(unifier.table.extent(layout))}"
    case .product(let factors): return "product(\(factors.map { text($0) }.joined(separator: ", ")))"
    case .sum(let parts): return "sum(\(parts.map { text($0) }.joined(separator: ", ")))"
    }
  }
}

@Suite("Unification: what two layouts of equal extent become")
struct UnifierTests {
  @Test("a group takes the structure it meets, and a group met by a fixed extent is frozen")
  func groups() {
    var bench = Bench()
    let (g, h, d) = (bench.group("g", 24), bench.group("h", 6), bench.group("d", 4))
    bench.unifier.unify(g, bench.product(h, d))
    #expect(bench.text(g) == "product(h, d)")
    bench.unifier.unify(h, bench.fixed(6))
    #expect(bench.text(g) == "product(6, d)", "freezing h leaves d free")
  }

  @Test("normal form: one-index factors go, fixed neighbours merge, a repeated sum is a product")
  func normalForm() {
    var bench = Bench()
    let (p, q) = (bench.group("p", 8), bench.group("q", 3))
    #expect(bench.text(bench.product(bench.fixed(1), p, bench.fixed(1))) == "p")
    #expect(bench.text(bench.product(bench.fixed(2), bench.fixed(3), p)) == "product(6, p)")
    #expect(bench.text(bench.sum(bench.fixed(2), bench.fixed(3), p)) == "sum(5, p)")
    #expect(bench.text(bench.sum(p, p)) == "product(2, p)")
    #expect(bench.text(bench.sum(p, q, p, q)) == "product(2, sum(p, q))")
    #expect(bench.text(bench.sum(p, q, p)) == "sum(p, q, p)", "a sequence that is not repeated whole stays a sum")
  }

  @Test("products are cut into segments, and split where one factor holds several of the other side")
  func products() {
    var bench = Bench()
    let qkv = bench.group("qkv", 1152)
    let (heads, dims) = (bench.group("heads", 6), bench.group("dims", 64))
    bench.unifier.unify(
      bench.product(bench.symbol("batch"), qkv), bench.product(bench.symbol("batch"), bench.fixed(3), heads, dims))
    #expect(bench.text(qkv) == "product(3, heads, dims)")
  }

  @Test("6·4 against 4·6 does not factor: those are frozen, and what stands beside them is not")
  func doesNotFactor() {
    var bench = Bench()
    let (five, six, four) = (bench.group("five", 5), bench.group("six", 6), bench.group("four", 4))
    let (other, b, c) = (bench.group("other", 5), bench.group("b", 4), bench.group("c", 6))
    bench.unifier.unify(bench.product(five, six, four), bench.product(other, b, c))
    #expect(bench.text(bench.product(five, six, four)) == "product(five, 24)")
    #expect(bench.text(bench.product(other, b, c)) == "product(five, 24)")
  }

  @Test("sums are cut at the boundaries of both sides")
  func sums() {
    var bench = Bench()
    let (a, b, c, d) = (bench.group("a", 6), bench.group("b", 10), bench.group("c", 10), bench.group("d", 6))
    bench.unifier.unify(bench.sum(a, b), bench.sum(c, d))
    #expect(bench.text(c) == "sum(a, {4})")
    #expect(bench.text(b) == "sum({4}, d)")
  }

  @Test("rotary halves: sum(A, B) against sum(B, A) ties A with B")
  func rotary() {
    var bench = Bench()
    let (a, b) = (bench.group("a", 8), bench.group("b", 8))
    bench.unifier.unify(bench.sum(a, b), bench.sum(b, a))
    #expect(bench.text(bench.sum(a, b)) == "product(2, a)")
  }

  @Test("equal parts against product(2, K) are tied; the shuffled half then cuts K and never freezes it")
  func shuffle() {
    var bench = Bench()
    let (a, b, k) = (bench.group("a", 58), bench.group("b", 58), bench.group("k", 58))
    bench.unifier.unify(bench.sum(a, b), bench.product(bench.fixed(2), k))
    #expect(bench.text(a) == "a")
    #expect(bench.text(b) == "a")
    let halves = bench.unifier.cut(bench.product(k, bench.fixed(2)), at: [58])
    #expect(halves.map { bench.text($0) } == ["product({29}, 2)", "product({29}, 2)"])
    #expect(bench.text(a) == "sum({29}, {29})")
  }

  @Test("a cut inside a block freezes the outermost factor and cuts the block")
  func cutInsideBlock() {
    var bench = Bench()
    let (heads, dims) = (bench.group("heads", 4), bench.group("dims", 16))
    let pieces = bench.unifier.cut(bench.product(heads, dims), at: [24])
    #expect(bench.text(dims) == "sum({8}, {8})")
    #expect(bench.text(heads) == "4")
    #expect(pieces.map { bench.text($0) } == ["sum({8}, {8}, {8})", "sum({8}, product(2, sum({8}, {8})))"])
  }

  @Test("cat(a 6, b 2, c 8) as (4, 4): the run (a, b) is cut at 4 and its outer factor stays; c alone is split")
  func runOfParts() {
    var bench = Bench()
    let (a, b, c) = (bench.group("a", 6), bench.group("b", 2), bench.group("c", 8))
    let (outer, inner) = (bench.group("outer", 4), bench.group("inner", 4))
    bench.unifier.unify(bench.sum(a, b, c), bench.product(outer, inner))
    #expect(bench.text(inner) == "sum({2}, b)")
    #expect(bench.text(a) == "sum({2}, b, {2})")
    #expect(bench.text(outer) == "sum(2, {2})")
    #expect(bench.text(c) == "product({2}, sum({2}, b))")
  }

  @Test("symbolic extents match by symbol, and what cannot be compared is frozen")
  func symbols() {
    var bench = Bench()
    let (g, h) = (bench.group("g", 8), bench.group("h", 8))
    bench.unifier.unify(
      bench.product(bench.symbol("batch"), bench.symbol("seq"), g), bench.product(bench.symbol("batch"), bench.symbol("seq"), h))
    #expect(bench.text(h) == "g")
    let (x, y) = (bench.group("x", 4), bench.group("y", 4))
    bench.unifier.unify(bench.sum(bench.symbol("batch"), x), bench.sum(y, bench.symbol("batch")))
    #expect(bench.text(x) == "4")
    #expect(bench.text(y) == "4")
  }

  @Test("a group against a product with itself inside out is frozen where the factors cross, not looped over")
  func crossing() {
    var bench = Bench()
    let g = bench.group("g", 4)
    bench.unifier.unify(bench.product(g, bench.fixed(2)), bench.product(bench.fixed(2), g))
    #expect(bench.text(g) == "4")
  }

  @Test("solving random pairs ends, keeps extents, and makes both sides equal")
  func randomPairs() {
    for seed in UInt64(0)..<2000 {
      var generator = SplitMix(seed: seed)
      var bench = Bench()
      var groups: [Layout] = []
      func layout(_ bench: inout Bench, _ extent: Int, _ depth: Int) -> Layout {
        let choice = Int.random(in: 0..<5, using: &generator)
        let divisors = (2..<max(3, extent)).filter { extent % $0 == 0 }
        if depth > 0, choice < 2, let inner = divisors.randomElement(using: &generator) {
          return bench.product(layout(&bench, extent / inner, depth - 1), layout(&bench, inner, depth - 1))
        }
        if depth > 0, choice < 4, extent > 2 {
          let at = Int.random(in: 1..<extent, using: &generator)
          return bench.sum(layout(&bench, at, depth - 1), layout(&bench, extent - at, depth - 1))
        }
        if let known = groups.first(where: { bench.unifier.table.extent($0) == Extent(extent) }), choice == 4 { return known }
        let group = bench.group("", extent)
        groups.append(group)
        return group
      }
      let extent = [12, 16, 24, 36, 60].randomElement(using: &generator) ?? 12
      let (a, b) = (layout(&bench, extent, 3), layout(&bench, extent, 3))
      bench.unifier.unify(a, b)
      let (x, y) = (bench.unifier.table.resolve(a), bench.unifier.table.resolve(b))
      #expect(bench.unifier.table.extent(x) == Extent(extent), "seed \(seed)")
      #expect(Self.labels(x, bench.unifier.table) == Self.labels(y, bench.unifier.table), "seed \(seed)")
    }
  }

  /// Per position the (group, index) pairs it stands for; fixed parts leave none. Equal lists denote the same indices.
  static func labels(_ layout: Layout, _ table: LayoutTable) -> [[[Int32]]] {
    switch table.form(layout) {
    case .fixed: return Array(repeating: [], count: table.extent(layout).constant ?? 0)
    case .group(let leaf): return (0..<Int32(table.extent(layout).constant ?? 0)).map { [[leaf, $0]] }
    case .sum(let parts): return parts.flatMap { labels($0, table) }
    case .product(let factors):
      return factors.reduce([[]]) { outer, factor in
        let inner = labels(factor, table)
        return outer.flatMap { o in inner.map { (o + $0).sorted { $0.lexicographicallyPrecedes($1) } } }
      }
    }
  }
}
