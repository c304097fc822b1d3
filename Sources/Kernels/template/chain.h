// Chains of elementwise work, block by block: every instruction goes over a whole block, whose registers stay in the L1 cache.

// ---- Instructions

PK_INLINE vf vf_truth(vi condition) { return vf_select(condition, (vf)1.0f, (vf)0); }

PK_INLINE vf chain_value(const pk_chain_code code, vf a, vf b, vf c) {
  switch (code) {
    case PK_CHAIN_ADD: return a + b;
    case PK_CHAIN_SUBTRACT: return a - b;
    case PK_CHAIN_MULTIPLY: return a * b;
    case PK_CHAIN_DIVIDE: return a / b;
    case PK_CHAIN_MAXIMUM: return vf_greater(a, b);
    case PK_CHAIN_MINIMUM: return vf_lesser(a, b);
    case PK_CHAIN_MULTIPLY_ADD: return vf_fma(a, b, c);
    case PK_CHAIN_EQUAL: return vf_truth(a == b);
    case PK_CHAIN_LESS: return vf_truth(a < b);
    case PK_CHAIN_LESS_OR_EQUAL: return vf_truth(a <= b);
    case PK_CHAIN_AND: return vf_truth((a != 0.0f) & (b != 0.0f));
    case PK_CHAIN_OR: return vf_truth((a != 0.0f) | (b != 0.0f));
    case PK_CHAIN_XOR: return vf_truth((a != 0.0f) ^ (b != 0.0f));
    case PK_CHAIN_NOT: return vf_truth(a == 0.0f);
    case PK_CHAIN_SELECT: return vf_select(a != 0.0f, b, c);
    case PK_CHAIN_POWER: return vf_power(a, b);
    case PK_CHAIN_UNARY: return a;
  }
  return a;
}

PK_INLINE void chain_loop(const pk_chain_code code, const float *a, const float *b, const float *c, float *to, size_t count) {
  const bool has_second = code != PK_CHAIN_NOT, has_third = code == PK_CHAIN_MULTIPLY_ADD || code == PK_CHAIN_SELECT;
  size_t i = 0;
  for (; i + 2 * LANES <= count; i += 2 * LANES) {
    const vf low = chain_value(code, load(a + i), has_second ? load(b + i) : 0, has_third ? load(c + i) : 0);
    const size_t j = i + LANES;
    const vf high = chain_value(code, load(a + j), has_second ? load(b + j) : 0, has_third ? load(c + j) : 0);
    store(to + i, low);
    store(to + j, high);
  }
  for (; i < count; i += LANES) {
    const vmask mask = mask_first(count - i);
    const vf second = has_second ? load_masked(b + i, mask) : 0, third = has_third ? load_masked(c + i, mask) : 0;
    store_masked(to + i, mask, chain_value(code, load_masked(a + i, mask), second, third));
  }
}

/// `to` may be a, b or c.
static void run_instruction(
    const pk_chain_instruction *instruction, const float *a, const float *b, const float *c, float *to, size_t count) {
  switch (instruction->code) {
    case PK_CHAIN_UNARY: unary_run(instruction->function, instruction->first, instruction->second, a, to, count); break;
    case PK_CHAIN_ADD: chain_loop(PK_CHAIN_ADD, a, b, c, to, count); break;
    case PK_CHAIN_SUBTRACT: chain_loop(PK_CHAIN_SUBTRACT, a, b, c, to, count); break;
    case PK_CHAIN_MULTIPLY: chain_loop(PK_CHAIN_MULTIPLY, a, b, c, to, count); break;
    case PK_CHAIN_DIVIDE: chain_loop(PK_CHAIN_DIVIDE, a, b, c, to, count); break;
    case PK_CHAIN_MAXIMUM: chain_loop(PK_CHAIN_MAXIMUM, a, b, c, to, count); break;
    case PK_CHAIN_MINIMUM: chain_loop(PK_CHAIN_MINIMUM, a, b, c, to, count); break;
    case PK_CHAIN_POWER: chain_loop(PK_CHAIN_POWER, a, b, c, to, count); break;
    case PK_CHAIN_MULTIPLY_ADD: chain_loop(PK_CHAIN_MULTIPLY_ADD, a, b, c, to, count); break;
    case PK_CHAIN_EQUAL: chain_loop(PK_CHAIN_EQUAL, a, b, c, to, count); break;
    case PK_CHAIN_LESS: chain_loop(PK_CHAIN_LESS, a, b, c, to, count); break;
    case PK_CHAIN_LESS_OR_EQUAL: chain_loop(PK_CHAIN_LESS_OR_EQUAL, a, b, c, to, count); break;
    case PK_CHAIN_AND: chain_loop(PK_CHAIN_AND, a, b, c, to, count); break;
    case PK_CHAIN_OR: chain_loop(PK_CHAIN_OR, a, b, c, to, count); break;
    case PK_CHAIN_XOR: chain_loop(PK_CHAIN_XOR, a, b, c, to, count); break;
    case PK_CHAIN_NOT: chain_loop(PK_CHAIN_NOT, a, b, c, to, count); break;
    case PK_CHAIN_SELECT: chain_loop(PK_CHAIN_SELECT, a, b, c, to, count); break;
  }
}

