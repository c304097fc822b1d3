import Foundation
import Graph
import Runtime

/// How long products of matrices take on this machine with this runtime: measured once, at sizes that are powers of two, and kept in a file.
public struct CostTable: Codable, Sendable {
  /// Rows, contracted numbers and columns that were measured.
  public static let rows = [1, 16, 128, 1024]
  /// Contracted numbers that were measured.
  public static let contracted = [8, 32, 128, 512, 2048]
  /// Columns that were measured.
  public static let columns = [8, 16, 32, 64, 128, 256, 512, 1024]
  /// Columns that the kernel works on at once: a product of fewer takes as long.
  public let step: Int
  /// Seconds, rows outermost, columns innermost.
  public let products: [Double]
  /// Seconds that it takes to read or write a number once, where nothing is multiplied.
  public let number: Double
  /// What was measured: processor, threads, version.
  public let key: String

  /// What a table is kept under.
  public static func key(threads: Int, version: String) -> String { "\(processor) · \(threads) threads · prunec \(version)" }

  /// The processor's name.
  private static var processor: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") || $0.hasPrefix("CPU part") }
    let name = line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
    return "\(name ?? "processor") (\(Machine.instructionSet))"
  }

  /// The table of this machine: from its file, or measured now and written there. `progress` hears the share that is done.
  public static func here(threads: Int, version: String, progress: (Double) -> Void = { _ in }) throws(Diagnostic) -> CostTable {
    let key = key(threads: threads, version: version)
    if let data = try? Data(contentsOf: file), let tables = try? JSONDecoder().decode([CostTable].self, from: data),
      let known = tables.first(where: { $0.key == key && $0.isWhole })
    {
      return known
    }
    return try measured(threads: threads, version: version, progress: progress)
  }

  /// Measures, and writes the table to its file where that can be written.
  public static func measured(
    threads: Int, version: String, progress: (Double) -> Void = { _ in }
  ) throws(Diagnostic) -> CostTable {
    let key = key(threads: threads, version: version)
    let table = try CostTable(measuring: key, threads: threads, progress: progress)
    let data = try? Data(contentsOf: file)
    var tables = data.flatMap { try? JSONDecoder().decode([CostTable].self, from: $0) } ?? []
    tables.removeAll { $0.key == key }
    tables.append(table)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    if let data = try? encoder.encode(tables) {
      try? FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try? data.write(to: file, options: .atomic)
    }
    return table
  }

  /// Where tables are kept: `prunec/costs.json` in the user's folder for caches.
  public static var file: URL {
    let environment = ProcessInfo.processInfo.environment
    let home = URL(fileURLWithPath: environment["HOME"] ?? NSTemporaryDirectory())
    let folder = environment["XDG_CACHE_HOME"].map { URL(fileURLWithPath: $0) } ?? home.appendingPathComponent(".cache")
    return folder.appendingPathComponent("prunec/costs.json")
  }

  private var isWhole: Bool {
    products.count == Self.rows.count * Self.contracted.count * Self.columns.count
      && products.allSatisfy { $0 > 0 && $0.isFinite }
      && number > 0 && step > 0
  }

  init(measuring key: String, threads: Int, progress: (Double) -> Void) throws(Diagnostic) {
    self.key = key
    step = Machine.productStep
    var products: [Double] = []
    for rows in Self.rows {
      for contracted in Self.contracted {
        for columns in Self.columns {
          products.append(try Self.product(rows, contracted, columns, threads))
        }
        progress(Double(products.count) / Double(Self.rows.count * Self.contracted.count * Self.columns.count))
      }
    }
    self.products = products
    number = try Self.moved(threads)
  }

  private static func product(_ rows: Int, _ contracted: Int, _ columns: Int, _ threads: Int) throws(Diagnostic) -> Double {
    var module = Module(name: "product")
    func type(_ shape: [Int]) -> TensorType { TensorType(.f32, shape.map { Extent($0) }) }
    let x = module.add(Value(name: "x", type: type([rows, contracted])))
    let w = module.add(Value(name: "w", type: type([contracted, columns])))
    let y = module.add(Value(name: "y", type: type([rows, columns])))
    let weights = TensorData([Float](repeating: 0.5, count: contracted * columns))
    module.parameters = [Parameter(value: w, content: TensorContent(weights, element: .f32, shape: [contracted, columns]))]
    module.inputs = [x]
    module.outputs = [y]
    module.nodes = [Node(.matrixProduct(.matMul), inputs: [x, w], outputs: [y])]
    return try seconds(module, [rows, contracted], threads)
  }

  /// The larger of 0 and each of 2²⁰ numbers: two numbers are moved for each.
  private static func moved(_ threads: Int) throws(Diagnostic) -> Double {
    let count = 1 << 20
    var module = Module(name: "moved")
    let type = TensorType(.f32, [Extent(count)])
    let x = module.add(Value(name: "x", type: type))
    let y = module.add(Value(name: "y", type: type))
    module.inputs = [x]
    module.outputs = [y]
    module.nodes = [Node(.elementwise(.relu), inputs: [x], outputs: [y])]
    return try seconds(module, [count], threads) / Double(2 * count)
  }

  /// The least of some runs' times.
  private static func seconds(_ module: Module, _ shape: [Int], _ threads: Int) throws(Diagnostic) -> Double {
    let session = Session(module, threads: threads)
    let data = TensorData([Float](repeating: 0.25, count: shape.reduce(1, *)))
    guard let tensor = Tensor(.f32, shape, data: data) else { return 0 }
    let clock = ContinuousClock()
    var best = Double.infinity
    let begin = clock.now
    for run in 0..<200 {
      let start = clock.now
      _ = try session.run([.tensor(tensor)])
      if run > 0 { best = min(best, (clock.now - start) / .seconds(1)) }
      if run > 4, (clock.now - begin) / .seconds(1) > 0.02 { break }
    }
    return best
  }

  // MARK: Reading

  /// Seconds of a product of so many rows, contracted numbers and columns: interpolated between what was measured, in the logarithm of each.
  public func seconds(rows: Double, contracted: Double, columns: Double) -> Double {
    let columns = (columns / Double(step)).rounded(.up) * Double(step)
    let (r, c, n) = (Self.place(rows, Self.rows), Self.place(contracted, Self.contracted), Self.place(columns, Self.columns))
    var rate = 0.0
    for (row, rowShare) in r {
      for (depth, depthShare) in c {
        for (column, columnShare) in n {
          let index = (row * Self.contracted.count + depth) * Self.columns.count + column
          let work = Double(Self.rows[row] * Self.contracted[depth] * Self.columns[column])
          rate += rowShare * depthShare * columnShare * products[index] / work
        }
      }
    }
    return rate * rows * contracted * columns
  }

  /// Seconds that it takes to read and write so many numbers.
  public func seconds(numbers: Double) -> Double { numbers * number }

  /// The two sizes around one, each with its share; the nearest alone outside of all.
  private static func place(_ size: Double, _ sizes: [Int]) -> [(Int, Double)] {
    guard let upper = sizes.firstIndex(where: { Double($0) >= size }) else { return [(sizes.count - 1, 1)] }
    if upper == 0 { return [(0, 1)] }
    let (low, high) = (log(Double(sizes[upper - 1])), log(Double(sizes[upper])))
    let share = (log(size) - low) / (high - low)
    return [(upper - 1, 1 - share), (upper, share)]
  }
}
