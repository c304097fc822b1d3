import Foundation
import Graph

/// A folder that appears whole or not at all: filled beside the target under another name, and renamed at the end. Letting go without
/// `commit`, or a signal, removes what was written; a folder that was there before stays as it was until then.
public final class PendingFolder {
  private let path: String
  private let temporary: String
  private var slots: [UnsafeMutablePointer<CChar>?] = []
  private var isCommitted = false

  /// A folder to be. Only a checkpoint folder (one with config.json) or an empty folder may be replaced, and never `input`.
  public init(_ path: String, notOver input: String) throws(Diagnostic) {
    let plain = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    self.path = plain
    try Self.check(plain, notOver: input)
    let folder = URL(fileURLWithPath: plain).deletingLastPathComponent().path
    temporary = "\(folder)/.prunec-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: 0...UInt32.max)).tmp"
    try makeFolder(temporary)
  }

  /// Throws what would keep a folder from being written there, as far as it can be known before there is anything to write.
  public static func check(_ path: String, notOver input: String) throws(Diagnostic) {
    let manager = FileManager.default
    let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
    var isFolder: ObjCBool = false
    guard manager.fileExists(atPath: parent, isDirectory: &isFolder), isFolder.boolValue else {
      throw Diagnostic(.unwritable, "cannot be written: there is no folder \(parent)", file: path)
    }
    guard manager.fileExists(atPath: path, isDirectory: &isFolder) else { return }
    guard isFolder.boolValue else {
      throw Diagnostic(.unwritable, "is a file; a checkpoint becomes a folder, so give another name", file: path)
    }
    func resolved(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().standardizedFileURL.path }
    if resolved(path) == resolved(input) {
      throw Diagnostic(.unwritable, "would overwrite the input; choose another name for the output", file: path)
    }
    let held = (try? manager.contentsOfDirectory(atPath: path)) ?? []
    if !held.isEmpty, !held.contains("config.json") {
      throw Diagnostic(.unwritable, "is a folder that holds other things than a checkpoint; choose another name", file: path)
    }
  }

  deinit {
    if !isCommitted { try? FileManager.default.removeItem(atPath: temporary) }
    for slot in slots { UnfinishedFiles.remove(slot) }
  }

  /// Where to write a file of the folder; folders in `name` are made.
  public func file(_ name: String) throws(Diagnostic) -> String {
    var folder = temporary
    for part in name.split(separator: "/").dropLast() {
      folder += "/\(part)"
      if !FileManager.default.fileExists(atPath: folder) { try makeFolder(folder) }
    }
    let file = "\(temporary)/\(name)"
    slots.append(UnfinishedFiles.add(file))
    return file
  }

  /// Copies a file into the folder.
  public func copy(_ source: String, as name: String) throws(Diagnostic) {
    let bytes = try MappedFile.open(source)
    let target = try file(name)
    try AtomicFile.write(to: target, notOver: []) { sink in try bytes.withUnsafeBytes { try sink.write($0) } }
  }

  /// Puts the folder in its place. The one that was there is gone or whole at every moment, where the file system can exchange two names.
  public func commit() throws(Diagnostic) {
    let manager = FileManager.default
    var old: String?
    do {
      if !manager.fileExists(atPath: path) {
        try manager.moveItem(atPath: temporary, toPath: path)
      } else {
        // A signal from now on takes the old folder along, which will be where the new one is.
        for name in manager.enumerator(atPath: path)?.compactMap({ $0 as? String }) ?? [] {
          slots.append(UnfinishedFiles.add("\(temporary)/\(name)"))
        }
        old = Self.exchange(temporary, path) ? temporary : try replaceInTwoSteps()
      }
    } catch {
      throw Diagnostic(.unwritable, "cannot be put in its place: \(error.localizedDescription)", file: path)
    }
    isCommitted = true
    if let old { try? manager.removeItem(atPath: old) }
  }

  /// The same error, speaking of the folder that was asked for.
  func located(_ error: Diagnostic) -> Diagnostic {
    var error = error
    if let file = error.file, file.hasPrefix(temporary + "/") { error.file = path + file.dropFirst(temporary.count) }
    return error
  }

  /// Where the folder is now that was there.
  private func replaceInTwoSteps() throws -> String {
    let manager = FileManager.default
    let old = temporary + ".old"
    try manager.moveItem(atPath: path, toPath: old)
    do { try manager.moveItem(atPath: temporary, toPath: path) } catch {
      try manager.moveItem(atPath: old, toPath: path)
      throw error
    }
    return old
  }

  /// Gives two folders each other's name in one step; false where that is not possible.
  private static func exchange(_ one: String, _ other: String) -> Bool {
    #if canImport(Darwin)
      renamex_np(one, other, UInt32(RENAME_SWAP)) == 0
    #else
      // Swift's module of the C library leaves it out.
      typealias Rename = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
      let (workingFolder, exchanging) = (Int32(-100), UInt32(1 << 1))  // AT_FDCWD, RENAME_EXCHANGE
      guard let symbol = dlsym(nil, "renameat2") else { return false }
      return unsafeBitCast(symbol, to: Rename.self)(workingFolder, one, workingFolder, other, exchanging) == 0
    #endif
  }

  private func makeFolder(_ folder: String) throws(Diagnostic) {
    slots.append(UnfinishedFiles.add(folder))
    do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false) } catch {
      throw Diagnostic(.unwritable, "cannot be written: \(error.localizedDescription)", file: path)
    }
  }
}
