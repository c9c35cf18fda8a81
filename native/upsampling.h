// The upsampler of presets whose crops equal the whole map: tokens to mask logits, 16 times finer, inside a box.
#pragma once

#include <cstdint>

namespace inter2former {

constexpr int kUpsamplingStages = 4;

// One stage: double the map, convolve it 3x3 (zeros beyond the border), add what the edges give, activate.
struct UpsamplingStage {
  int64_t channels_in, channels_out;
  const float* weight;  // (channels_out, 3, 3, channels_in)
  const float* scale;   // (channels_in), multiplies a channel of the incoming map
  const float* shift;   // (channels_in), is added to it
  const float* term;    // fine pixel (y, x) of channel c at y * term_row + c * term_channel + x, for the whole grid
  int64_t term_row, term_channel;
};

struct Upsampling {
  int64_t height, width;  // of the token grid
  const float* tokens;    // token (y, x) at y * tokens_row + x * tokens_column, its channels contiguous
  int64_t tokens_row, tokens_column;
  float epsilon;  // of the norm that every token gets before the first stage's scale and shift
  UpsamplingStage stages[kUpsamplingStages];
  int64_t top, bottom, left, right;  // the box in tokens, half open
  float* logits;                     // (16 * (bottom - top), 16 * (right - left))
  int threads;
};

}  // namespace inter2former
