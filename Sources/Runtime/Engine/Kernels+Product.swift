import Graph
import Kernels

/// A matrix product as the kernels take it: batches of C[m, n] = A[m, k] · B[k, n].
private struct ProductShape {
  var m: Int
  var n: Int
  var k: Int
  /// Where A and B begin, and the strides of their rows and columns, in numbers.
  var a: Operand
  var b: Operand
  var aStrides: (row: Int, column: Int)
  var bStrides: (row: Int, column: Int)
  /// Per batch, the first number of A and of B; C's follow one another.
  var batches: [(a: Int, b: Int)]
  /// The axes of C as they lie in memory.
  var order: [Int]
  var alpha: Float = 1
}

extension ProgramBuilder {
  /// Matrix products of f32 numbers, with their epilogue.
  mutating func bindProduct(_ node: Node, _ fused: FusedStep, _ epilogue: FusedEpilogue) -> Bool {
    guard node.inputs.count > 1, let a = node.inputs[0], let b = node.inputs[1], let made = node.outputs[0], isFloat(a),
      isFloat(b), isFloat(made), let shapeOfResult = shape(made), !shapeOfResult.contains(0),
      let product = productShape(node, a, b, rank: shapeOfResult.count), product.m > 0, product.n > 0, product.k > 0,
      !product.batches.isEmpty
    else { return false }
    var epilogue = epilogue
    if case .matrixProduct(.gemm) = node.operation, node.inputs.count > 2, let summand = node.inputs[2] {
      guard epilogue.bias == nil, node.attributes.float(.beta) ?? 1 == 1, isFloat(summand), let own = shape(summand),
        product.alpha == 1,
        own == [product.n] || own == [1, product.n]
      else { return false }
      epilogue.bias = summand
    }
    let result = fused.result ?? made
    let bias = epilogue.bias.flatMap { dense($0) }
    let aimed = Placement(dense: Operand(buffer: 0), shapeOfResult, order: product.order)
    let residual = epilogue.residual.flatMap { summand in
      placement(summand, copiedTo: product.order) { other in
        shapeOfResult.indices.allSatisfy { shapeOfResult[$0] == 1 || other.strides[$0] == aimed.strides[$0] }
      }?.operand
    }
    guard (bias == nil) == (epilogue.bias == nil), (residual == nil) == (epilogue.residual == nil) else { return false }
    let (function, first, second) = Self.kernelActivation(epilogue.activation)
    let isAfter = epilogue.isResidualAfterActivation
    let packed = Self.packedCount(product)
    let isWeight = parameters[b] != nil && product.batches.allSatisfy { $0.b == 0 }
    let right: Operand
    if isWeight, let content = parameters[b] {
      right = addConstant(content) { Self.pack(content, product) }
    } else {
      right = product.b
    }
    let panelsAll = isWeight ? nil : temporary(bytes: packed * 4 * product.batches.count)
    guard let target = writing(result, order: product.order)?.operand else { return false }
    let left = product.a
    let tasks = Self.tasks(product, threads: threads)
    var sample = pk_gemm()
    sample.m = product.m
    sample.n = product.n
    sample.k = product.k
    sample.a_row_stride = product.aStrides.row
    sample.a_column_stride = product.aStrides.column
    sample.c_row_stride = product.n
    needScratch(floats: pk_gemm_scratch_size(&sample))
    let panelCount = pk_panel_count(product.n)
    let isParallel = Double(product.m) * Double(product.n) * Double(product.k) * Double(product.batches.count) > 30_000
    add(fused) { frame in
      if let panelsAll {
        let source = frame.floats(right)
        let panels = frame.floats(panelsAll)
        frame.pool.run(isParallel ? product.batches.count : 1) { index, _ in
          for batch in isParallel ? index..<index + 1 : 0..<product.batches.count {
            pk_pack_b(
              product.k, product.n, source + product.batches[batch].b, product.bStrides.row, product.bStrides.column, 0,
              panelCount,
              panels + batch * packed)
          }
        }
      }
      let panels = frame.floats(panelsAll ?? right)
      let count = tasks.count * product.batches.count
      let work: (Int, Int) -> Void = { index, worker in
        let (batch, task) = (index / tasks.count, tasks[index % tasks.count])
        var problem = pk_gemm()
        problem.m = product.m
        problem.n = product.n
        problem.k = product.k
        problem.a = UnsafePointer(frame.floats(left) + product.batches[batch].a)
        problem.a_row_stride = product.aStrides.row
        problem.a_column_stride = product.aStrides.column
        problem.packed_b = UnsafePointer(panels + (panelsAll == nil ? 0 : batch * packed))
        let start = batch * product.m * product.n
        problem.c = frame.floats(target) + start
        problem.c_row_stride = product.n
        problem.epilogue = pk_epilogue(
          alpha: product.alpha, bias: bias.map { UnsafePointer(frame.floats($0)) }, bias_per_row: false,
          residual_after_activation: isAfter, residual: residual.map { UnsafePointer(frame.floats($0) + start) },
          residual_row_stride: product.n, activation: function, first: first, second: second)
        pk_gemm_run(
          &problem, task.rows.lowerBound, task.rows.upperBound, task.panels.lowerBound, task.panels.upperBound,
          frame.scratch(worker))
      }
      if isParallel { frame.pool.run(count, work) } else { for index in 0..<count { work(index, 0) } }
    }
    return true
  }

