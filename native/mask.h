// From mask logits on one grid to the mask on another.
#pragma once

#include <cstdint>

namespace inter2former {

// Where the pixels of one axis read: a share `weight` of the value after `index`, the rest of the one at it. The last
// value is its own successor.
struct Samples {
  int64_t count;
  const int64_t* index;
  const float* weight;
};

struct InterpolatedMask {
  int64_t height, width;  // of the logits
  const float* logits;    // steps of logits_row
  int64_t logits_row;
  Samples columns, rows;
  bool* mask;  // (rows.count, columns.count), steps of mask_row: the interpolated logit is above 0
  int64_t mask_row;
  int threads;
};

}  // namespace inter2former
