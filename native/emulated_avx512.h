// AVX-512 spelt in plain C++ by SIMDe, to test its level on a processor without it (INTER2FORMER_EMULATE).
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <cstring>

// What SIMDe 0.7 lacks.
namespace inter2former::emulated {

inline simde__m512 LoadMasked(simde__mmask16 mask, const float* p) {
  float lanes[16] = {};
  for (int i = 0; i < 16; ++i) {
    if (mask >> i & 1) lanes[i] = p[i];
  }
  return simde_mm512_loadu_ps(lanes);
}

inline void StoreMasked(float* p, simde__mmask16 mask, simde__m512 a) {
  float lanes[16];
  simde_mm512_storeu_ps(lanes, a);
  for (int i = 0; i < 16; ++i) {
    if (mask >> i & 1) p[i] = lanes[i];
  }
}

inline float Sum(simde__m512 a) {
  float lanes[16];
  simde_mm512_storeu_ps(lanes, a);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

inline float Greatest(simde__m512 a) {
  float lanes[16];
  simde_mm512_storeu_ps(lanes, a);
  for (int i = 1; i < 16; ++i) lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
  return lanes[0];
}

}  // namespace inter2former::emulated

#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#undef _mm512_reduce_add_ps
#undef _mm512_reduce_max_ps
#define _mm512_maskz_loadu_ps inter2former::emulated::LoadMasked
#define _mm512_mask_storeu_ps inter2former::emulated::StoreMasked
#define _mm512_reduce_add_ps inter2former::emulated::Sum
#define _mm512_reduce_max_ps inter2former::emulated::Greatest
