// Normalisation of groups of channels, channels last. Statistics are kept per channel in vectors and joined per group at the end, so that
// the width of a group does not matter.

enum {
  NORM_CHANNELS = 512,  // whose statistics are kept at once
  NORM_PIXELS = 64,     // per step: what is read twice stays in the L1 cache
  NORM_VECTORS = 4,
};

/// Per channel: the mean, and the sum of squares of what differs from it.
typedef struct channel_statistics {
  float mean[NORM_CHANNELS], squares[NORM_CHANNELS];
} channel_statistics;

/// Adds `pixels` pixels of some vectors of channels to the statistics of those `before`.
PK_INLINE void add_pixels(
    const int vectors, const float *from, size_t pixel_stride, size_t before, size_t pixels, float *mean, float *squares,
    size_t channels) {
  const vmask last = mask_first(channels - (size_t)(vectors - 1) * LANES);
  vf means[NORM_VECTORS], sums[NORM_VECTORS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) means[v] = sums[v] = 0;
  for (size_t pixel = 0; pixel < pixels; pixel++) {
    const float *at = from + pixel * pixel_stride;
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) means[v] += v + 1 < vectors ? load(at + v * LANES) : load_masked(at + v * LANES, last);
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) means[v] = means[v] / (float)pixels;
  for (size_t pixel = 0; pixel < pixels; pixel++) {
    const float *at = from + pixel * pixel_stride;
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      const vf value = (v + 1 < vectors ? load(at + v * LANES) : load_masked(at + v * LANES, last)) - means[v];
      sums[v] = vf_fma(value, value, sums[v]);
    }
  }
  const float share = (float)pixels / (float)(before + pixels);
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const vmask mask = v + 1 < vectors ? mask_first(LANES) : last;
    const vf old_mean = load_masked(mean + v * LANES, mask), difference = means[v] - old_mean;
    const vf new_squares = vf_fma(difference * difference, (vf)((float)before * share), sums[v]);
    store_masked(mean + v * LANES, mask, vf_fma(difference, (vf)share, old_mean));
    store_masked(squares + v * LANES, mask, load_masked(squares + v * LANES, mask) + new_squares);
  }
}

static void gather_statistics(const pk_group_norm *norm, size_t channel, size_t channels, channel_statistics *statistics) {
  zero_run(statistics->mean, channels);
  zero_run(statistics->squares, channels);
  for (size_t pixel = 0; pixel < norm->pixels; pixel += NORM_PIXELS) {
    const size_t pixels = least(NORM_PIXELS, norm->pixels - pixel);
    const float *from = norm->from + pixel * norm->from_pixel_stride + channel;
    size_t i = 0;
    for (; i + NORM_VECTORS * LANES <= channels; i += NORM_VECTORS * LANES)
      add_pixels(
          NORM_VECTORS, from + i, norm->from_pixel_stride, pixel, pixels, statistics->mean + i, statistics->squares + i,
          NORM_VECTORS * LANES);
    for (; i < channels; i += LANES)
      add_pixels(
          1, from + i, norm->from_pixel_stride, pixel, pixels, statistics->mean + i, statistics->squares + i,
          least(LANES, channels - i));
  }
}

/// Of channels of one group, of `pixels` numbers each.
typedef struct group_statistics {
  double channels, mean, squares;
} group_statistics;

PK_INLINE void join_channels(group_statistics *group, double pixels, const float *means, const float *squares, size_t channels) {
  double mean = 0, sum = 0;
  for (size_t i = 0; i < channels; i++) mean += (double)means[i];
  mean /= (double)channels;
  for (size_t i = 0; i < channels; i++) {
    const double difference = (double)means[i] - mean;
    sum += (double)squares[i] + pixels * (difference * difference);
  }
  const double all = group->channels + (double)channels, difference = mean - group->mean;
  group->squares += sum + difference * difference * pixels * group->channels * ((double)channels / all);
  group->mean += difference * ((double)channels / all);
  group->channels = all;
}

/// What a channel's numbers go through: (x − centre) · factor + offset.
typedef struct channel_scales {
  float centre[NORM_CHANNELS], factor[NORM_CHANNELS], offset[NORM_CHANNELS];
} channel_scales;

PK_INLINE void set_scales(
    const pk_group_norm *norm, const group_statistics *group, size_t channel, size_t channels, channel_scales *scales, size_t at) {
  const double count = (double)norm->pixels * group->channels;
  const float factor = (float)(1 / sqrt(group->squares / count + (double)norm->epsilon));
  for (size_t i = 0; i < channels; i++) {
    scales->centre[at + i] = (float)group->mean;
    scales->factor[at + i] = norm->scale == NULL ? factor : factor * norm->scale[channel + i];
    scales->offset[at + i] = norm->offset == NULL ? 0 : norm->offset[channel + i];
  }
}

