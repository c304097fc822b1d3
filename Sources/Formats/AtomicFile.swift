import Graph

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Files that appear whole or not at all: written beside the target and renamed at the end.
public enum AtomicFile {
  /// Writes a file through `body`. When anything fails, or a signal ends the process, the target stays as it was.
  ///
  /// A target that is one of `inputs` (the same file by whatever name) is refused. A target that is a device or a pipe is written directly.
  /// Failures of the system are diagnostics of kind `unwritable`; those of `body` pass through.
  public static func write(
    to path: String, notOver inputs: [String], body: (FileSink) throws -> Void
  ) throws(Diagnostic) {
    let file = try PendingFile(path, notOver: inputs)
    try diagnosing { try body(file.sink) }
    try file.commit()
  }
}

/// Where the bytes of a file go, in order: small pieces through a buffer, large ones straight to the system.
public final class FileSink {
  private let descriptor: Int32
  private let path: String
  private let buffer: UnsafeMutableRawBufferPointer
  private var filled = 0
  /// Bytes written so far.
  public private(set) var count = 0

  init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
    buffer = .allocate(byteCount: 1 << 18, alignment: 16)
  }

  deinit { buffer.deallocate() }

  /// Appends bytes.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(Diagnostic) {
    count += bytes.count
    if bytes.count > buffer.count - filled { try flush() }
    if bytes.count >= buffer.count { return try writeOut(bytes) }
    UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<filled + bytes.count]).copyMemory(from: bytes)
    filled += bytes.count
  }

  /// Appends bytes.
  public func write(_ bytes: [UInt8]) throws(Diagnostic) {
    try diagnosing { try bytes.withUnsafeBytes { try write($0) } }
  }

  /// Appends zeros.
  public func writeZeros(_ count: Int) throws(Diagnostic) {
    try write([UInt8](repeating: 0, count: max(0, count)))
  }

  func flush() throws(Diagnostic) {
    let full = UnsafeRawBufferPointer(rebasing: buffer[0..<filled])
    filled = 0
    try writeOut(full)
  }

  private func writeOut(_ bytes: UnsafeRawBufferPointer) throws(Diagnostic) {
    guard var from = bytes.baseAddress else { return }
    var left = bytes.count
    while left > 0 {
      #if canImport(Darwin)
        let written = Darwin.write(descriptor, from, min(left, 1 << 30))
      #elseif canImport(Musl)
        let written = Musl.write(descriptor, from, min(left, 1 << 30))
      #else
        let written = Glibc.write(descriptor, from, min(left, 1 << 30))
      #endif
      if written < 0 {
        if errno == EINTR { continue }
        throw PendingFile.cannotWrite(path, errno)
      }
      from += written
      left -= written
    }
  }
}

/// A file on its way: bytes go to a temporary beside the target; `commit` renames it, letting go without that removes it.
final class PendingFile {
  let sink: FileSink
  private let path: String
  private let target: String
  private let temporary: String?
  private var descriptor: Int32
  private var slot: UnfinishedFiles.Slot?