// ---- Operands

/// One operand's own view of the space: axes that it walks as one are merged. The last axis is a row.
typedef struct chain_view {
  char *data;
  pk_element element;
  size_t element_size;
  size_t rank;  // at least 1
  size_t extents[PK_RANK_LIMIT];
  ptrdiff_t strides[PK_RANK_LIMIT];
} chain_view;

/// A place in a view.
typedef struct chain_place {
  size_t coordinates[PK_RANK_LIMIT];
  size_t column, row;  // the coordinates of the last axis and the one before, kept apart: only those of the axes before count on
  ptrdiff_t outer;     // the offset of the axes before these, in elements
} chain_place;

/// An operand that is read, and what its register's memory holds between blocks.
typedef struct chain_input {
  chain_view view;
  float *slot;
  bool is_kept;         // no instruction writes its register
  const char *kept_at;  // the first element of what fills the slot again and again, or null
  size_t kept_count;
} chain_input;

PK_INLINE void make_view(chain_view *view, const pk_chain *chain, const pk_chain_operand *operand) {
  view->data = operand->data;
  view->element = operand->element;
  view->element_size = element_size(operand->element);
  size_t rank = 0;
  for (size_t axis = 0; axis < chain->rank; axis++) {
    const size_t extent = chain->extents[axis];
    const ptrdiff_t stride = operand->strides[axis];
    if (extent == 1) continue;
    if (rank > 0 && view->strides[rank - 1] == stride * (ptrdiff_t)extent) {
      view->extents[rank - 1] *= extent;
      view->strides[rank - 1] = stride;
    } else {
      view->extents[rank] = extent;
      view->strides[rank++] = stride;
    }
  }
  if (rank == 0) {
    view->extents[0] = 1;
    view->strides[rank++] = 1;
  }
  view->rank = rank;
}

PK_INLINE bool is_flat(const chain_view *view) {
  return view->rank == 1 && view->strides[0] == 1 && view->element == PK_ELEMENT_F32;
}

PK_INLINE size_t row_length(const chain_view *view) { return view->extents[view->rank - 1]; }

/// The offset of the axes before the last two.
PK_INLINE ptrdiff_t outer_offset(const chain_view *view, const chain_place *place) {
  ptrdiff_t offset = 0;
  for (size_t axis = 0; axis + 2 < view->rank; axis++) offset += (ptrdiff_t)place->coordinates[axis] * view->strides[axis];
  return offset;
}

PK_INLINE chain_place place_of(const chain_view *view, size_t element) {
  chain_place place;
  for (size_t axis = view->rank - 1; axis > 0; axis--) {
    place.coordinates[axis] = element % view->extents[axis];
    element /= view->extents[axis];
  }
  place.coordinates[0] = element;
  place.column = place.coordinates[view->rank - 1];
  place.row = view->rank > 1 ? place.coordinates[view->rank - 2] : 0;
  place.outer = outer_offset(view, &place);
  return place;
}

PK_INLINE char *address_at(const chain_view *view, const chain_place *place) {
  const ptrdiff_t row_stride = view->rank > 1 ? view->strides[view->rank - 2] : 0;
  const ptrdiff_t within = (ptrdiff_t)place->row * row_stride + (ptrdiff_t)place->column * view->strides[view->rank - 1];
  return view->data + (place->outer + within) * (ptrdiff_t)view->element_size;
}

/// On to the first row of the next index of the axes before the last two.
PK_INLINE void next_plane(const chain_view *view, chain_place *place) {
  place->row = place->column = 0;
  for (size_t axis = view->rank - 2; axis-- > 0;) {
    if (++place->coordinates[axis] < view->extents[axis]) break;
    place->coordinates[axis] = 0;
  }
  place->outer = outer_offset(view, place);
}

PK_INLINE float element_at(const chain_view *view, const char *at) {
  float value;
  widen_run(view->element, at, 1, &value, 1);
  return value;
}

