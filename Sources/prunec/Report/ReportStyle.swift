import Passes

/// How pages look: one style sheet, light or dark as the reader's system is, and fit for paper. Colours are told apart with any kind of colour
/// vision, and what they say stands in words too. The sheet has no quotes, ampersands or angle brackets: browsers take it as it is written,
/// parsers of XML would not.
enum ReportStyle {
  /// Colours of a kind of group: on white, and on black.
  static func colours(of kind: GroupKind) -> (light: String, dark: String) {
    switch kind {
    case .heads: ("#0072b2", "#4fa8e0")
    case .queries: ("#56b4e9", "#9bd4f5")
    case .headDims: ("#332288", "#9a8ce8")
    case .hidden: ("#d55e00", "#f08a4b")
    case .width: ("#117733", "#4db870")
    case .groups: ("#882255", "#d56fa9")
    case .normGroups: ("#999933", "#c5c564")
    case .experts: ("#cc6677", "#ef9aa8")
    case .tokens: ("#7f5a2b", "#c9a27a")
    case .channels: ("#e69f00", "#f2b83d")
    }
  }

  /// Colours of lines in a chart, in order.
  static let lines: [(light: String, dark: String)] = [
    ("#0072b2", "#4fa8e0"), ("#d55e00", "#f08a4b"), ("#117733", "#4db870"), ("#aa4499", "#e08ad2"), ("#b07a00", "#f2b83d"),
    ("#332288", "#9a8ce8"), ("#882255", "#d56fa9"), ("#44aa99", "#6fd6c5"),
  ]

  /// The class of a kind.
  static func style(of kind: GroupKind) -> String { "k-\(kind.rawValue)" }

  /// Steps of how much a block lost; the last are those that lost most.
  static let steps = 6

  /// The class of a share that is lost, 0 to 1.
  static func style(ofLost share: Double) -> String {
    guard share.isFinite, share > 0.0005 else { return "lost-0" }
    return "lost-\(min(steps - 1, 1 + Int(min(1, max(0, share)) * Double(steps - 1))))"
  }

  private static let losses: [(light: String, dark: String)] = [
    ("#f7f7f4", "#2a2d33"), ("#dbe9f6", "#24405c"), ("#a9cbe8", "#2d5f8c"), ("#6ba3d6", "#3f82bd"), ("#2f72b5", "#79b3e3"),
    ("#0b3f7a", "#c3e0f7"),
  ]

  /// The style sheet.
  static var sheet: String {
    var light = ""
    var dark = ""
    var rules = ""
    for kind in GroupKind.allCases {
      let (one, other) = colours(of: kind)
      light += "--\(style(of: kind)):\(one);"
      dark += "--\(style(of: kind)):\(other);"
      rules += ".\(style(of: kind)){fill:var(--\(style(of: kind)))}\n"
    }
    for (step, colour) in losses.enumerated() {
      light += "--lost-\(step):\(colour.light);"
      dark += "--lost-\(step):\(colour.dark);"
      rules += ".lost-\(step){fill:var(--lost-\(step))}\n"
    }
    for (at, colour) in lines.enumerated() {
      light += "--line-\(at):\(colour.light);"
      dark += "--line-\(at):\(colour.dark);"
      rules += ".line-\(at){stroke:var(--line-\(at))}.mark-\(at){fill:var(--line-\(at))}\n"
    }
    return ":root{color-scheme:light dark;\(basis.light)\(light)}\n"
      + "@media (prefers-color-scheme:dark){:root{\(basis.dark)\(dark)}}\n" + rules + common
      + "@media print{:root{color-scheme:light;\(basis.light)\(light)}\n" + paper + "}\n"
  }

  private static let basis = (
    light:
      "--page:#ffffff;--ink:#1b1d21;--soft:#5c626b;--rule:#d9dce1;--card:#f6f7f9;--track:#d5d9df;--gone:#b9bec6;--cut:#1b1d21;"
      + "--warn:#8a4b00;--on-dark:#ffffff;--on-light:#1b1d21;",
    dark:
      "--page:#15171a;--ink:#e8eaed;--soft:#a3a9b2;--rule:#343840;--card:#1e2126;--track:#3a3f47;--gone:#59606a;--cut:#ffffff;"
      + "--warn:#f0b060;--on-dark:#15171a;--on-light:#e8eaed;"
  )