  /// The operands as matrices, moved if need be; nil for products that the kernel does not know.
  private mutating func productShape(_ node: Node, _ a: ValueID, _ b: ValueID, rank: Int) -> ProductShape? {
    guard case .matrixProduct(let kind) = node.operation else { return nil }
    let isGemm: Bool
    switch kind {
    case .gemm: isGemm = true
    case .matMul: isGemm = false
    case .einsum, .matMulInteger, .quantisedMatMul, .fusedMatMul, .matMulNBits, .fusedGemm, .quantisedGemm, .dynamicMatMul,
      .integerToFloat:
      return nil
    }
    guard var left = shape(a), var right = shape(b), !left.isEmpty, !right.isEmpty, !left.contains(0), !right.contains(0) else {
      return nil
    }
    // A row or a column by itself is a matrix of one.
    let (isRow, isColumn) = (left.count == 1, right.count == 1)
    func matrix(_ placement: Placement, _ isLeft: Bool) -> Placement {
      var placement = placement
      if isLeft && isRow { placement.strides.insert(placement.strides[0], at: 0) }
      if !isLeft && isColumn { placement.strides.append(1) }
      return placement
    }
    if isRow { left.insert(1, at: 0) }
    if isColumn { right.append(1) }
    let (transA, transB) = (isGemm && node.attributes.flag(.transA), isGemm && node.attributes.flag(.transB))
    let isMatrix = parameters[b] != nil && right.dropLast(2).allSatisfy { $0 == 1 } && !isColumn
    // A weight is packed when the program is built; nobody reads it where it lies.
    guard
      let second = isMatrix
        ? Placement(dense: Operand(buffer: 0), right)
        : placement(b, copiedTo: Array(0..<(isColumn ? 1 : right.count)), if: { $0.strides.allSatisfy { $0 >= 0 } })
    else { return nil }
    let bPlacement = matrix(second, false)
    var bStrides = (row: bPlacement.strides[right.count - 2], column: bPlacement.strides[right.count - 1])
    var (k, n) = (right[right.count - 2], right[right.count - 1])
    if transB { (k, n, bStrides) = (n, k, (row: bStrides.column, column: bStrides.row)) }
    // One B for all rows of A: the rows of all batches are those of one matrix.
    if !isRow, !isColumn, !transA, right.dropLast(2).allSatisfy({ $0 == 1 }), left.count == rank,
      let rows = rows(a, inner: [left.count - 1])
    {
      return ProductShape(
        m: rows.rows, n: n, k: k, a: rows.operand, b: bPlacement.operand, aStrides: (rows.rowStride, 1), bStrides: bStrides,
        batches: [(0, 0)], order: rows.order, alpha: isGemm ? node.attributes.float(.alpha) ?? 1 : 1)
    }
    let own = isRow ? 1 : left.count
    guard
      let first = placement(
        a, copiedTo: Array(0..<own),
        if: { $0.strides.allSatisfy { $0 >= 0 } && ($0.strides.suffix(2).contains(1) || left.suffix(2).contains(1)) })
    else { return nil }
    let aPlacement = matrix(first, true)
    var aStrides = (row: aPlacement.strides[left.count - 2], column: aPlacement.strides[left.count - 1])
    var m = left[left.count - 2]
    if transA {
      m = left[left.count - 1]
      aStrides = (row: aStrides.column, column: aStrides.row)
    }
    let outerRank = max(left.count, right.count) - 2
    let outerA = Array(left.dropLast(2))
    let outerB = Array(right.dropLast(2))
    func padded(_ list: [Int]) -> [Int] { Array(repeating: 1, count: outerRank - list.count) + list }
    let outer = zip(padded(outerA), padded(outerB)).map { $0 == 1 ? $1 : $0 }
    guard let count = Tensor.count(outer), count < 1 << 22 else { return nil }
    func starts(_ placement: Placement, _ own: [Int]) -> [Int] {
      let strides = Placement(placement.operand, strides: Array(placement.strides.dropLast(2))).broadcast(own, to: outer)
      return Tensor.positions(outer, strides: strides)
    }
    return ProductShape(
      m: m, n: n, k: k, a: aPlacement.operand, b: bPlacement.operand, aStrides: aStrides, bStrides: bStrides,
      batches: zip(starts(aPlacement, outerA), starts(bPlacement, outerB)).map { ($0, $1) }, order: Array(0..<rank),
      alpha: isGemm ? node.attributes.float(.alpha) ?? 1 : 1)
  }

