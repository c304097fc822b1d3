// The table of the functions above.

#define PK_TABLE \
  { \
    .panel_columns = PANEL_COLUMNS, .peak_operations = peak_operations, .pack_b = pack_b, \
    .gemm_scratch_size = gemm_scratch_size, .gemm_run = gemm_run, .unary_run = unary_run, \
    .convolution_panel_count = convolution_panel_count, .packed_convolution_size = packed_convolution_size, \
    .pack_convolution = pack_convolution, .convolution_scratch_size = convolution_scratch_size, \
    .convolution_run = convolution_run, .pooling_run = pooling_run, \
    .attention_scratch_size = attention_scratch_size, .attention_run = attention_run, \
    .chain_run = chain_run, .copy_run = copy_pieces, \
    .softmax_run = softmax_run, .layer_norm_run = layer_norm_run, .reduction_run = reduction_run, \
    .group_norm_run = group_norm_run, .double_update = double_update, \
  }
