import Foundation
import Graph

/// A golden test: a text file below `Tests/Golden` that is a test and its documentation at once.
///
///     // prunec: groups
///     // prunec: shrink --ratio 0.5 --kinds all --round-to 1
///     // A sentence or two: what must happen, and what must not.
///     module …                                        the module that goes in
///     // ---- groups
///     …                                               what the first command says of it
///     // ---- shrink --ratio 0.5 --kinds all --round-to 1
///     …                                               what the second one makes of it
///
/// Where a command must refuse the module, the faulty line ends with `// expected: MESSAGE` and the command has no section.
public struct Golden: Sendable {
  /// Place of the file.
  public let path: String
  /// Folder and name without the ending, as in `traps/04-chunked-qkv`.
  public let name: String

  /// All files, in order of their names.
  public static let all: [Golden] = {
    let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return names.filter { $0.hasSuffix(".ir") }.sorted().map { Golden(path: folder + "/" + $0, name: String($0.dropLast(3))) }
  }()

  /// The folder of all files.
  public static let folder: String = {
    let support = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return support.deletingLastPathComponent().appendingPathComponent("Golden").path
  }()

  /// True when `PRUNEC_BLESS` asks for files to be written anew instead of compared.
  public static let isBlessing = ProcessInfo.processInfo.environment["PRUNEC_BLESS"].map { $0 != "0" && !$0.isEmpty } ?? false

  /// Runs the file. Returns what is wrong, for a person; nil when it holds, or was blessed.
  public func fault(blessing: Bool = Golden.isBlessing) -> String? {
    let text: String
    do {
      text = try String(contentsOfFile: path, encoding: .utf8)
    } catch {
      return "\(path): cannot be read: \(error)"
    }
    let actual: String
    do {
      actual = try Self.rendered(text)
    } catch {
      return "\(path): \(error)"
    }
    if actual == text { return nil }
    guard blessing else {
      return """
        \(path) expects something else (- expected, + actual):
        \(LineDifference.text(from: text, to: actual))
        If the new text is right: PRUNEC_BLESS=1 swift test --filter Golden
        """
    }
    do {
      try actual.write(toFile: path, atomically: true, encoding: .utf8)
      return nil
    } catch {
      return "\(path): cannot be written: \(error)"
    }
  }

  /// A file that is no golden.
  struct Malformed: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  private static let commandMark = "// prunec: "
  private static let separator = "// ----"
  private static let expectedMark = " // expected: "

  /// What a golden file should be, by what its commands say now.
  static func rendered(_ text: String) throws -> String {
    var lines = head(of: text)
    let header = lines.prefix { $0.hasPrefix("//") }
    let commands = header.filter { $0.hasPrefix(commandMark) }.map { String($0.dropFirst(commandMark.count)) }
    guard header.first?.hasPrefix(commandMark) == true else {
      throw Malformed("the first line must be '\(commandMark)COMMAND'")
    }
    guard header.count > commands.count else { throw Malformed("a sentence must say what must happen, and what must not") }
    for index in header.count..<lines.count {
      if let mark = lines[index].range(of: expectedMark) { lines[index].removeSubrange(mark.lowerBound...) }
    }
    let input = lines.joined(separator: "\n") + "\n"
    var sections = ""
    var complaints: [Diagnostic] = []
    for command in commands {
      switch try GoldenCommand(command).outcome(of: input) {
      case .text(let text): sections += "\(separator) \(command)\n\(text)"
      case .complaints(let found): complaints += found.filter { !complaints.contains($0) }
      }
    }
    for complaint in complaints {
      let line = try faultyLine(complaint, lines, after: header.count)
      lines[line] += expectedMark + complaint.message
    }
    return lines.joined(separator: "\n") + "\n" + sections
  }

  /// The module of a golden file, without the sentences before it and the results after it.
  static func input(of text: String) -> String { head(of: text).drop { $0.hasPrefix("//") }.map { $0 + "\n" }.joined() }

  /// The lines before the first result.
  private static func head(of text: String) -> [String] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if let end = lines.firstIndex(where: { $0.hasPrefix(separator) }) { lines.removeSubrange(end...) }
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }

  /// The line a complaint is about: the one that makes the value, or is named after the node; the module's first line for none.
  private static func faultyLine(_ complaint: Diagnostic, _ lines: [String], after header: Int) throws -> Int {
    switch complaint.place {
    case .none: return min(header, lines.count - 1)
    case .text(let line, _): return min(max(header, line - 1), lines.count - 1)
    case .byte: throw Malformed("\(complaint) has no line")
    case .node(let name), .tensor(let name):
      let makers = lines.indices.dropFirst(header).filter { index in
        let made = lines[index].prefix { $0 != "=" }
        let words = made.split { " ,:()".contains($0) }
        return words.contains { $0 == "%\(name)" || $0 == "%\"\(name)\"" } || lines[index].hasSuffix("@\"\(name)\"")
      }
      // An output's name stands in the interface too.
      let found = makers.first { !lines[$0].contains("func (") } ?? makers.first
      guard let found else { throw Malformed("no line makes what is complained of: \(complaint)") }
      return found
    }
  }
}