  private static func packedCount(_ product: ProductShape) -> Int { pk_packed_b_size(product.k, product.n) }

  private static func pack(_ content: TensorContent, _ product: ProductShape) -> TensorData {
    // The constant lies row by row, whatever copies of it there are.
    TensorData(count: packedCount(product) * 4) { target in
      withFloats(content) { numbers in
        pk_pack_b(
          product.k, product.n, numbers, product.bStrides.row, product.bStrides.column, 0, pk_panel_count(product.n),
          target.baseAddress?.assumingMemoryBound(to: Float.self))
      }
    }
  }

  /// Lends the f32 numbers of a parameter, at least one, row by row.
  static func withFloats(_ content: TensorContent, _ body: (UnsafePointer<Float>) -> Void) {
    aligned(content.materialized(), to: 4).withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { body(base.assumingMemoryBound(to: Float.self)) }
    }
  }

  /// Pieces of one C to share out: blocks of rows, or of panels where there are few rows.
  private static func tasks(_ product: ProductShape, threads: Int) -> [(rows: Range<Int>, panels: Range<Int>)] {
    let panels = pk_panel_count(product.n)
    let pieces = threads == 1 ? 1 : max(1, min(threads * 4, product.m * product.n * product.k / 60_000))
    if pieces == 1 || product.batches.count >= threads * 4 { return [(0..<product.m, 0..<panels)] }
    if product.m >= pieces * 24 {
      let step = (product.m / pieces + 23) / 24 * 24
      return stride(from: 0, to: product.m, by: step).map { ($0..<min($0 + step, product.m), 0..<panels) }
    }
    let step = max(1, (panels + pieces - 1) / pieces)
    return stride(from: 0, to: panels, by: step).map { (0..<product.m, $0..<min($0 + step, panels)) }
  }

  /// How the kernels call an activation.
  static func kernelActivation(_ activation: FusedActivation?) -> (pk_activation, Float, Float) {
    switch activation {
    case nil: (PK_ACTIVATION_NONE, 0, 0)
    case .relu?: (PK_ACTIVATION_RELU, 0, 0)
    case .clip(let low, let high)?: (PK_ACTIVATION_CLIP, low, high)
    case .leakyRelu(let slope)?: (PK_ACTIVATION_LEAKY_RELU, slope, 0)
    case .hardSigmoid(let slope, let offset)?: (PK_ACTIVATION_HARD_SIGMOID, slope, offset)
    case .hardSwish?: (PK_ACTIVATION_HARD_SWISH, 0, 0)
    case .sigmoid?: (PK_ACTIVATION_SIGMOID, 0, 0)
    case .silu?: (PK_ACTIVATION_SILU, 0, 0)
    case .gelu?: (PK_ACTIVATION_GELU_ERF, 0, 0)
    case .geluTanh?: (PK_ACTIVATION_GELU_TANH, 0, 0)
    case .tanh?: (PK_ACTIVATION_TANH, 0, 0)
    }
  }
}
