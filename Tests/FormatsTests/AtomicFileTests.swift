import Foundation
import Graph
import Testing

@testable import Formats

@Suite("Files that are written whole or not at all")
struct AtomicFileTests {
  private struct Interrupted: Error {}

  @Test("pieces of all sizes arrive in order")
  func pieces() throws {
    let scratch = try Scratch()
    let large = [UInt8](repeating: 7, count: 300_000)
    try AtomicFile.write(to: scratch.file("f"), notOver: []) { sink in
      try sink.write([1, 2])
      try sink.write(large)
      try sink.writeZeros(3)
      #expect(sink.count == 300_005)
      try sink.write([])
      try sink.write([UInt8](repeating: 9, count: 200_000))
      try sink.write([UInt8](repeating: 8, count: 200_000))
    }
    let expected = [1, 2] + large + [0, 0, 0] + [UInt8](repeating: 9, count: 200_000) + [UInt8](repeating: 8, count: 200_000)
    #expect(try contents(scratch.file("f")) == expected)
    #expect(scratch.names == ["f"])
  }

  @Test("a failure leaves the old file and nothing else")
  func failure() throws {
    let scratch = try Scratch()
    try scratch.write([1], to: "old")
    let found = diagnostic {
      try AtomicFile.write(to: scratch.file("old"), notOver: []) { sink in
        try sink.write([UInt8](repeating: 0, count: 1 << 20))
        throw Diagnostic(.invalid, "half way")
      }
    }
    #expect(found?.message == "half way")
    #expect(throws: Diagnostic.self) { try AtomicFile.write(to: scratch.file("new"), notOver: []) { _ in throw Interrupted() } }
    #expect(scratch.names == ["old"])
    #expect(try contents(scratch.file("old")) == [1])
  }

  @Test("an input is not overwritten, by whatever name")
  func inputs() throws {
    let scratch = try Scratch()
    let input = try scratch.write([1], to: "in")
    try FileManager.default.createSymbolicLink(atPath: scratch.file("link"), withDestinationPath: "in")
    try FileManager.default.linkItem(atPath: input, toPath: scratch.file("hard"))
    for name in ["in", "link", "hard", "./in"] {
      let found = diagnostic {
        try AtomicFile.write(to: scratch.file(name), notOver: [scratch.file("none"), input]) { try $0.write([2]) }
      }
      #expect(found?.message == "would overwrite the input; choose another name for the output")
      #expect(found?.kind == .unwritable)
    }
    #expect(try contents(input) == [1])
    try AtomicFile.write(to: scratch.file("out"), notOver: [input]) { try $0.write([2]) }
    #expect(try contents(scratch.file("out")) == [2])
  }

  @Test("an existing file keeps its permissions, a link stays a link, a device is written directly")
  func existing() throws {
    let scratch = try Scratch()
    let path = try scratch.write([1], to: "f")
    try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
    try FileManager.default.createSymbolicLink(atPath: scratch.file("link"), withDestinationPath: "f")
    try AtomicFile.write(to: scratch.file("link"), notOver: []) { try $0.write([2]) }
    #expect(try contents(path) == [2])
    #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o640)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: scratch.file("link")) == "f")
    try AtomicFile.write(to: "/dev/null", notOver: []) { try $0.write([3]) }
    #expect(FileManager.default.fileExists(atPath: "/dev/null"))
  }

  @Test("places that cannot be written are named")
  func places() throws {
    let scratch = try Scratch()
    func failure(_ path: String) -> String? { diagnostic { try AtomicFile.write(to: path, notOver: []) { _ in } }?.description }
    let lost = scratch.file("none/f")
    #expect(failure(lost) == "\(lost): cannot be written: its folder does not exist")
    #expect(failure(scratch.path) == "\(scratch.path): is a folder; give the name of a file")
    #expect(failure("") == "the name of the output is not a file name")
    #expect(
      diagnostic { try AtomicFile.write(to: "/dev/full", notOver: []) { try $0.write([1]) } }?.message.contains("no space left")
        ?? true)
  }

  @Test("a signal takes the temporary along")
  func signals() async throws {
    let scratch = try Scratch()
    let path = scratch.file("f")
    await #expect(processExitsWith: .signal(SIGTERM)) { [path = path as String] in
      try AtomicFile.write(to: path, notOver: []) { sink in
        try sink.write([UInt8](repeating: 1, count: 1 << 20))
        let present = try FileManager.default.contentsOfDirectory(atPath: (path as NSString).deletingLastPathComponent)
        guard present.count == 1 else { exit(3) }
        kill(getpid(), SIGTERM)
        sleep(60)
      }
    }
    #expect(scratch.names.isEmpty)
  }
}

@Suite("Mapped files")
struct MappedFileTests {
  @Test("the bytes of a file, none of an empty one")
  func bytes() throws {
    let scratch = try Scratch()
    let store = try MappedFile.open(try scratch.write([1, 2, 3], to: "f"))
    #expect(store.withUnsafeBytes { [UInt8]($0) } == [1, 2, 3])
    #expect(try MappedFile.open(try scratch.write([], to: "e")).count == 0)
  }

  @Test("a mapped file that is replaced keeps its old bytes")
  func replaced() throws {
    let scratch = try Scratch()
    let path = try scratch.write([1, 2, 3], to: "f")
    let store = try MappedFile.open(path)
    try AtomicFile.write(to: path, notOver: []) { try $0.write([4]) }
    #expect(store.withUnsafeBytes { [UInt8]($0) } == [1, 2, 3])
  }
}
