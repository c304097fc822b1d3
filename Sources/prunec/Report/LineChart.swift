import Foundation

/// Lines through points over two axes.
struct LineChart {
  /// One line.
  struct Series {
    let name: String
    let points: [(x: Double, y: Double, note: String)]
  }

  /// What is drawn, in a few words.
  let title: String
  /// What the horizontal axis is; its numbers are shares.
  let horizontal: String
  let series: [Series]
  /// True where numbers span so much that only their orders of magnitude can be seen together.
  let isLogarithmic: Bool
  private let xRange: ClosedRange<Double>
  private let yRange: ClosedRange<Double>

  private static let size = (width: 480.0, height: 300.0)
  private static let inset = (left: 58.0, right: 16.0, top: 12.0, bottom: 42.0)

  /// `ceiling`: the largest number there can be, where there is one.
  init(title: String, horizontal: String, series: [Series], ceiling: Double? = nil) {
    self.title = title
    self.horizontal = horizontal
    self.series = series.map {
      Series(name: $0.name, points: $0.points.filter { $0.x.isFinite && $0.y.isFinite }.sorted { $0.x < $1.x })
    }
    let xs = self.series.flatMap { $0.points.map(\.x) }
    let ys = self.series.flatMap { $0.points.map(\.y) }
    xRange = min(0.95, ((xs.min() ?? 0) * 10).rounded(.down) / 10)...max(1, xs.max() ?? 1)
    let positive = ys.filter { $0 > 1e-9 }
    let (least, largest) = (positive.min() ?? 0, ys.max() ?? 1)
    isLogarithmic = ceiling == nil && least > 0 && largest / least > 50
    if isLogarithmic {
      let low = log10(least).rounded(.down)
      yRange = low...max(low + 1, log10(largest).rounded(.up))
    } else {
      let step = Self.step(max(largest, 1e-6))
      let bottom = ceiling == nil ? 0 : max(0, ((ys.min() ?? 0) / step).rounded(.down) * step - step)
      let top = max(bottom + step, (largest / step).rounded(.up) * step)
      yRange = bottom...(ceiling.map { min(max($0, largest), top) } ?? top)
    }
  }

  /// A round distance of axis marks for numbers up to this.
  static func step(_ largest: Double) -> Double {
    let rough = largest / 5
    let magnitude = pow(10, log10(rough).rounded(.down))
    for factor in [1.0, 2, 5] where rough <= factor * magnitude * 1.0001 { return factor * magnitude }
    return 10 * magnitude
  }

  private func x(_ value: Double) -> Double {
    Self.inset.left + (Self.size.width - Self.inset.left - Self.inset.right) * (value - xRange.lowerBound)
      / (xRange.upperBound - xRange.lowerBound)
  }

  private func y(_ value: Double) -> Double {
    let level = isLogarithmic ? (value > 0 ? log10(value) : yRange.lowerBound) : value
    let clamped = min(yRange.upperBound, max(yRange.lowerBound, level))
    return Self.size.height - Self.inset.bottom - (Self.size.height - Self.inset.top - Self.inset.bottom)
      * (clamped - yRange.lowerBound) / (yRange.upperBound - yRange.lowerBound)
  }

  /// The drawing.
  var markup: Markup {
    let (left, right) = (Self.inset.left, Self.size.width - Self.inset.right)
    let bottom = Self.size.height - Self.inset.bottom
    var pieces: [Markup] = []
    for (value, label) in yMarks {
      pieces.append(Shape.line(left, y(value), right, y(value), "axis"))
      pieces.append(Shape.text(left - 6, y(value) + 4, label, "tick", anchor: "end"))
    }
    let width = Self.step(xRange.upperBound - xRange.lowerBound)
    for at in 0...12 {
      let value = (xRange.lowerBound / width).rounded(.up) * width + Double(at) * width
      if value > xRange.upperBound + 1e-9 { break }
      pieces.append(Shape.line(x(value), bottom, x(value), bottom + 4, "axis"))
      pieces.append(Shape.text(x(value), bottom + 17, Self.percent(value), "tick", anchor: "middle"))
    }
    pieces.append(Shape.text((left + right) / 2, Self.size.height - 6, horizontal, "tick", anchor: "middle"))
    for (at, line) in series.enumerated() {
      let points = line.points.map { (x: x($0.x), y: y($0.y)) }
      pieces.append(Shape.path(Shape.through(points), Self.style(at)))
    }
    for (at, line) in series.enumerated() {
      for point in line.points { pieces.append(Self.mark(at, x(point.x), y(point.y), title: "\(line.name): \(point.note)")) }
    }
    return Shape.drawing(Self.size.width, Self.size.height, label: title, style: "chart", pieces)
  }

  private var yMarks: [(Double, String)] {
    if isLogarithmic {
      return (Int(yRange.lowerBound)...Int(yRange.upperBound)).map { (pow(10, Double($0)), Self.percent(pow(10, Double($0)))) }
    }
    let step = Self.step(yRange.upperBound - yRange.lowerBound)
    return stride(from: yRange.lowerBound, through: yRange.upperBound + step / 1000, by: step).map { ($0, Self.percent($0)) }
  }

  /// A share in as few digits as it takes.
  static func percent(_ share: Double) -> String {
    let value = share * 100
    if value >= 1000 { return "\(Wording.count(Int(min(value, 1e15)))) %" }
    for digits in 0...6
    where abs(value - (value * pow(10, Double(digits))).rounded() / pow(10, Double(digits))) < 1e-9 * max(1, abs(value)) {
      return "\(Wording.fixed(value, digits)) %"
    }
    return "\(Wording.fixed(value, 1)) %"
  }

  private static func style(_ at: Int) -> String {
    let colours = ReportStyle.lines.count
    return "series line-\(at % colours) dash-\(at % 3)"
  }

  /// A mark of its own for each line, so that colour is not all that tells them apart.
  static func mark(_ at: Int, _ x: Double, _ y: Double, title: String? = nil) -> Markup {
    let r = 4.5
    let corners: [(Double, Double)]
    switch at % 4 {
    case 0:
      return .tag(
        "circle",
        ["cx": Shape.number(x), "cy": Shape.number(y), "r": Shape.number(r), "class": "mark-\(at % ReportStyle.lines.count)"],
        title.map { [Markup.tag("title", [:], $0)] } ?? [])
    case 1: corners = [(-r, -r), (r, -r), (r, r), (-r, r)]
    case 2: corners = [(0, -r * 1.2), (r * 1.2, r), (-r * 1.2, r)]
    case _: corners = [(0, -r * 1.3), (r * 1.3, 0), (0, r * 1.3), (-r * 1.3, 0)]
    }
    return .tag(
      "path",
      ["d": Shape.through(corners.map { (x: x + $0.0, y: y + $0.1) }) + "Z", "class": "mark-\(at % ReportStyle.lines.count)"],
      title.map { [Markup.tag("title", [:], $0)] } ?? [])
  }

  /// What lines mean.
  static func legend(_ names: [String]) -> Markup {
    .tag(
      "ul", ["class": "legend"],
      names.enumerated().map { at, name in
        .tag(
          "li", [:],
          Shape.drawing(34, 14, label: "", [Shape.path("M0 7L34 7", style(at)), mark(at, 17, 7)]), .text(name))
      })
  }
}
