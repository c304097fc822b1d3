import Foundation
import Graph

/// A line on standard error that says what is going on: a bar on a terminal after a second, a plain line elsewhere when a step takes long.
///
/// Steps report from the thread that works; a thread of its own draws, so that a step without reports is seen to be alive. All state is
/// behind one lock.
final class ProgressBar: @unchecked Sendable {
  private let lock = NSLock()
  private let isDrawing: Bool
  private let isSilent: Bool
  private let begin = Date()
  private var step = ""
  private var share: Double?
  private var stepBegin = Date()
  private var isShown = false
  private var isFinished = false
  private var announced = ""

  /// Seconds after which a bar appears on a terminal.
  private static let patience = 1.0
  /// Seconds that a step must take before a plain line speaks of it.
  private static let plainPatience = 4.0

  /// A bar for a console; silent when it is quiet.
  init(_ console: Console, isSilent: Bool = false) {
    isDrawing = console.drawsProgress
    self.isSilent = isSilent || console.isQuiet
    if !self.isSilent {
      Thread.detachNewThread { [weak self] in while self?.tick() ?? false { Thread.sleep(forTimeInterval: 0.1) } }
    }
  }

  /// Says what is done now, and how much of it; nil where nobody knows.
  func report(_ step: String, _ share: Double? = nil) {
    lock.withLock {
      if step != self.step {
        self.step = step
        stepBegin = Date()
      }
      self.share = share
    }
  }

  /// Makes room for text on the same terminal.
  func clear() { lock.withLock { erase() } }

  /// Takes the bar away for good.
  func finish() {
    lock.withLock {
      isFinished = true
      erase()
    }
  }

  /// Draws; false when there is nothing more to draw.
  private func tick() -> Bool {
    lock.withLock {
      if isFinished { return false }
      if step.isEmpty { return true }
      if isDrawing {
        if Date().timeIntervalSince(begin) >= Self.patience { draw() }
      } else if announced != step, Date().timeIntervalSince(stepBegin) >= Self.plainPatience {
        announced = step
        Console.complain("prunec: \(step) …")
      }
      return true
    }
  }

  private func draw() {
    let seconds = Int(Date().timeIntervalSince(begin))
    let elapsed = seconds < 60 ? "\(seconds) s" : "\(seconds / 60) min \(seconds % 60) s"
    var line = "prunec: \(step)"
    if let share, share.isFinite {
      let filled = Int((min(1, max(0, share)) * 20).rounded(.down))
      line +=
        "  [\(String(repeating: "#", count: filled))\(String(repeating: "-", count: 20 - filled))] \(Int(min(1, max(0, share)) * 100)) %"
    }
    isShown = true
    write("\r\u{1B}[K\(line)  \(elapsed)")
  }

  /// Takes the bar off the line, until it is drawn again. The lock must be held.
  private func erase() {
    if isShown { write("\r\u{1B}[K") }
    isShown = false
  }

  private func write(_ text: String) {
    // A terminal that went away is no reason to stop.
    do throws(Diagnostic) { try Console.write(text, to: STDERR_FILENO) } catch {}
  }
}
