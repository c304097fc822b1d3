import Graph

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Files as bytes that are read where they lie: nothing is copied until somebody looks at it.
public enum MappedFile {
  /// Maps a file read-only. An empty file is no bytes.
  ///
  /// A missing or unreadable file, a folder, or a pipe is a `Diagnostic` of kind `invalid` that names the file.
  public static func open(_ path: String) throws(Diagnostic) -> ByteStore {
    guard !path.isEmpty else { throw Diagnostic(.invalid, "the name of the file is empty") }
    guard !path.utf8.contains(0) else { throw Diagnostic(.invalid, "the name of the file holds a NUL character") }
    // A pipe without a writer must not block the call, hence O_NONBLOCK; for regular files it means nothing.
    #if canImport(Darwin)
      let descriptor = Darwin.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    #elseif canImport(Musl)
      let descriptor = Musl.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    #else
      let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    #endif
    guard descriptor >= 0 else { throw cannotRead(path, errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw cannotRead(path, errno) }
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw Diagnostic(.invalid, "is a folder, not a file", file: path)
    default: throw Diagnostic(.invalid, "is not a regular file; save it to disk first", file: path)
    }
    let count = Int(status.st_size)
    guard count > 0 else { return ByteStore(adopting: nil, count: 0) { _, _ in } }
    guard let base = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw cannotRead(path, errno)
    }
    return ByteStore(adopting: base, count: count, isFile: true) { base, count in munmap(base, count) }
  }

  private static func cannotRead(_ path: String, _ code: Int32) -> Diagnostic {
    switch code {
    case ENOENT, ENOTDIR: Diagnostic(.invalid, "no such file", file: path)
    case EACCES, EPERM: Diagnostic(.invalid, "may not be read: permission denied", file: path)
    default: Diagnostic(.invalid, "cannot be read: \(String(cString: strerror(code)))", file: path)
    }
  }
}

extension ByteStore {
  /// Lends the bytes to a body that fails with diagnostics only.
  func reading<Result>(_ body: (UnsafeRawBufferPointer) throws(Diagnostic) -> Result) throws(Diagnostic) -> Result {
    let outcome: Swift.Result<Result, Diagnostic> = withUnsafeBytes { bytes in
      do throws(Diagnostic) { return .success(try body(bytes)) } catch { return .failure(error) }
    }
    return try outcome.get()
  }
}

/// Runs a body whose only failures are diagnostics, though its type cannot say so.
func diagnosing<Result>(_ body: () throws -> Result) throws(Diagnostic) -> Result {
  do { return try body() } catch let failure as Diagnostic { throw failure } catch {
    throw Diagnostic(.unwritable, "\(error)")
  }
}
