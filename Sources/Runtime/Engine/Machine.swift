import Kernels

/// What the kernels are on this machine.
public enum Machine {
  /// Instruction set in use.
  public static var instructionSet: String { String(cString: pk_isa_name(pk_get_isa())) }

  /// Columns of a product that are computed at once.
  public static var productStep: Int { pk_panel_columns() }
}
