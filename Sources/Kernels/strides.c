// What chains and copies are made of before they run: their axes, and how they are divided. The same for every instruction set.
#include "internal.h"

// ---- Chains

/// Whether an operand walks `axis` and the one after it as one.
static bool walks_as_one(const pk_chain_operand *operand, size_t axis, size_t next_extent) {
  return operand->strides[axis] == operand->strides[axis + 1] * (ptrdiff_t)next_extent;
}

/// Removes `axis` from the extents and from every operand.
static void drop_axis(pk_chain *chain, size_t axis) {
  for (size_t next = axis + 1; next < chain->rank; next++) {
    chain->extents[next - 1] = chain->extents[next];
    chain->result.strides[next - 1] = chain->result.strides[next];
    for (size_t i = 0; i < chain->operand_count; i++)
      chain->operands[i].strides[next - 1] = chain->operands[i].strides[next];
  }
  chain->rank--;
}

void pk_chain_simplify(pk_chain *chain) {
  for (size_t axis = chain->rank; axis-- > 0;)
    if (chain->extents[axis] == 1) drop_axis(chain, axis);
  for (size_t axis = chain->rank; axis-- > 1;) {
    const size_t outer = axis - 1, extent = chain->extents[axis];
    bool is_one = walks_as_one(&chain->result, outer, extent);
    for (size_t i = 0; i < chain->operand_count && is_one; i++) is_one = walks_as_one(&chain->operands[i], outer, extent);
    if (!is_one) continue;
    // The inner axis's strides stay, for both extents.
    chain->extents[axis] *= chain->extents[outer];
    drop_axis(chain, outer);
  }
}

size_t pk_chain_scratch_size(const pk_chain *chain) {
  const size_t registers = pk_chain_registers(chain);
  return registers * (pk_chain_block(registers) + PK_CHAIN_SLOT_GAP) + 16;
}
