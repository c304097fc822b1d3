import Graph

// Swift hands no line on to operators, so failures in them name the line of the younger operand.

/// Works on every number; operands broadcast, aligned from the last axis.
extension Tensor {
  private static func joined(_ a: Tensor, _ b: Tensor, _ operation: Elementwise) -> Tensor {
    let builder = a.builder === TraceBuilder.none ? b.builder : a.builder
    let younger = (a.value?.index ?? -1) >= (b.value?.index ?? -1) ? a.site : b.site
    return builder.node(.elementwise(operation), [a, b], Site(younger.file, younger.line, isExact: false))
  }

  private var afterwards: Site { Site(site.file, site.line, isExact: false) }

  /// A number of this tensor's element type.
  func scalar(_ number: Double, _ site: Site? = nil) -> Tensor {
    guard value != nil else { return self }
    return builder.constant(reals: [number], [], element: element, site ?? afterwards)
  }

  /// Sum.
  public static func + (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .add) }
  /// Difference.
  public static func - (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .sub) }
  /// Product, number by number.
  public static func * (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .mul) }
  /// Quotient, number by number.
  public static func / (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .div) }
  /// Sum with a number.
  public static func + (a: Tensor, b: Double) -> Tensor { joined(a, a.scalar(b), .add) }
  /// Sum with a number.
  public static func + (a: Double, b: Tensor) -> Tensor { joined(b.scalar(a), b, .add) }
  /// Difference with a number.
  public static func - (a: Tensor, b: Double) -> Tensor { joined(a, a.scalar(b), .sub) }
  /// Difference from a number.
  public static func - (a: Double, b: Tensor) -> Tensor { joined(b.scalar(a), b, .sub) }
  /// Product with a number.
  public static func * (a: Tensor, b: Double) -> Tensor { joined(a, a.scalar(b), .mul) }
  /// Product with a number.
  public static func * (a: Double, b: Tensor) -> Tensor { joined(b.scalar(a), b, .mul) }
  /// Quotient with a number.
  public static func / (a: Tensor, b: Double) -> Tensor { joined(a, a.scalar(b), .div) }
  /// Quotient of a number.
  public static func / (a: Double, b: Tensor) -> Tensor { joined(b.scalar(a), b, .div) }
  /// The negative.
  public static prefix func - (a: Tensor) -> Tensor { a.builder.node(.elementwise(.neg), [a], a.afterwards) }

  /// Truth values: where it is less.
  public static func .< (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .less) }
  /// Truth values: where it is less or equal.
  public static func .<= (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .lessOrEqual) }
  /// Truth values: where it is greater.
  public static func .> (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .greater) }
  /// Truth values: where it is greater or equal.
  public static func .>= (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .greaterOrEqual) }
  /// Truth values: where both are equal.
  public static func .== (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .equal) }
  /// Truth values: where it is less than a number.
  public static func .< (a: Tensor, b: Double) -> Tensor { joined(a, a.scalar(b), .less) }
  /// Truth values: where it is greater than a number.
  public static func .> (a: Tensor, b: Double) -> Tensor { joined(a, a.scalar(b), .greater) }
  /// Truth values: where it equals a number.
  public static func .== (a: Tensor, b: Double) -> Tensor { joined(a, a.scalar(b), .equal) }
  /// Both are true.
  public static func .& (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .and) }
  /// One is true.
  public static func .| (a: Tensor, b: Tensor) -> Tensor { joined(a, b, .or) }
  /// The other truth value.
  public static prefix func .! (a: Tensor) -> Tensor { a.builder.node(.elementwise(.not), [a], a.afterwards) }
}

/// Functions of every number.
extension Tensor {
  private func unary(_ operation: Elementwise, _ file: StaticString, _ line: UInt) -> Tensor {
    made(.elementwise(operation), [], [], Site(file, line))
  }

  /// e to the power of it.
  public func exp(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.exp, file, line) }
  /// Natural logarithm.
  public func log(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.log, file, line) }
  /// Square root.
  public func squareRoot(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.sqrt, file, line) }
  /// 1 / √x.
  public func reciprocalSquareRoot(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    unary(.sqrt, file, line).unary(.reciprocal, file, line)
  }
  /// Absolute value.
  public func absolute(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.abs, file, line) }
  /// Cosine.
  public func cos(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.cos, file, line) }
  /// Sine.
  public func sin(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.sin, file, line) }
  /// Hyperbolic tangent.
  public func tanh(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.tanh, file, line) }
  /// 1 / (1 + e^−x).
  public func sigmoid(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.sigmoid, file, line) }
  /// max(x, 0).
  public func relu(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.relu, file, line) }
  /// The Gauss error function.
  public func erf(file: StaticString = #fileID, line: UInt = #line) -> Tensor { unary(.erf, file, line) }
  /// x · sigmoid(x), also called swish.
  public func silu(file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    made(.elementwise(.mul), [unary(.sigmoid, file, line)], [], Site(file, line))
  }

  /// How gelu is computed.
  public enum GeluForm: Sendable {
    /// x/2 · (1 + erf(x / √2)).
    case erf
    /// x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
    case tanh
  }

  /// Gaussian error linear unit (Hendrycks and Gimpel 2016).
  public func gelu(_ form: GeluForm = .erf, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    switch form {
    case .erf: made(.elementwise(.gelu), [], [], Site(file, line))
    case .tanh: made(.elementwise(.gelu), [], [.init(.approximate, .string("tanh"))], Site(file, line))
    }
  }

  /// It to a power.
  public func power(_ exponent: Double, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    made(.elementwise(.pow), [scalar(exponent, Site(file, line))], [], Site(file, line))
  }

  /// Numbers below and above the bounds become the bounds.
  public func clamped(
    _ bounds: ClosedRange<Double>, file: StaticString = #fileID, line: UInt = #line
  ) -> Tensor {
    let site = Site(file, line)
    return made(.elementwise(.clip), [scalar(bounds.lowerBound, site), scalar(bounds.upperBound, site)], [], site)
  }

  /// The same numbers in another element type; itself where it has that type already.
  public func cast(to element: ElementType, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    if element == self.element { return self }
    return made(.elementwise(.cast), [], [.init(.to, .int(element.onnxCode))], Site(file, line))
  }

  /// Where this tensor of truth values is true the one, elsewhere the other.
  public func choose(_ yes: Tensor, else no: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    made(.elementwise(.choose), [yes, no], [], Site(file, line))
  }

  /// Where this tensor of truth values is true the tensor, elsewhere a number.
  public func choose(_ yes: Tensor, else no: Double, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    choose(yes, else: yes.scalar(no, Site(file, line)), file: file, line: line)
  }

  /// The same tensor with a number wherever the mask, truth values, is true.
  public func masked(where mask: Tensor, with number: Double, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    mask.choose(scalar(number, Site(file, line)), else: self, file: file, line: line)
  }
}
