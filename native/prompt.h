// What is read off the reference map: boundary tokens and the dense prompt embedding.
#pragma once

#include <cstdint>

namespace inter2former {

constexpr int kStates = 5;
constexpr int kPromptLayersMax = 8;

// Marks the tokens whose surroundings (`reach` pixels beyond each side, within the map) hold more than one state, or
// which hold a pixel of state `unknown` themselves.
struct BoundaryTokens {
  int64_t height, width;  // of the map in pixels, multiples of stride
  int64_t stride, reach;  // reach < stride
  const uint8_t* states;  // (height, width), steps of states_row
  int64_t states_row;
  int unknown;
  bool* marks;  // (height / stride, width / stride)
  int threads;
};

// Marks the tokens that hold a pixel of any of some states.
struct TokensWith {
  int64_t height, width;  // of the map in pixels, multiples of stride
  int64_t stride;
  const uint8_t* states;  // (height, width), steps of states_row
  int64_t states_row;
  uint32_t sought;  // bit s: state s is one of them
  bool* marks;      // (height / stride, width / stride)
  int threads;
};

// A 3x3 convolution of stride 2 and padding 1 with ReLU.
struct PromptLayer {
  int64_t channels_out;
  const float* weight;  // (channels_out, 3, 3, channels_in)
  const float* bias;    // (channels_out)
};

// Embeds the states and convolves them, over an endless map that is `background` beyond the given part; adds the result
// to the tokens.
struct PromptEmbedding {
  int64_t height, width;  // of the map in pixels, multiples of 2^layers
  const uint8_t* states;  // (height, width), steps of states_row
  int64_t states_row;
  int background;
  const float* embeddings;  // (kStates, embedding_channels)
  int64_t embedding_channels;
  int layers;  // 2..kPromptLayersMax
  PromptLayer layer[kPromptLayersMax];
  const float* tokens;  // rows of tokens, tokens_row apart, each of the last layer's channels; null: zeros
  int64_t tokens_row;
  float* out;  // (tokens, channels of the last layer), tokens = height * width / 4^layers
  int threads;
};

}  // namespace inter2former
