// Gated MLPs: one shared by all tokens, and routed ones of which some tokens pass one or more.
#pragma once

#include <cstdint>

#include "linear.h"

namespace inter2former {

// Gated MLPs of equal shape: w3 norm(silu(w1 x + b1) * (w2 x + b2)) + b3.
struct GatedMlps {
  int64_t experts, width, hidden;
  const float *w1, *b1, *w2, *b2;  // (experts, hidden, width), (experts, hidden)
  const float *w3, *b3;            // (experts, width, hidden), (experts, width)
  Norm norm;                       // of the hidden channels; the experts share it
};

// out[i] = mlp of expert[i] on norm(x[rows[i]]).
struct ExpertRows {
  GatedMlps mlps;
  const float* x;  // rows of `width` channels
  Norm norm;
  int64_t count;
  const int64_t* rows;  // null: i itself
  const int64_t* expert;
  float* out;  // (count, width)
  int threads;
};

// out = tokens + weight * shared(norm(tokens)) + the weighted routed experts of the tokens that have some.
struct HybridExperts {
  int64_t tokens;
  const float* x;  // (tokens, width)
  Norm norm;
  GatedMlps shared;  // one expert
  GatedMlps routed;
  int64_t places, experts_per_place;
  const int64_t* place;        // (places): tokens that have routed experts, each once
  const int64_t* expert;       // (places, experts_per_place)
  const float* shared_weight;  // (places); the weight of all other tokens is 1
  const float* routed_weight;  // (places, experts_per_place)
  float* out;                  // (tokens, width)
  int threads;
};

}  // namespace inter2former
