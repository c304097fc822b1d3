// The table of the functions above.

#define PK_TABLE \
  { \
    .panel_columns = PANEL_COLUMNS, .peak_operations = peak_operations, .pack_b = pack_b, \
    .gemm_scratch_size = gemm_scratch_size, .gemm_run = gemm_run, .unary_run = unary_run, \
  }
