import Foundation

/// Numbers and names as people read them.
enum Wording {
  /// A whole number with commas between thousands.
  static func count(_ number: Int) -> String {
    let digits = Array(String(number.magnitude))
    var text = number < 0 ? "-" : ""
    for (at, digit) in digits.enumerated() {
      if at > 0, (digits.count - at) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return text
  }

  /// Numbers of operations in one unit, that of the first: exact below a million, else with three digits.
  static func operations(_ numbers: Double...) -> [String] {
    let largest = numbers.first ?? 0
    guard largest.isFinite, largest >= 1e6 else { return numbers.map { $0.isFinite && $0 < 9e15 ? count(Int($0)) : "too many" } }
    let units = ["M", "G", "T", "P", "E"]
    var scale = 1e6
    var unit = 0
    while largest / scale >= 999.5, unit + 1 < units.count {
      scale *= 1000
      unit += 1
    }
    return numbers.map { $0.isFinite ? "\(digits($0 / scale)) \(units[unit])" : "too many" }
  }

  /// A number of bytes in units of 1000.
  static func bytes(_ number: Int) -> String {
    if number < 1000 { return "\(number) B" }
    let units = ["kB", "MB", "GB", "TB"]
    var value = Double(number) / 1000
    var unit = 0
    while value >= 999.5, unit + 1 < units.count {
      value /= 1000
      unit += 1
    }
    return "\(digits(value)) \(units[unit])"
  }

  /// Three digits, as many as matter of them behind the point.
  private static func digits(_ value: Double) -> String {
    fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0)
  }

  /// A share as `97.3 %`. What is not quite all is never said to be all, nor what is not quite nothing nothing.
  static func percent(_ share: Double) -> String {
    guard share.isFinite else { return "-" }
    if share > 0, share < 0.0005 { return "< 0.1 %" }
    if share < 1, share > 0.9995 { return "> 99.9 %" }
    return "\(fixed(share * 100, 1)) %"
  }

  /// What part `after` is of `before`, as a change: `-49.8 %`.
  static func change(_ before: Double, _ after: Double) -> String {
    guard before > 0 else { return "-" }
    let share = after / before - 1
    return share == 0 ? "unchanged" : "\(share > 0 ? "+" : "-")\(fixed(abs(share) * 100, 1)) %"
  }

  /// A number with as few digits as it takes: `0.5`, `30`.
  static func plain(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? String(Int(number)) : String(number)
  }

  /// A number with so many digits behind the point.
  static func fixed(_ number: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", number) }

  /// `1 group`, `2,000 groups`.
  static func plural(_ number: Int, _ noun: String, _ many: String? = nil) -> String {
    "\(count(number)) \(number == 1 ? noun : many ?? noun + "s")"
  }

  /// A name from a file, without characters that would move a terminal's cursor or break a line.
  static func name(_ text: String) -> String {
    if text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }) { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if scalar.value >= 0x20, !(0x7F...0x9F).contains(scalar.value) {
        result.unicodeScalars.append(scalar)
      } else {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      }
    }
    return result
  }
}