  private static let common = """
    *{box-sizing:border-box}
    html{-webkit-text-size-adjust:100%}
    body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 Segoe UI,Roboto,Helvetica Neue,Arial,Noto Sans,DejaVu Sans,sans-serif}
    main,header,footer{max-width:1120px;margin:0 auto;padding:0 20px}
    header{padding-top:28px}
    h1{font-size:24px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
    h2{font-size:18px;margin:36px 0 4px}
    p{margin:4px 0 10px;max-width:96ch;overflow-wrap:anywhere}
    .soft,footer,figcaption small{color:var(--soft)}
    footer{margin-top:40px;padding-bottom:32px;border-top:1px solid var(--rule);padding-top:12px;font-size:13px}
    code,.name{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace;font-size:.9em;overflow-wrap:anywhere}
    .call{display:block;background:var(--card);border:1px solid var(--rule);border-radius:6px;padding:8px 10px;margin:10px 0 0}
    .warn{color:var(--warn)}
    .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;margin:18px 0 14px}
    .card{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px 14px}
    .card h3{margin:0;font-size:13px;font-weight:600;color:var(--soft)}
    .card b{display:block;font-size:24px;line-height:1.3;font-variant-numeric:tabular-nums}
    .card small{display:block;color:var(--soft);min-height:1.5em}
    .card .change{color:var(--ink);font-weight:600}
    svg{display:block}
    svg text{font-family:inherit;fill:var(--ink)}
    .bar{width:100%;height:14px}
    .track{fill:var(--track)}.gone{fill:var(--gone)}.meter{fill:var(--k-heads)}
    .series-name{white-space:nowrap}
    .legend{display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:8px 0 10px;list-style:none;font-size:13px}
    .legend li{display:flex;align-items:center;gap:6px}
    table{border-collapse:collapse;width:100%;font-size:14px}
    th{text-align:left;font-weight:600;color:var(--soft);font-size:13px}
    th,td{padding:3px 10px 3px 0;border-bottom:1px solid var(--rule);vertical-align:middle}
    td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
    .widths td:nth-child(1){width:34%}
    .widths td:nth-child(2){width:46%}
    .scroll{overflow-x:auto}
    .graph{overflow:auto;max-height:1700px;border:1px solid var(--rule);border-radius:8px;padding:12px}
    .graph svg{margin:0 auto}
    .multiples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(46%,220px),1fr));gap:16px 20px;margin-top:12px}
    figure{margin:0}
    figcaption{font-size:13px;line-height:1.35}
    figcaption small{display:block;font-size:12px}
    .plot{width:100%;height:auto}
    .chart{width:100%;height:auto;max-width:620px}
    .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:20px 28px;margin-top:12px}
    .axis{stroke:var(--rule);stroke-width:1}
    .cut{stroke:var(--cut);stroke-width:1.5;stroke-dasharray:3 2}
    .curve{fill:none;stroke:var(--ink);stroke-width:1.5}
    .point{fill:var(--page);stroke:var(--ink);stroke-width:2}
    .series{fill:none;stroke-width:2}
    .dash-1{stroke-dasharray:7 4}.dash-2{stroke-dasharray:2 3}
    .tick{font-size:11px;fill:var(--soft) !important}
    .edge{fill:none;stroke:var(--soft);stroke-width:1.3}
    .arrow{fill:var(--soft)}
    .box{stroke:var(--soft);stroke-width:1}
    .terminal{fill:var(--page);stroke:var(--soft);stroke-width:1;stroke-dasharray:4 3}
    .solid{stroke-dasharray:none}
    .box-name{font-size:12.5px;font-weight:600}
    .box-note{font-size:11px}
    svg .on-light{fill:var(--on-light)}svg .on-dark{fill:var(--on-dark)}
    details{margin:10px 0}
    summary{cursor:pointer;color:var(--soft)}
    @media (max-width:620px){
    main,header,footer{padding-left:14px;padding-right:14px}
    .cards{grid-template-columns:1fr 1fr}
    .card b{font-size:20px}
    .widths td:nth-child(1){width:42%}
    .widths td:nth-child(2){width:26%}
    }

    """

  private static let paper = """
    body{font-size:13px}
    *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
    main,header,footer{max-width:none;padding-left:0;padding-right:0}
    .graph{max-height:none;overflow:visible;border:0;padding:0}
    .graph svg{max-width:100%;max-height:240mm;width:auto;height:auto}
    h2{break-after:avoid}
    figure,.card,tr{break-inside:avoid}

    """
}