PK_INLINE void scale_channels(
    const pk_activation activation, const pk_group_norm *norm, size_t channel, size_t channels, const channel_scales *scales) {
  for (size_t pixel = 0; pixel < norm->pixels; pixel++) {
    const float *from = norm->from + pixel * norm->from_pixel_stride + channel;
    float *to = norm->to + pixel * norm->to_pixel_stride + channel;
    size_t i = 0;
    for (; i + LANES <= channels; i += LANES) {
      const vf value = vf_fma(load(from + i) - load(scales->centre + i), load(scales->factor + i), load(scales->offset + i));
      store(to + i, activation_value(activation, value, (vf)0, (vf)0));
    }
    if (i < channels) {
      const vmask mask = mask_first(channels - i);
      const vf difference = load_masked(from + i, mask) - load_masked(scales->centre + i, mask);
      const vf value = vf_fma(difference, load_masked(scales->factor + i, mask), load_masked(scales->offset + i, mask));
      store_masked(to + i, mask, activation_value(activation, value, (vf)0, (vf)0));
    }
  }
}

static void scale_channels_and_activate(
    const pk_group_norm *norm, size_t channel, size_t channels, const channel_scales *scales) {
  switch (norm->activation) {
    case PK_ACTIVATION_NONE: case PK_ACTIVATION_CLIP: case PK_ACTIVATION_LEAKY_RELU: case PK_ACTIVATION_HARD_SIGMOID:
      scale_channels(PK_ACTIVATION_NONE, norm, channel, channels, scales);
      break;
    case PK_ACTIVATION_RELU: scale_channels(PK_ACTIVATION_RELU, norm, channel, channels, scales); break;
    case PK_ACTIVATION_HARD_SWISH: scale_channels(PK_ACTIVATION_HARD_SWISH, norm, channel, channels, scales); break;
    case PK_ACTIVATION_SIGMOID: scale_channels(PK_ACTIVATION_SIGMOID, norm, channel, channels, scales); break;
    case PK_ACTIVATION_SILU: scale_channels(PK_ACTIVATION_SILU, norm, channel, channels, scales); break;
    case PK_ACTIVATION_GELU_ERF: scale_channels(PK_ACTIVATION_GELU_ERF, norm, channel, channels, scales); break;
    case PK_ACTIVATION_GELU_TANH: scale_channels(PK_ACTIVATION_GELU_TANH, norm, channel, channels, scales); break;
    case PK_ACTIVATION_TANH: scale_channels(PK_ACTIVATION_TANH, norm, channel, channels, scales); break;
  }
}

/// One group of more channels than are kept at once.
static void normalise_wide_group(const pk_group_norm *norm, size_t group, size_t width) {
  channel_statistics statistics;
  group_statistics whole = {0, 0, 0};
  for (size_t i = 0; i < width; i += NORM_CHANNELS) {
    const size_t channels = least(NORM_CHANNELS, width - i);
    gather_statistics(norm, group * width + i, channels, &statistics);
    join_channels(&whole, (double)norm->pixels, statistics.mean, statistics.squares, channels);
  }
  channel_scales scales;
  for (size_t i = 0; i < width; i += NORM_CHANNELS) {
    const size_t channels = least(NORM_CHANNELS, width - i);
    set_scales(norm, &whole, group * width + i, channels, &scales, 0);
    scale_channels_and_activate(norm, group * width + i, channels, &scales);
  }
}

static void group_norm_run(const pk_group_norm *norm, size_t first_group, size_t end_group) {
  end_group = least(end_group, norm->groups);
  if (first_group >= end_group || norm->pixels == 0 || norm->channels < norm->groups) return;
  const size_t width = norm->channels / norm->groups;
  if (width > NORM_CHANNELS) {
    for (size_t group = first_group; group < end_group; group++) normalise_wide_group(norm, group, width);
    return;
  }
  const size_t groups_at_once = NORM_CHANNELS / width;
  channel_statistics statistics;
  channel_scales scales;
  for (size_t group = first_group; group < end_group; group += groups_at_once) {
    const size_t groups = least(groups_at_once, end_group - group), channel = group * width;
    gather_statistics(norm, channel, groups * width, &statistics);
    for (size_t i = 0; i < groups; i++) {
      group_statistics whole = {0, 0, 0};
      join_channels(&whole, (double)norm->pixels, statistics.mean + i * width, statistics.squares + i * width, width);
      set_scales(norm, &whole, channel + i * width, width, &scales, i * width);
    }
    scale_channels_and_activate(norm, channel, groups * width, &scales);
  }
}
