import Foundation
import Graph
import Testing

@testable import Formats

/// A folder appears whole or not at all.
@Suite("Pending folders")
struct PendingFolderTests {
  private func checkpoint(_ scratch: Scratch, _ text: String) throws -> String {
    let path = scratch.file("s")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try scratch.write(Array(text.utf8), to: "s/config.json")
    return path
  }

  @Test("it takes the place of the old one at the end, not before")
  func commit() throws {
    let scratch = try Scratch()
    let path = try checkpoint(scratch, "old")
    let folder = try PendingFolder(path, notOver: scratch.file("m"))
    try AtomicFile.write(to: try folder.file("config.json"), notOver: []) { try $0.write(Array("new".utf8)) }
    try AtomicFile.write(to: try folder.file("deep/er/a.txt"), notOver: []) { try $0.write([1]) }
    #expect(try contents(path + "/config.json") == Array("old".utf8))
    try folder.commit()
    #expect(try contents(path + "/config.json") == Array("new".utf8))
    #expect(try contents(path + "/deep/er/a.txt") == [1])
    #expect(scratch.names == ["s"])
  }

  @Test("let go before the end, it leaves nothing, and the old one stays")
  func abandoned() throws {
    let scratch = try Scratch()
    let path = try checkpoint(scratch, "old")
    do {
      let folder = try PendingFolder(path, notOver: scratch.file("m"))
      try AtomicFile.write(to: try folder.file("deep/a.txt"), notOver: []) { try $0.write([1]) }
      #expect(scratch.names.count == 2)
    }
    #expect(scratch.names == ["s"])
    #expect(try contents(path + "/config.json") == Array("old".utf8))
  }

  @Test("a signal in the middle takes what is written along, and the old one stays")
  func signals() async throws {
    let scratch = try Scratch()
    let path = try checkpoint(scratch, "old")
    await #expect(processExitsWith: .signal(SIGTERM)) { [path = path as String] in
      let folder = try PendingFolder(path, notOver: path + "/../m")
      try AtomicFile.write(to: try folder.file("config.json"), notOver: []) { try $0.write([1]) }
      try AtomicFile.write(to: try folder.file("deep/er/a.txt"), notOver: []) { try $0.write([1]) }
      try AtomicFile.write(to: try folder.file("model.safetensors"), notOver: []) { sink in
        try sink.write([UInt8](repeating: 1, count: 1 << 20))
        let present = try FileManager.default.contentsOfDirectory(atPath: (path as NSString).deletingLastPathComponent)
        guard present.count == 2 else { exit(3) }
        kill(getpid(), SIGTERM)
        sleep(60)
      }
    }
    #expect(scratch.names == ["s"])
    #expect(try contents(path + "/config.json") == Array("old".utf8))
  }
}