/// Part of a row.
PK_INLINE void fill_part(const chain_view *view, const char *at, float *to, size_t count) {
  const ptrdiff_t stride = view->strides[view->rank - 1];
  if (stride == 0)
    fill_run(to, element_at(view, at), count);
  else
    widen_run(view->element, at, stride, to, count);
}

/// Whole rows; may write up to LANES floats beyond their end.
static void fill_rows(const chain_view *view, const char *at, size_t rows, float *to) {
  const size_t columns = row_length(view);
  const ptrdiff_t stride = view->strides[view->rank - 1];
  const ptrdiff_t step = view->strides[view->rank - 2] * (ptrdiff_t)view->element_size;
  if (view->element == PK_ELEMENT_F32 && stride == 1) {
    if (columns <= LANES) {
      const vmask mask = mask_first(columns);
      for (size_t row = 0; row < rows; row++, at += step, to += columns) store(to, load_masked((const float *)at, mask));
    } else {
      for (size_t row = 0; row < rows; row++, at += step, to += columns) copy_run(to, (const float *)at, columns);
    }
  } else if (view->element == PK_ELEMENT_F32 && stride == 0) {
    if (columns <= LANES)
      for (size_t row = 0; row < rows; row++, at += step, to += columns) store(to, (vf) * (const float *)at);
    else
      for (size_t row = 0; row < rows; row++, at += step, to += columns) fill_run(to, *(const float *)at, columns);
  } else {
    for (size_t row = 0; row < rows; row++, at += step, to += columns) fill_part(view, at, to, columns);
  }
}

/// Elements from `place` on to `to`, which may be written up to LANES floats beyond `count`.
static void fill_block(const chain_view *view, chain_place place, float *to, size_t count) {
  const size_t columns = row_length(view), rows = view->extents[view->rank - 2];
  while (count > 0) {
    if (place.column > 0 || count < columns) {
      const size_t part = least(columns - place.column, count);
      fill_part(view, address_at(view, &place), to, part);
      to += part;
      count -= part;
      place.row++;
      place.column = 0;
    }
    const size_t whole = least(rows - place.row, count / columns);
    fill_rows(view, address_at(view, &place), whole, to);
    to += whole * columns;
    count -= whole * columns;
    place.row += whole;
    if (place.row == rows) next_plane(view, &place);
  }
}

/// One row again and again, starting in its middle.
PK_INLINE void fill_repeated(const chain_view *view, chain_place place, float *to, size_t count) {
  const size_t columns = row_length(view), tail = least(columns - place.column, count);
  fill_part(view, address_at(view, &place), to, tail);
  const size_t start = place.column;
  place.column = 0;
  if (tail < count) fill_part(view, address_at(view, &place), to + tail, least(start, count - tail));
  for (size_t filled = columns; filled < count;) {
    const size_t part = least(filled, count - filled);
    copy_run(to + filled, to, part);
    filled += part;
  }
}

/// The floats of elements [first, first + count): in the operand's own memory or in its slot.
static const float *fetch(chain_input *input, size_t first, size_t count) {
  const chain_view *view = &input->view;
  if (is_flat(view)) return (const float *)view->data + first;
  const chain_place place = place_of(view, first);
  const char *at = address_at(view, &place);
  const size_t columns = row_length(view);
  const ptrdiff_t stride = view->strides[view->rank - 1];
  const bool is_in_row = place.column + count <= columns;
  if (is_in_row && stride == 1 && view->element == PK_ELEMENT_F32) return (const float *)at;

  const bool repeats = is_in_row ? stride == 0
                                 : view->strides[view->rank - 2] == 0 &&
                                       place.row * columns + place.column + count <= view->extents[view->rank - 2] * columns;
  if (repeats && input->kept_at == at && input->kept_count >= count) return input->slot;
  input->kept_at = repeats && input->is_kept ? at : NULL;
  input->kept_count = count;
  if (is_in_row)
    fill_part(view, at, input->slot, count);
  else if (repeats)
    fill_repeated(view, place, input->slot, count);
  else
    fill_block(view, place, input->slot, count);
  return input->slot;
}

/// Where elements [first, first + count) lie as floats without gaps, or null.
PK_INLINE float *place_in_result(const chain_view *view, size_t first, size_t count) {
  if (is_flat(view)) return (float *)view->data + first;
  if (view->element != PK_ELEMENT_F32 || view->strides[view->rank - 1] != 1) return NULL;
  const chain_place place = place_of(view, first);
  return place.column + count <= row_length(view) ? (float *)address_at(view, &place) : NULL;
}

