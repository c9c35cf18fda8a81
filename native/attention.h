// Hybrid attention: some tokens over all tokens with rotary positions, the others over codes that stand for tokens.
#pragma once

#include <cstdint>

namespace inter2former {

struct HybridAttention {
  int64_t tokens, heads, depth;      // depth: channels of one head, even
  const float *query, *key, *value;  // (tokens, heads, depth), channels of a token contiguous
  int64_t query_row, key_row, value_row;
  const float *cosine, *sine;  // (tokens, depth / 2): of the angles that consecutive pairs of channels turn by
  int64_t boundaries, interiors;
  const int64_t* boundary;  // (boundaries): tokens that look at all tokens
  const int64_t* interior;  // (interiors): tokens that look at codes
  const int64_t* codes;     // (tokens), in [0, code_count)
  int64_t code_count;
  const float* code_keys;  // (code_count, heads, depth)
  float* out;              // (tokens, heads, depth); rows of tokens in neither list stay as they are
  int threads;
};

}  // namespace inter2former
