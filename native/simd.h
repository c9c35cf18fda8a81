// One vector of floats per instruction set, and the few operations the kernels need.
//
// Every kernel is written once against `Vec` and compiled once per level (see CMakeLists.txt), each time in a namespace
// of its own, INTER2FORMER_LEVEL. The compiler's flags, not run-time tests, decide what `Vec` is here; run-time choice
// between the compiled levels is in dispatch.h.
//
// No templates of the standard library in this header or in any kernel: their instantiations are merged by the linker
// across levels, and the copy that survives may be the one with instructions the processor lacks.
#pragma once

#include <cstdint>
#include <cstring>

#if !defined(INTER2FORMER_LEVEL)
#error "compile kernels with -DINTER2FORMER_LEVEL=<name>, as CMakeLists.txt does"
#endif

#if defined(INTER2FORMER_EMULATE)
#include "emulated_avx512.h"
#define INTER2FORMER_X86 1
#elif defined(__x86_64__) || defined(_M_X64)
#if defined(__AVX__)
#include <immintrin.h>
#else
#include <emmintrin.h>  // of SSE2; the other takes a second to read, in every kernel
#endif
#define INTER2FORMER_X86 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>
#define INTER2FORMER_NEON 1
#else
#include <cmath>
#endif

#if defined(_MSC_VER)
#define I2F_INLINE static __forceinline
#define I2F_UNROLL
#define I2F_RESTRICT __restrict
#else
#define I2F_INLINE static inline __attribute__((always_inline))
#define I2F_UNROLL _Pragma("GCC unroll 32")
#define I2F_RESTRICT __restrict__
#endif

namespace inter2former::INTER2FORMER_LEVEL {

#if defined(__AVX512F__) || defined(INTER2FORMER_EMULATE)

// kRows x kVecs accumulators are what a matrix product keeps in registers: 24 of 32 here, 12 of 16 with AVX2.
constexpr int kWidth = 16, kRows = 12, kVecs = 2;
struct Vec {
  __m512 v;
};
struct Mask {
  __mmask16 m;
};
I2F_INLINE Vec Load(const float* p) { return {_mm512_loadu_ps(p)}; }
I2F_INLINE void Store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
I2F_INLINE __mmask16 First(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
I2F_INLINE Vec LoadPart(const float* p, int n) { return {_mm512_maskz_loadu_ps(First(n), p)}; }
I2F_INLINE void StorePart(float* p, Vec a, int n) { _mm512_mask_storeu_ps(p, First(n), a.v); }
I2F_INLINE Vec Set(float x) { return {_mm512_set1_ps(x)}; }
I2F_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
I2F_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
I2F_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
I2F_INLINE Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
I2F_INLINE Vec MulAdd(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
I2F_INLINE Vec Max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
I2F_INLINE Vec Min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
I2F_INLINE Vec Sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
I2F_INLINE Vec Abs(Vec a) {
  return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a.v), _mm512_set1_epi32(0x7fffffff)))};
}
I2F_INLINE Mask operator>(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
I2F_INLINE Mask operator<=(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
I2F_INLINE Vec Select(Mask m, Vec yes, Vec no) { return {_mm512_mask_blend_ps(m.m, no.v, yes.v)}; }
I2F_INLINE Vec AddExponent(Vec a, Vec shifted) {
  return {_mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_castps_si512(a.v), _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23)))};
}
I2F_INLINE void Interleave(Vec even, Vec odd, Vec* low, Vec* high) {
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  low->v = _mm512_permutex2var_ps(even.v, first, odd.v);
  high->v = _mm512_permutex2var_ps(even.v, _mm512_add_epi32(first, _mm512_set1_epi32(8)), odd.v);
}
I2F_INLINE void Deinterleave(Vec low, Vec high, Vec* even, Vec* odd) {
  const __m512i first = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  even->v = _mm512_permutex2var_ps(low.v, first, high.v);
  odd->v = _mm512_permutex2var_ps(low.v, _mm512_add_epi32(first, _mm512_set1_epi32(1)), high.v);
}
I2F_INLINE float Sum(Vec a) { return _mm512_reduce_add_ps(a.v); }
I2F_INLINE float Greatest(Vec a) { return _mm512_reduce_max_ps(a.v); }

