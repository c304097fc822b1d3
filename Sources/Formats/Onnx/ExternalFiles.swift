import Graph

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The files beside a model that hold its tensors: each mapped once, none outside the model's folder.
struct ExternalFiles {
  /// Where a tensor says that its bytes are.
  struct Place {
    var location = ""
    var offset = 0
    var length: Int?
  }

  private let folder: String?
  private var maps: [String: ByteStore] = [:]
  /// Paths of the files that were mapped.
  private(set) var paths: [String] = []

  /// Files in a folder; with nil (a model that came from memory) there are none.
  init(folder: String?) { self.folder = folder }

  /// The bytes at a place; without a stated length as many as the tensor's type needs.
  mutating func data(at place: Place, byteCount: Int, tensor: String) throws(Diagnostic) -> TensorData {
    let store = try open(place.location, tensor: tensor)
    let length = place.length ?? byteCount
    let (end, overflow) = place.offset.addingReportingOverflow(length)
    guard !overflow, let data = TensorData(store, range: place.offset..<max(place.offset, end)), end <= store.count else {
      throw Diagnostic(
        .invalid,
        "its external data is bytes \(place.offset) to \(overflow ? "2^64" : "\(end)") of '\(place.location)', which has \(store.count)",
        at: .tensor(tensor))
    }
    return data
  }

  private mutating func open(_ location: String, tensor: String) throws(Diagnostic) -> ByteStore {
    if let store = maps[location] { return store }
    func refuse(_ why: String) -> Diagnostic {
      Diagnostic(.invalid, "its external data '\(location)' \(why)", at: .tensor(tensor))
    }
    guard let folder else { throw refuse("cannot be found: the model was not read from a file") }
    guard !location.isEmpty, !location.utf8.contains(0) else { throw refuse("is no file name") }
    guard !location.hasPrefix("/") else { throw refuse("is an absolute path; it must be relative to the model's folder") }
    guard !location.split(separator: "/").contains("..") else { throw refuse("leaves the model's folder") }
    let path = "\(folder)/\(location)"
    guard let real = ExternalFiles.resolved(path) else { throw refuse("does not exist beside the model; copy it there") }
    guard let home = ExternalFiles.resolved(folder), real.hasPrefix(home == "/" ? "/" : home + "/") else {
      throw refuse("is a symbolic link that leaves the model's folder; copy the file there")
    }
    let store: ByteStore
    do throws(Diagnostic) { store = try MappedFile.open(real) } catch { throw refuse(error.message) }
    maps[location] = store
    paths.append(real)
    return store
  }

  private static func resolved(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }
}
