import Graph
import Kernels

/// A matrix product as the kernels take it: batches of C[m, n] = A[m, k] · B[k, n].
private struct ProductShape {
  var m: Int
  var n: Int
  var k: Int
  /// Element strides of A's rows and columns, and of B's.
  var aStrides: (row: Int, column: Int)
  var bStrides: (row: Int, column: Int)
  /// Per batch, the first element of A and of B; C's follow one another.
  var batches: [(a: Int, b: Int)]
  var alpha: Float = 1
}

extension ProgramBuilder {
  /// Matrix products of f32 numbers, with their epilogue.
  mutating func bindProduct(_ node: Node, _ fused: FusedStep, _ epilogue: FusedEpilogue) -> Bool {
    guard node.inputs.count > 1, let a = node.inputs[0], let b = node.inputs[1], let made = node.outputs[0], isFloat(a),
      isFloat(b), isFloat(made),
      let product = productShape(node, a, b), product.m > 0, product.n > 0, product.k > 0, !product.batches.isEmpty
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
    guard let left = reading(a) else { return false }
    let bias = epilogue.bias.flatMap { reading($0) }
    let residual = epilogue.residual.flatMap { reading($0) }
    guard (bias == nil) == (epilogue.bias == nil), (residual == nil) == (epilogue.residual == nil) else { return false }
    let (function, first, second) = Self.kernelActivation(epilogue.activation)
    let isAfter = epilogue.isResidualAfterActivation
    let packed = Self.packedCount(product)
    let isWeight = parameters[b] != nil && product.batches.allSatisfy { $0.b == 0 }
    let right: Operand
    if isWeight, let tensor = constant(b) {
      right = addConstant(Self.pack(tensor, product))
    } else if let operand = reading(b) {
      right = operand
    } else {
      return false
    }
    let panelsAll = isWeight ? nil : temporary(bytes: packed * 4 * product.batches.count)
    guard let target = writing(result) else { return false }
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

  private func productShape(_ node: Node, _ a: ValueID, _ b: ValueID) -> ProductShape? {
    guard let left = shape(a), let right = shape(b), case .matrixProduct(let kind) = node.operation else { return nil }
    switch kind {
    case .gemm:
      guard left.count == 2, right.count == 2 else { return nil }
      let (transA, transB) = (node.attributes.flag(.transA), node.attributes.flag(.transB))
      return ProductShape(
        m: left[transA ? 1 : 0], n: right[transB ? 0 : 1], k: left[transA ? 0 : 1],
        aStrides: transA ? (1, left[1]) : (left[1], 1),
        bStrides: transB ? (1, right[1]) : (right[1], 1), batches: [(0, 0)], alpha: node.attributes.float(.alpha) ?? 1)
    case .matMul: return Self.batched(left, right)
    case .einsum, .matMulInteger, .quantisedMatMul, .fusedMatMul, .matMulNBits, .fusedGemm, .quantisedGemm, .dynamicMatMul,
      .integerToFloat:
      return nil
    }
  }

  private static func batched(_ left: [Int], _ right: [Int]) -> ProductShape? {
    guard !left.isEmpty, !right.isEmpty else { return nil }
    let a = left.count == 1 ? [1] + left : left
    let b = right.count == 1 ? right + [1] : right
    let (k, n) = (b[b.count - 2], b[b.count - 1])
    // One B for all rows of A: the batches are rows.
    if b.count == 2 {
      return ProductShape(m: a.dropLast().reduce(1, *), n: n, k: k, aStrides: (k, 1), bStrides: (n, 1), batches: [(0, 0)])
    }
    let rank = max(a.count, b.count) - 2
    let outerA = Array(repeating: 1, count: rank - (a.count - 2)) + a.dropLast(2)
    let outerB = Array(repeating: 1, count: rank - (b.count - 2)) + b.dropLast(2)
    let outer = zip(outerA, outerB).map { $0 == 1 ? $1 : $0 }
    let m = a[a.count - 2]
    let starts = zip(Tensor.broadcastPositions(outerA, to: outer), Tensor.broadcastPositions(outerB, to: outer))
    return ProductShape(
      m: m, n: n, k: k, aStrides: (k, 1), bStrides: (n, 1), batches: starts.map { ($0 * m * k, $1 * k * n) })
  }

  private static func packedCount(_ product: ProductShape) -> Int { pk_packed_b_size(product.k, product.n) }

  private static func pack(_ tensor: Tensor, _ product: ProductShape) -> TensorData {
    let aligned = tensor.data.numbers(as: Float.self)
    return TensorData(count: packedCount(product) * 4) { target in
      guard let panels = target.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
      pk_pack_b(
        product.k, product.n, aligned, product.bStrides.row, product.bStrides.column, 0, pk_panel_count(product.n), panels)
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
