import Foundation
import Graph
import TestSupport
import Testing

@testable import prunec

/// Folders whose files are damaged, and folders that cannot be written to the end.
extension CheckpointTests {
  /// How many damaged folders are tried per file; `PRUNEC_FUZZ` sets it, `PRUNEC_FUZZ_SEED` the first seed.
  private static let count = testCount("PRUNEC_FUZZ", default: 60)

  @Test(
    "a damaged file is a model or one line that says what is wrong, never a crash",
    arguments: [
      "config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    ])
  func damage(file: String) throws {
    try writeShards()
    _ = try ModelReader.read(runner.path("m"))
    let whole = try runner.contents("m/\(file)")
    // The bytes before the numbers: changes among the numbers are other numbers.
    let end = file.hasSuffix(".safetensors") ? min(whole.count, 8 + Int(whole[0]) + Int(whole[1]) << 8) : whole.count
    let first = UInt64(testCount("PRUNEC_FUZZ_SEED", default: 0))
    var refused = 0
    for seed in first..<first + UInt64(Self.count) {
      var generator = SeededGenerator(seed: seed)
      let damaged = ByteDamage.damaged(Array(whole[..<end]), &generator)
      try runner.write(damaged + whole[end...], "m/\(file)")
      do throws(Diagnostic) { _ = try ModelReader.read(runner.path("m")) } catch {
        refused += 1
        let lines = error.description.split(whereSeparator: \.isNewline).count
        #expect(lines == 1, "seed \(seed): \(error)")
        #expect(error.file?.hasPrefix(runner.path("m")) == true, "seed \(seed): \(error)")
      }
    }
    #expect(refused > Self.count / 4)
  }

  @Test("a file that is cut off anywhere is never half a model")
  func cut() throws {
    try writeShards()
    for file in ["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"] {
      let whole = try runner.contents("m/\(file)")
      for share in 0..<20 {
        try runner.write(Array(whole[..<(whole.count * share / 20)]), "m/\(file)")
        #expect(throws: Diagnostic.self) { try ModelReader.read(runner.path("m")) }
      }
      try runner.write(whole, "m/\(file)")
    }
    #expect(throws: Never.self) { try ModelReader.read(runner.path("m")) }
  }

  @Test("a disk that is full: one line, the old folder is as it was, and nothing lies beside it")
  func fullDisk() throws {
    try write()
    #expect(try runner.run("m", "-o", "s", "--ratio", "0.5", "-q").code == 0)
    let files = ["config.json", "model.safetensors"]
    let old = try files.map { try runner.contents("s/\($0)") }
    // No file may become longer than 4 blocks of 512 bytes, as on a disk with no more room.
    let limited = "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""
    let outcome = try runner.run(
      URL(fileURLWithPath: "/bin/sh"), ["-c", limited, CommandRunner.command.path, "m", "-o", "s", "--ratio", "0.25", "-q"])
    #expect(outcome.code == 5)
    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    #expect(outcome.errors.hasPrefix("prunec: error: s/model.safetensors: cannot be written"), "\(outcome.errors)")
    #expect(try files.map { try runner.contents("s/\($0)") } == old)
    let left = try FileManager.default.contentsOfDirectory(atPath: runner.folder.path).filter { $0.hasPrefix(".prunec") }
    #expect(left == [])
  }
}
