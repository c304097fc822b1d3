import Foundation

/// A line of complex numbers.
struct ComplexLine {
  var real: [Double]
  var imaginary: [Double]

  /// So many zeros.
  init(count: Int) {
    real = Array(repeating: 0, count: count)
    imaginary = real
  }

  /// The given numbers.
  init(real: [Double], imaginary: [Double]) {
    self.real = real
    self.imaginary = imaginary
  }

  /// Σ x(n)·exp(∓2πi·kn/N), not scaled; halves of an even length are transformed apart (Cooley and Tukey 1965).
  func transformed(inverse: Bool) -> ComplexLine {
    let count = real.count
    if count <= 1 { return self }
    let sign = inverse ? 2 * Double.pi : -2 * Double.pi
    guard count % 2 == 0 else {
      let turns = (0..<count).map { sign * Double($0) / Double(count) }
      let (cosines, sines) = (turns.map { cos($0) }, turns.map { sin($0) })
      var result = ComplexLine(count: count)
      for k in 0..<count {
        var (re, im, turn) = (0.0, 0.0, 0)
        for n in 0..<count {
          re += real[n] * cosines[turn] - imaginary[n] * sines[turn]
          im += real[n] * sines[turn] + imaginary[n] * cosines[turn]
          turn += k
          if turn >= count { turn -= count }
        }
        (result.real[k], result.imaginary[k]) = (re, im)
      }
      return result
    }
    let half = count / 2
    func part(_ first: Int) -> ComplexLine {
      let places = (0..<half).map { 2 * $0 + first }
      return ComplexLine(real: places.map { real[$0] }, imaginary: places.map { imaginary[$0] }).transformed(inverse: inverse)
    }
    let (even, odd) = (part(0), part(1))
    var result = ComplexLine(count: count)
    for k in 0..<half {
      let turn = sign * Double(k) / Double(count)
      let re = odd.real[k] * cos(turn) - odd.imaginary[k] * sin(turn)
      let im = odd.real[k] * sin(turn) + odd.imaginary[k] * cos(turn)
      (result.real[k], result.imaginary[k]) = (even.real[k] + re, even.imaginary[k] + im)
      (result.real[k + half], result.imaginary[k + half]) = (even.real[k] - re, even.imaginary[k] - im)
    }
    return result
  }
}