static void deliver(const chain_view *view, size_t first, const float *from, size_t count) {
  chain_place place = place_of(view, first);
  const size_t columns = row_length(view);
  const ptrdiff_t stride = view->strides[view->rank - 1];
  while (count > 0) {
    const size_t part = least(columns - place.column, count);
    narrow_run(view->element, from, address_at(view, &place), stride, part);
    from += part;
    count -= part;
    place.column = 0;
    if (view->rank > 1 && ++place.row == view->extents[view->rank - 2]) next_plane(view, &place);
  }
}

// ---- Blocks

/// Blocks end at multiples of `piece` counted from each multiple of `row`: so that rows repeat in step with the blocks, or that a block
/// stays within a row.
typedef struct chain_blocks {
  size_t row, piece;
} chain_blocks;

PK_INLINE void note_row(const chain_view *view, size_t limit, size_t *shortest, size_t *longest_within) {
  if (view->rank < 2) return;
  const size_t columns = row_length(view);
  *shortest = least(*shortest, columns);
  if (columns <= limit && columns > *longest_within) *longest_within = columns;
}

PK_INLINE chain_blocks blocks_of(const chain_input *inputs, size_t input_count, const chain_view *result, size_t limit) {
  size_t shortest = SIZE_MAX, longest_within = 0;
  for (size_t i = 0; i < input_count; i++) note_row(&inputs[i].view, limit, &shortest, &longest_within);
  note_row(result, limit, &shortest, &longest_within);
  if (longest_within > 0) {
    const size_t piece = limit / longest_within * longest_within;
    return (chain_blocks){piece, piece};
  }
  if (shortest == SIZE_MAX) return (chain_blocks){SIZE_MAX, limit};
  const size_t even = quotient_up(shortest, quotient_up(shortest, limit));
  return (chain_blocks){shortest, quotient_up(even, 16) * 16};
}

PK_INLINE size_t end_of_block(chain_blocks blocks, size_t first) {
  const size_t column = first % blocks.row;
  return first - column + least(blocks.row, (column / blocks.piece + 1) * blocks.piece);
}

static void chain_run(const pk_chain *chain, size_t first, size_t end, float *scratch) {
  size_t total = 1;
  for (size_t axis = 0; axis < chain->rank; axis++) total *= chain->extents[axis];
  end = least(end, total);
  if (first >= end) return;

  // Instructions after the one that makes the result make nothing.
  size_t instruction_count = chain->instruction_count;
  while (instruction_count > 0 && chain->instructions[instruction_count - 1].to != chain->result_register) instruction_count--;
  uint32_t written = 0;
  for (size_t i = 0; i < instruction_count; i++) written |= (uint32_t)1 << chain->instructions[i].to;

  size_t limit = pk_chain_block(pk_chain_registers(chain));
  const size_t slot_size = limit + PK_CHAIN_SLOT_GAP;
  scratch += (16 - ((uintptr_t)scratch / sizeof(float)) % 16) % 16;
  chain_view result;
  make_view(&result, chain, &chain->result);
  chain_input inputs[PK_CHAIN_OPERANDS];
  bool is_direct = instruction_count == 1 && is_flat(&result);
  for (size_t i = 0; i < chain->operand_count; i++) {
    make_view(&inputs[i].view, chain, &chain->operands[i]);
    inputs[i].slot = scratch + i * slot_size;
    inputs[i].is_kept = (written >> i & 1) == 0;
    inputs[i].kept_at = NULL;
    inputs[i].kept_count = 0;
    is_direct = is_direct && is_flat(&inputs[i].view);
  }
  if (is_direct) limit = SIZE_MAX;

  const chain_blocks blocks = blocks_of(inputs, chain->operand_count, &result, limit);
  const float *registers[PK_CHAIN_REGISTERS];
  for (size_t i = 0; i < PK_CHAIN_REGISTERS; i++) registers[i] = scratch;
  while (first < end) {
    const size_t count = least(end_of_block(blocks, first), end) - first;
    for (size_t i = 0; i < chain->operand_count; i++) registers[i] = fetch(&inputs[i], first, count);
    float *in_place = instruction_count > 0 ? place_in_result(&result, first, count) : NULL;
    for (size_t i = 0; i < instruction_count; i++) {
      const pk_chain_instruction *instruction = &chain->instructions[i];
      const bool is_last = i + 1 == instruction_count;
      float *to = is_last && in_place != NULL ? in_place : scratch + instruction->to * slot_size;
      run_instruction(
          instruction, registers[instruction->a], registers[instruction->b], registers[instruction->c], to, count);
      registers[instruction->to] = to;
    }
    if (in_place == NULL) deliver(&result, first, registers[chain->result_register], count);
    first += count;
  }
}
