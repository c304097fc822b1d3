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

// ---- Copies

enum {
  PIECE_BYTES = 32 * 1024,
  TILE_ROWS_PER_PIECE = 64,  // of the source's contiguous axis: whole lines of the cache
};

static ptrdiff_t magnitude(ptrdiff_t stride) { return stride < 0 ? -stride : stride; }

static void move_copy_axis(pk_copy *copy, size_t from, size_t to) {
  const size_t extent = copy->extents[from];
  const ptrdiff_t from_stride = copy->from_strides[from], to_stride = copy->to_strides[from];
  const ptrdiff_t step = from < to ? 1 : -1;
  for (size_t axis = from; axis != to; axis = (size_t)((ptrdiff_t)axis + step)) {
    const size_t next = (size_t)((ptrdiff_t)axis + step);
    copy->extents[axis] = copy->extents[next];
    copy->from_strides[axis] = copy->from_strides[next];
    copy->to_strides[axis] = copy->to_strides[next];
  }
  copy->extents[to] = extent;
  copy->from_strides[to] = from_stride;
  copy->to_strides[to] = to_stride;
}

static void drop_copy_axis(pk_copy *copy, size_t axis) {
  move_copy_axis(copy, axis, copy->rank - 1);
  copy->rank--;
}

/// Axes in the order of the result's memory, those that both sides walk as one merged.
static void order_and_merge(pk_copy *copy) {
  for (size_t axis = copy->rank; axis-- > 0;)
    if (copy->extents[axis] == 1) drop_copy_axis(copy, axis);
  for (size_t axis = 1; axis < copy->rank; axis++) {
    size_t place = axis;
    while (place > 0 && magnitude(copy->to_strides[place - 1]) < magnitude(copy->to_strides[axis])) place--;
    move_copy_axis(copy, axis, place);
  }
  for (size_t axis = copy->rank; axis-- > 1;) {
    const size_t outer = axis - 1;
    const ptrdiff_t extent = (ptrdiff_t)copy->extents[axis];
    if (copy->from_strides[outer] != copy->from_strides[axis] * extent) continue;
    if (copy->to_strides[outer] != copy->to_strides[axis] * extent) continue;
    copy->extents[axis] *= copy->extents[outer];
    drop_copy_axis(copy, outer);
  }
}

/// Makes a short innermost run one element, where every other stride is a multiple of it.
static bool widen_element(pk_copy *copy) {
  if (copy->rank == 0) return false;
  const size_t last = copy->rank - 1, run = copy->extents[last];
  if (copy->from_strides[last] != 1 || copy->to_strides[last] != 1) return false;
  const size_t bytes = run <= 8 ? run * copy->element_bytes : 0;
  if (bytes != 2 && bytes != 4 && bytes != 8) return false;
  for (size_t axis = 0; axis < last; axis++)
    if (copy->from_strides[axis] % (ptrdiff_t)run != 0 || copy->to_strides[axis] % (ptrdiff_t)run != 0) return false;
  for (size_t axis = 0; axis < last; axis++) {
    copy->from_strides[axis] /= (ptrdiff_t)run;
    copy->to_strides[axis] /= (ptrdiff_t)run;
  }
  copy->element_bytes = bytes;
  copy->rank--;
  return true;
}

void pk_copy_simplify(pk_copy *copy) {
  for (size_t axis = 0; axis < copy->rank; axis++)
    if (copy->extents[axis] == 0) return;
  order_and_merge(copy);
  if (widen_element(copy)) order_and_merge(copy);
  if (copy->rank < 2 || copy->from_strides[copy->rank - 1] == 1) return;
  // The source's contiguous axis next to the result's.
  size_t widest = copy->rank;
  for (size_t axis = 0; axis + 1 < copy->rank; axis++)
    if (copy->from_strides[axis] == 1 && (widest == copy->rank || copy->extents[axis] > copy->extents[widest])) widest = axis;
  if (widest < copy->rank) move_copy_axis(copy, widest, copy->rank - 2);
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

pk_copy_plan pk_plan_copy(const pk_copy *copy) {
  pk_copy_plan plan = {.planes = 1, .rows = 1, .columns = 1, .from_column = 1, .to_column = 1};
  const size_t rank = copy->rank;
  if (rank > 0) {
    plan.columns = copy->extents[rank - 1];
    plan.from_column = copy->from_strides[rank - 1];
    plan.to_column = copy->to_strides[rank - 1];
  }
  if (rank > 1) {
    plan.rows = copy->extents[rank - 2];
    plan.from_row = copy->from_strides[rank - 2];
    plan.to_row = copy->to_strides[rank - 2];
    plan.outer_rank = rank - 2;
    for (size_t axis = 0; axis < plan.outer_rank; axis++) plan.planes *= copy->extents[axis];
  }
  if (plan.planes == 0 || plan.rows == 0 || plan.columns == 0) {
    plan.planes = 0;
    plan.rows_per_piece = plan.columns_per_piece = 1;
    return plan;
  }
  const size_t elements = PIECE_BYTES / copy->element_bytes;
  if (plan.to_column == 1 && plan.from_row == 1 && plan.from_column != 1 && plan.rows > 1) {
    plan.way = PK_COPY_TILES;
    plan.rows_per_piece = smaller(plan.rows, TILE_ROWS_PER_PIECE);
    plan.columns_per_piece = smaller(plan.columns, elements / plan.rows_per_piece / 16 * 16);
    plan.rows_per_piece = smaller(plan.rows, larger(elements / plan.columns_per_piece / 16 * 16, plan.rows_per_piece));
  } else {
    plan.way = plan.from_column == 1 && plan.to_column == 1 ? PK_COPY_RUNS : PK_COPY_ELEMENTS;
    plan.columns_per_piece = smaller(plan.columns, elements);
    plan.rows_per_piece = smaller(plan.rows, elements / plan.columns_per_piece);
  }
  plan.row_pieces = (plan.rows - 1) / plan.rows_per_piece + 1;
  plan.column_pieces = (plan.columns - 1) / plan.columns_per_piece + 1;
  return plan;
}

size_t pk_copy_piece_count(const pk_copy *copy) {
  const pk_copy_plan plan = pk_plan_copy(copy);
  return plan.planes * plan.row_pieces * plan.column_pieces;
}
