// The planes that the compact edge encoder sees: the image, its gradient's length, and the same along thinned edges.
#pragma once

#include <cstdint>

namespace inter2former {

struct ColourPlanes {
  int64_t height, width;
  const float* image;  // (3, height, width) normalised, with these steps
  int64_t channel, row, column;
  const float *mean, *deviation;  // (3), in 0..255
  const float* taps;              // (5), of the blur
  float* planes;                  // (5, height, width)
  int threads;
};

}  // namespace inter2former