#elif defined(__AVX2__) && defined(__FMA__)

constexpr int kWidth = 8, kRows = 6, kVecs = 2;
struct Vec {
  __m256 v;
};
struct Mask {
  __m256 m;
};
I2F_INLINE Vec Load(const float* p) { return {_mm256_loadu_ps(p)}; }
I2F_INLINE void Store(float* p, Vec a) { _mm256_storeu_ps(p, a.v); }
I2F_INLINE __m256i First(int n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
}
I2F_INLINE Vec LoadPart(const float* p, int n) { return {_mm256_maskload_ps(p, First(n))}; }
I2F_INLINE void StorePart(float* p, Vec a, int n) { _mm256_maskstore_ps(p, First(n), a.v); }
I2F_INLINE Vec Set(float x) { return {_mm256_set1_ps(x)}; }
I2F_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
I2F_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
I2F_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
I2F_INLINE Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
I2F_INLINE Vec MulAdd(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
I2F_INLINE Vec Max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
I2F_INLINE Vec Min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
I2F_INLINE Vec Sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
I2F_INLINE Vec Abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
I2F_INLINE Mask operator>(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
I2F_INLINE Mask operator<=(Vec a, Vec b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
I2F_INLINE Vec Select(Mask m, Vec yes, Vec no) { return {_mm256_blendv_ps(no.v, yes.v, m.m)}; }
I2F_INLINE Vec AddExponent(Vec a, Vec shifted) {
  return {_mm256_castsi256_ps(
      _mm256_add_epi32(_mm256_castps_si256(a.v), _mm256_slli_epi32(_mm256_castps_si256(shifted.v), 23)))};
}
I2F_INLINE void Interleave(Vec even, Vec odd, Vec* low, Vec* high) {
  const __m256 first = _mm256_unpacklo_ps(even.v, odd.v), second = _mm256_unpackhi_ps(even.v, odd.v);
  low->v = _mm256_permute2f128_ps(first, second, 0x20);
  high->v = _mm256_permute2f128_ps(first, second, 0x31);
}
I2F_INLINE void Deinterleave(Vec low, Vec high, Vec* even, Vec* odd) {
  const __m256 first = _mm256_permute2f128_ps(low.v, high.v, 0x20);
  const __m256 second = _mm256_permute2f128_ps(low.v, high.v, 0x31);
  even->v = _mm256_shuffle_ps(first, second, _MM_SHUFFLE(2, 0, 2, 0));
  odd->v = _mm256_shuffle_ps(first, second, _MM_SHUFFLE(3, 1, 3, 1));
}
I2F_INLINE float Sum(Vec a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
I2F_INLINE float Greatest(Vec a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

#elif defined(INTER2FORMER_X86)

constexpr int kWidth = 4, kRows = 6, kVecs = 2;
struct Vec {
  __m128 v;
};
struct Mask {
  __m128 m;
};
I2F_INLINE Vec Load(const float* p) { return {_mm_loadu_ps(p)}; }
I2F_INLINE void Store(float* p, Vec a) { _mm_storeu_ps(p, a.v); }
I2F_INLINE Vec LoadPart(const float* p, int n) {
  float lanes[4] = {0, 0, 0, 0};
  std::memcpy(lanes, p, static_cast<size_t>(n) * sizeof(float));
  return Load(lanes);
}
I2F_INLINE void StorePart(float* p, Vec a, int n) {
  float lanes[4];
  Store(lanes, a);
  std::memcpy(p, lanes, static_cast<size_t>(n) * sizeof(float));
}
I2F_INLINE Vec Set(float x) { return {_mm_set1_ps(x)}; }
I2F_INLINE Vec operator+(Vec a, Vec b) { return {_mm_add_ps(a.v, b.v)}; }
I2F_INLINE Vec operator-(Vec a, Vec b) { return {_mm_sub_ps(a.v, b.v)}; }
I2F_INLINE Vec operator*(Vec a, Vec b) { return {_mm_mul_ps(a.v, b.v)}; }
I2F_INLINE Vec operator/(Vec a, Vec b) { return {_mm_div_ps(a.v, b.v)}; }
I2F_INLINE Vec MulAdd(Vec a, Vec b, Vec c) { return {_mm_add_ps(_mm_mul_ps(a.v, b.v), c.v)}; }
I2F_INLINE Vec Max(Vec a, Vec b) { return {_mm_max_ps(a.v, b.v)}; }
I2F_INLINE Vec Min(Vec a, Vec b) { return {_mm_min_ps(a.v, b.v)}; }
I2F_INLINE Vec Sqrt(Vec a) { return {_mm_sqrt_ps(a.v)}; }
I2F_INLINE Vec Abs(Vec a) { return {_mm_andnot_ps(_mm_set1_ps(-0.0f), a.v)}; }
I2F_INLINE Mask operator>(Vec a, Vec b) { return {_mm_cmpgt_ps(a.v, b.v)}; }
I2F_INLINE Mask operator<=(Vec a, Vec b) { return {_mm_cmple_ps(a.v, b.v)}; }
I2F_INLINE Vec Select(Mask m, Vec yes, Vec no) { return {_mm_or_ps(_mm_and_ps(m.m, yes.v), _mm_andnot_ps(m.m, no.v))}; }
I2F_INLINE Vec AddExponent(Vec a, Vec shifted) {
  return {_mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(a.v), _mm_slli_epi32(_mm_castps_si128(shifted.v), 23)))};
}
I2F_INLINE void Interleave(Vec even, Vec odd, Vec* low, Vec* high) {
  low->v = _mm_unpacklo_ps(even.v, odd.v);
  high->v = _mm_unpackhi_ps(even.v, odd.v);
}
I2F_INLINE void Deinterleave(Vec low, Vec high, Vec* even, Vec* odd) {
  even->v = _mm_shuffle_ps(low.v, high.v, _MM_SHUFFLE(2, 0, 2, 0));
  odd->v = _mm_shuffle_ps(low.v, high.v, _MM_SHUFFLE(3, 1, 3, 1));
}
I2F_INLINE float Sum(Vec a) {
  const __m128 s = _mm_add_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
I2F_INLINE float Greatest(Vec a) {
  const __m128 s = _mm_max_ps(a.v, _mm_movehl_ps(a.v, a.v));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

#elif defined(INTER2FORMER_NEON)

constexpr int kWidth = 4, kRows = 6, kVecs = 4;
struct Vec {
  float32x4_t v;
};
struct Mask {
  uint32x4_t m;
};
I2F_INLINE Vec Load(const float* p) { return {vld1q_f32(p)}; }
I2F_INLINE void Store(float* p, Vec a) { vst1q_f32(p, a.v); }
I2F_INLINE Vec LoadPart(const float* p, int n) {
  float lanes[4] = {0, 0, 0, 0};
  std::memcpy(lanes, p, static_cast<size_t>(n) * sizeof(float));
  return Load(lanes);
}
I2F_INLINE void StorePart(float* p, Vec a, int n) {
  float lanes[4];
  Store(lanes, a);
  std::memcpy(p, lanes, static_cast<size_t>(n) * sizeof(float));
}
I2F_INLINE Vec Set(float x) { return {vdupq_n_f32(x)}; }
I2F_INLINE Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
I2F_INLINE Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
I2F_INLINE Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
I2F_INLINE Vec operator/(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
I2F_INLINE Vec MulAdd(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
I2F_INLINE Vec Max(Vec a, Vec b) { return {vmaxq_f32(a.v, b.v)}; }
I2F_INLINE Vec Min(Vec a, Vec b) { return {vminq_f32(a.v, b.v)}; }
I2F_INLINE Vec Sqrt(Vec a) { return {vsqrtq_f32(a.v)}; }
I2F_INLINE Vec Abs(Vec a) { return {vabsq_f32(a.v)}; }
I2F_INLINE Mask operator>(Vec a, Vec b) { return {vcgtq_f32(a.v, b.v)}; }
I2F_INLINE Mask operator<=(Vec a, Vec b) { return {vcleq_f32(a.v, b.v)}; }
I2F_INLINE Vec Select(Mask m, Vec yes, Vec no) { return {vbslq_f32(m.m, yes.v, no.v)}; }
I2F_INLINE Vec AddExponent(Vec a, Vec shifted) {
  return {
      vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a.v), vshlq_n_u32(vreinterpretq_u32_f32(shifted.v), 23)))};
}
I2F_INLINE void Interleave(Vec even, Vec odd, Vec* low, Vec* high) {
  low->v = vzip1q_f32(even.v, odd.v);
  high->v = vzip2q_f32(even.v, odd.v);
}
I2F_INLINE void Deinterleave(Vec low, Vec high, Vec* even, Vec* odd) {
  even->v = vuzp1q_f32(low.v, high.v);
  odd->v = vuzp2q_f32(low.v, high.v);
}
I2F_INLINE float Sum(Vec a) { return vaddvq_f32(a.v); }
I2F_INLINE float Greatest(Vec a) { return vmaxvq_f32(a.v); }

#else

// Any other processor: arrays of four, which compilers turn into whatever vectors there are.
constexpr int kWidth = 4, kRows = 4, kVecs = 2;
struct Vec {
  float v[4];
};
struct Mask {
  bool m[4];
};
#define I2F_LANES(result, expression) \
  result r;                           \
  for (int i = 0; i < 4; ++i) {       \
    expression;                       \
  }                                   \
  return r
I2F_INLINE Vec LoadPart(const float* p, int n) { I2F_LANES(Vec, r.v[i] = i < n ? p[i] : 0.0f); }
I2F_INLINE Vec Load(const float* p) { return LoadPart(p, 4); }
I2F_INLINE void StorePart(float* p, Vec a, int n) { std::memcpy(p, a.v, static_cast<size_t>(n) * sizeof(float)); }
I2F_INLINE void Store(float* p, Vec a) { StorePart(p, a, 4); }
I2F_INLINE Vec Set(float x) { I2F_LANES(Vec, r.v[i] = x); }
I2F_INLINE Vec operator+(Vec a, Vec b) { I2F_LANES(Vec, r.v[i] = a.v[i] + b.v[i]); }
I2F_INLINE Vec operator-(Vec a, Vec b) { I2F_LANES(Vec, r.v[i] = a.v[i] - b.v[i]); }
I2F_INLINE Vec operator*(Vec a, Vec b) { I2F_LANES(Vec, r.v[i] = a.v[i] * b.v[i]); }
I2F_INLINE Vec operator/(Vec a, Vec b) { I2F_LANES(Vec, r.v[i] = a.v[i] / b.v[i]); }
I2F_INLINE Vec MulAdd(Vec a, Vec b, Vec c) { return a * b + c; }
I2F_INLINE Vec Max(Vec a, Vec b) { I2F_LANES(Vec, r.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
I2F_INLINE Vec Min(Vec a, Vec b) { I2F_LANES(Vec, r.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
I2F_INLINE Vec Sqrt(Vec a) { I2F_LANES(Vec, r.v[i] = sqrtf(a.v[i])); }
I2F_INLINE Vec Abs(Vec a) { I2F_LANES(Vec, r.v[i] = fabsf(a.v[i])); }
I2F_INLINE Mask operator>(Vec a, Vec b) { I2F_LANES(Mask, r.m[i] = a.v[i] > b.v[i]); }
I2F_INLINE Mask operator<=(Vec a, Vec b) { I2F_LANES(Mask, r.m[i] = a.v[i] <= b.v[i]); }
I2F_INLINE Vec Select(Mask m, Vec yes, Vec no) { I2F_LANES(Vec, r.v[i] = m.m[i] ? yes.v[i] : no.v[i]); }
I2F_INLINE Vec AddExponent(Vec a, Vec shifted) {
  uint32_t bits[4], exponents[4];
  std::memcpy(bits, a.v, sizeof bits);
  std::memcpy(exponents, shifted.v, sizeof bits);
  for (int i = 0; i < 4; ++i) bits[i] += exponents[i] << 23;
  Vec r;
  std::memcpy(r.v, bits, sizeof bits);
  return r;
}
I2F_INLINE void Interleave(Vec even, Vec odd, Vec* low, Vec* high) {
  *low = {{even.v[0], odd.v[0], even.v[1], odd.v[1]}};
  *high = {{even.v[2], odd.v[2], even.v[3], odd.v[3]}};
}
I2F_INLINE void Deinterleave(Vec low, Vec high, Vec* even, Vec* odd) {
  *even = {{low.v[0], low.v[2], high.v[0], high.v[2]}};
  *odd = {{low.v[1], low.v[3], high.v[1], high.v[3]}};
}
I2F_INLINE float Sum(Vec a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
I2F_INLINE float Greatest(Vec a) {
  float r = a.v[0];
  for (int i = 1; i < 4; ++i) r = a.v[i] > r ? a.v[i] : r;
  return r;
}
#undef I2F_LANES

#endif

// Columns that one step of a matrix product covers.
constexpr int kColumns = kWidth * kVecs;

// e^x within 2 units in the last place for x in [-87, 88]; beyond that as at the end of the range.
I2F_INLINE Vec Exp(Vec x) {
  x = Min(Max(x, Set(-87.0f)), Set(88.0f));
  // Adding 1.5 * 2^23 rounds to an integer, which then sits in the low bits of the sum, ready for the exponent.
  const Vec shifted = MulAdd(x, Set(1.44269504f), Set(12582912.0f));
  const Vec whole = shifted - Set(12582912.0f);
  Vec rest = MulAdd(whole, Set(-0.693359375f), x);
  rest = MulAdd(whole, Set(2.12194440e-4f), rest);
  Vec p = Set(1.9875691500e-4f);
  p = MulAdd(p, rest, Set(1.3981999507e-3f));
  p = MulAdd(p, rest, Set(8.3334519073e-3f));
  p = MulAdd(p, rest, Set(4.1665795894e-2f));
  p = MulAdd(p, rest, Set(1.6666665459e-1f));
  p = MulAdd(p, rest, Set(5.0000001201e-1f));
  p = MulAdd(p * rest, rest, rest + Set(1.0f));
  return AddExponent(p, shifted);
}

I2F_INLINE Vec Silu(Vec x) { return x / (Set(1.0f) + Exp(Set(0.0f) - x)); }

// Transposes a 4x4 square; steps are the distances between rows in floats.
I2F_INLINE void Transpose4(const float* in, int64_t in_step, float* out, int64_t out_step) {
#if defined(INTER2FORMER_X86)
  __m128 a = _mm_loadu_ps(in), b = _mm_loadu_ps(in + in_step);
  __m128 c = _mm_loadu_ps(in + 2 * in_step), d = _mm_loadu_ps(in + 3 * in_step);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(out, a);
  _mm_storeu_ps(out + out_step, b);
  _mm_storeu_ps(out + 2 * out_step, c);
  _mm_storeu_ps(out + 3 * out_step, d);
#else
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) out[j * out_step + i] = in[i * in_step + j];
#endif
}

I2F_INLINE int64_t LeastOf(int64_t a, int64_t b) { return a < b ? a : b; }
I2F_INLINE int64_t GreatestOf(int64_t a, int64_t b) { return a > b ? a : b; }
I2F_INLINE int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

}  // namespace inter2former::INTER2FORMER_LEVEL
