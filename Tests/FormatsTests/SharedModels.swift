import Foundation

/// Models that lie beside the project on some machines; tests over them do nothing elsewhere.
enum SharedModels {
  /// Paths of all ONNX files there, in order; empty where there are none.
  static let onnx: [String] = {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let places = [
      "../../../shared/models", "../../../../shared/models",
    ].map { tests.appendingPathComponent($0).standardizedFileURL.path }
    let chosen = ProcessInfo.processInfo.environment["PRUNEC_MODELS"].map { [$0] } ?? places
    for place in chosen {
      guard let names = FileManager.default.enumerator(atPath: place) else { continue }
      let models = names.compactMap { $0 as? String }.filter { $0.hasSuffix(".onnx") }.sorted()
      if !models.isEmpty { return models.map { place + "/" + $0 } }
    }
    return []
  }()
}