  init(_ path: String, notOver inputs: [String]) throws(Diagnostic) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw Diagnostic(.unwritable, "the name of the output is not a file name")
    }
    self.path = path
    var status = stat()
    let exists = stat(path, &status) == 0
    if exists {
      for input in inputs {
        var other = stat()
        if stat(input, &other) == 0, other.st_dev == status.st_dev, other.st_ino == status.st_ino {
          throw Diagnostic(.unwritable, "would overwrite the input; choose another name for the output", file: path)
        }
      }
    }
    switch exists ? status.st_mode & S_IFMT : S_IFREG {
    case S_IFDIR: throw Diagnostic(.unwritable, "is a folder; give the name of a file", file: path)
    case S_IFREG:
      // A symbolic link stays one: the file it points to is replaced.
      target = exists ? PendingFile.resolved(path) ?? path : path
      guard let made = PendingFile.makeTemporary(beside: target) else { throw PendingFile.cannotWrite(path, errno) }
      (temporary, descriptor, slot) = made
      if exists { fchmod(descriptor, status.st_mode & 0o777) }
    default:
      target = path
      temporary = nil
      descriptor = PendingFile.openForWriting(path, O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw PendingFile.cannotWrite(path, errno) }
    }
    sink = FileSink(descriptor: descriptor, path: path)
  }

  deinit { discard() }

  /// False for a device or pipe, which is written in place.
  var isReplaceable: Bool { temporary != nil }

  /// Puts the file in its place.
  func commit() throws(Diagnostic) {
    try sink.flush()
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0 else { throw PendingFile.cannotWrite(path, errno) }
    guard let temporary else { return }
    guard rename(temporary, target) == 0 else { throw PendingFile.cannotWrite(path, errno) }
    UnfinishedFiles.remove(slot)
    slot = nil
    descriptor = -2
  }

  private func discard() {
    if descriptor >= 0 { close(descriptor) }
    if descriptor > -2, let temporary { unlink(temporary) }
    UnfinishedFiles.remove(slot)
  }

  static func cannotWrite(_ path: String, _ code: Int32) -> Diagnostic {
    switch code {
    case ENOENT, ENOTDIR: Diagnostic(.unwritable, "cannot be written: its folder does not exist", file: path)
    case EACCES, EPERM, EROFS: Diagnostic(.unwritable, "cannot be written: permission denied", file: path)
    case ENOSPC, EDQUOT: Diagnostic(.unwritable, "cannot be written: no space left on the disk", file: path)
    default: Diagnostic(.unwritable, "cannot be written: \(String(cString: strerror(code)))", file: path)
    }
  }

  private static func resolved(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }

  /// Makes a file under a name that signals know of before it is there; nil, with `errno`, where that cannot be.
  private static func makeTemporary(
    beside target: String
  ) -> (name: String, descriptor: Int32, slot: UnfinishedFiles.Slot?)? {
    let folder = target.lastIndex(of: "/").map { String(target[...$0]) } ?? ""
    for attempt in 0..<10_000 {
      let name = "\(folder).prunec-\(getpid())-\(attempt).tmp"
      let slot = UnfinishedFiles.add(name)
      let descriptor = openForWriting(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC)
      if descriptor >= 0 { return (name, descriptor, slot) }
      let code = errno
      UnfinishedFiles.remove(slot)
      errno = code
      if code != EEXIST { break }
    }
    return nil
  }

  private static func openForWriting(_ path: String, _ flags: Int32) -> Int32 {
    #if canImport(Darwin)
      Darwin.open(path, flags, 0o666)
    #elseif canImport(Musl)
      Musl.open(path, flags, 0o666)
    #else
      Glibc.open(path, flags, 0o666)
    #endif
  }
}

/// The temporaries, files and folders, that a signal must take along. A handler may neither allocate nor lock, so the names lie in memory of fixed size.
enum UnfinishedFiles {
  typealias Slot = UnsafeMutablePointer<CChar>
  private static let slotSize = 4096
  private static let slotCount = 1024

  /// Pages of it that nobody uses take no memory.
  nonisolated(unsafe) private static let names: Slot = {
    let names = calloc(slotCount, slotSize)?.assumingMemoryBound(to: CChar.self)
    return names ?? Slot.allocate(capacity: slotSize * slotCount)
  }()

  nonisolated(unsafe) private static let lock: UnsafeMutablePointer<pthread_mutex_t> = {
    let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    return lock
  }()

  /// Installed once, only where nobody else handles the signal.
  private static let handlers: Void = {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      var present = sigaction()
      sigaction(number, nil, &present)
      #if canImport(Darwin)
        let isDefault = present.__sigaction_u.__sa_handler == nil
      #else
        let isDefault = present.__sigaction_handler.sa_handler == nil
      #endif
      if isDefault { signal(number, removeAllAndEnd) }
    }
  }()

  private static let removeAllAndEnd: @convention(c) (Int32) -> Void = { number in
    UnfinishedFiles.unlinkAll()
    signal(number, SIG_DFL)
    kill(getpid(), number)
  }

  private static func unlinkAll() {
    var slot = names
    for _ in 0..<slotCount {
      if slot.pointee != 0 { unlink(slot) }
      slot += slotSize
    }
    // Folders are empty by now; those inside others were added after them.
    for _ in 0..<slotCount {
      slot -= slotSize
      if slot.pointee != 0 { rmdir(slot) }
    }
  }

  /// Remembers a file; nil when there is no room, and then a signal leaves the temporary behind.
  static func add(_ name: String) -> Slot? {
    let path = name.utf8.first == UInt8(ascii: "/") ? name : workingFolder() + name
    guard path.utf8.count < slotSize else { return nil }
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    _ = handlers
    for index in 0..<slotCount {
      let slot = names + index * slotSize
      guard slot.pointee == 0 else { continue }
      // The first byte is set last, so that the handler never sees half a name.
      let bytes = path.utf8.map { CChar(bitPattern: $0) } + [0]
      for (at, byte) in bytes.enumerated().dropFirst() { slot[at] = byte }
      slot[0] = bytes[0]
      return slot
    }
    return nil
  }

  static func remove(_ slot: Slot?) {
    guard let slot else { return }
    pthread_mutex_lock(lock)
    slot.pointee = 0
    pthread_mutex_unlock(lock)
  }

  private static func workingFolder() -> String {
    guard let folder = getcwd(nil, 0) else { return "" }
    defer { free(folder) }
    return String(cString: folder) + "/"
  }
}
