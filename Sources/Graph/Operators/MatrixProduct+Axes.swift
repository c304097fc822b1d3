extension MatrixProduct {
  /// The axis rules of the family.
  public func relate(_ solver: some AxisSolver) {
    solver.freezeNode(.opaque(rawValue))
  }
}
