// A small net of convolutions over large maps with few channels, row by row: what lies between stays in the cache.
#pragma once

#include <cstdint>

namespace inter2former {

constexpr int kNodesMax = 32;

// A map: either given, or made by a convolution of an earlier one.
struct ConvolutionNode {
  int64_t channels, height, width;

  // Given: with these steps. `ones` adds a last channel of ones, which ends at the border as the map does.
  const float* data;
  int64_t channel_step, row_step, column_step;
  bool ones;

  // Made (data is null): from node `source`, with zeros beyond its border.
  int source;
  int kernel, stride;   // 1 or 3; 1 or 2
  bool activate;        // SiLU of the source first
  const float* weight;  // (channels, kernel, kernel, channels of the source)
  const float* bias;    // (channels)
  int residual;         // a node of the same shape that is added; -1: none

  float* output;  // where the map is wanted: row y of channel c at y * output_row + c * output_channel; null: it is not
  int64_t output_row, output_channel;
};

// Heights divide the first node's: by 1, 2, 4, ...
struct ConvolutionNet {
  int count;
  ConvolutionNode nodes[kNodesMax];
  int threads;
};

}  // namespace inter2former
