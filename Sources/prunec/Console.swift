import Foundation
import Graph

/// Where the command's words go: reports to standard output, everything else to standard error.
struct Console: Sendable {
  /// True where nobody wants to read a report or see progress.
  let isQuiet: Bool
  /// True where a person looks at standard error, which may then be drawn on.
  let drawsProgress: Bool
  private let colours: Bool

  /// A console as the environment has it: colours only on a terminal, and never with `NO_COLOR` or a terminal called dumb.
  init(isQuiet: Bool, isReportForMachines: Bool) {
    let environment = ProcessInfo.processInfo.environment
    let isPlain = !(environment["NO_COLOR"] ?? "").isEmpty || environment["TERM"] == "dumb"
    self.isQuiet = isQuiet
    drawsProgress = !isQuiet && !isReportForMachines && isatty(STDERR_FILENO) == 1 && environment["TERM"] != "dumb"
    colours = !isPlain && isatty(STDOUT_FILENO) == 1
  }

  /// A console for text that goes elsewhere: without colours.
  static let plain = Console()

  private init() {
    isQuiet = true
    drawsProgress = false
    colours = false
  }

  /// Columns of the terminal that shows the report; nil where it is none.
  static var width: Int? {
    var size = winsize()
    guard isatty(STDOUT_FILENO) == 1, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  /// Text in bold, where there are colours.
  func bold(_ text: String) -> String { colours ? "\u{1B}[1m\(text)\u{1B}[0m" : text }

  /// Text of a warning, where there are colours.
  func warning(_ text: String) -> String { colours ? "\u{1B}[33m\(text)\u{1B}[0m" : text }

  /// Text of good news, where there are colours.
  func good(_ text: String) -> String { colours ? "\u{1B}[32m\(text)\u{1B}[0m" : text }

  /// Writes a report to standard output. A reader that went away is no failure; a full disk is.
  func report(_ text: String) throws(Diagnostic) { try Self.write(text, to: STDOUT_FILENO) }

  /// A remark on standard error, in one line.
  func note(_ text: String) {
    if !isQuiet { Self.complain("prunec: note: \(text)") }
  }

  /// A line on standard error, in any case.
  static func complain(_ line: String) {
    do throws(Diagnostic) { try write(line + "\n", to: STDERR_FILENO) } catch {}
  }

  /// Writes all bytes to a descriptor.
  static func write(_ text: String, to descriptor: Int32) throws(Diagnostic) {
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let written = bytes[start...].withUnsafeBytes { writeOnce(descriptor, $0) }
      if written >= 0 {
        start += written
      } else if errno == EPIPE {
        return
      } else if errno != EINTR {
        throw Diagnostic(.unwritable, "standard output cannot be written: \(String(cString: strerror(errno)))")
      }
    }
  }

  private static func writeOnce(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    Foundation.write(descriptor, bytes.baseAddress, bytes.count)
  }
}
