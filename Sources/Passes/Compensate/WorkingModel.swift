import Graph

/// A module whose parameters are given other numbers one after the other.
struct WorkingModel {
  private(set) var module: Module
  private let places: [ValueID: Int]

  init(_ module: Module) {
    self.module = module
    places = Dictionary(module.parameters.enumerated().map { ($1.value, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The numbers of a parameter; nil for what is none, or has none.
  func tensor(_ value: ValueID) -> Tensor? { places[value].flatMap { Tensor(module.parameters[$0].content) } }

  /// Gives a parameter other numbers, rounded to its element type.
  mutating func set(_ value: ValueID, _ reals: [Double]) {
    guard let place = places[value] else { return }
    let content = module.parameters[place].content
    let tensor = Tensor(reals: reals, content.element, content.shape)
    module.parameters[place].content = TensorContent(tensor.data, element: tensor.element, shape: tensor.shape)
  }

  /// Adds to the numbers of a parameter.
  mutating func add(_ value: ValueID, _ numbers: [Double]) {
    guard let tensor = tensor(value), tensor.count == numbers.count else { return }
    set(value, zip(tensor.reals, numbers).map(+))
  }
}
