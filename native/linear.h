// A linear layer, with the norm before it, and what comes after it.
#pragma once

#include <cstdint>

namespace inter2former {

// Layer norm over the channels of a row; without weights (null) it is the identity.
struct Norm {
  const float* weight;
  const float* bias;
  float epsilon;
};

// out = residual + activation(norm(x) * weight^T + bias), for every row of x or for some.
struct Linear {
  int64_t rows, channels_in, channels_out;
  const float* x;
  int64_t x_row;          // step between rows in floats
  const int64_t* places;  // (rows), which rows of x; null: the first ones
  Norm norm;
  const float* weight;    // (channels_out, channels_in)
  const float* bias;      // (channels_out)
  bool activate;          // SiLU of the sum; otherwise the sum itself
  const float* residual;  // (rows, channels_out), steps of residual_row; null: nothing is added
  int64_t residual_row;
  float* out;  // (rows, channels_out)
  int threads;
};

}  // namespace inter2former
