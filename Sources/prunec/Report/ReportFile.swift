import Foundation
import Graph

/// Where a report goes, looked at before anything long is begun.
enum ReportFile {
  /// Throws where the name is not that of a page, its folder is missing, or another output goes there too.
  static func check(_ path: String, _ others: [(path: String?, option: String)] = []) throws(Diagnostic) {
    let ending = path.lowercased()
    guard ending.hasSuffix(".html") || ending.hasSuffix(".htm") else {
      throw Diagnostic(.usage, "--report \(path): a page is written, so its name has to end in .html")
    }
    if let other = others.first(where: { $0.path == path }) {
      throw Diagnostic(.usage, "\(other.option) and --report both write to \(path); give them different names")
    }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    if !FileManager.default.fileExists(atPath: folder) {
      throw Diagnostic(.unwritable, "cannot be written: there is no folder \(folder)", file: path)
    }
  }
}
