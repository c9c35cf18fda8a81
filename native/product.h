// Matrix product of small blocks: everything that multiplies here goes through this one loop.
#pragma once

#include "simd.h"

namespace inter2former::INTER2FORMER_LEVEL {

// The left factor of a strip: kRows values per step of depth.
//
// Packed: they follow each other (PackLeft). Rows: rows of a matrix that are `step` floats apart; all kRows of them are
// read, so a matrix needs that many, even where the results of the last ones are dropped.
struct PackedLeft {
  const float* values;
  float operator()(int row, int64_t k) const { return values[k * kRows + row]; }
};
struct RowsLeft {
  const float* values;
  int64_t step;
  float operator()(int row, int64_t k) const { return values[row * step + k]; }
};

// A strip of kRows rows times kColumns columns, summed over `depth` in registers.
//
// `right` is any matrix whose rows are `right_step` floats apart; kColumns floats of each row are read, so rows need
// that much slack. `store(row, column, sum)` gets each sum, `column` in floats from the start of the strip.
//
// kRows * kVecs accumulators: kVecs loads and kRows broadcasts feed the multiply-adds. More rows spill.
template <class Left, class StoreSum>
I2F_INLINE void ProductStrip(int64_t depth, const Left left, const float* right, int64_t right_step,
                             const StoreSum& store) {
  Vec sum[kRows][kVecs];
  I2F_UNROLL
  for (int r = 0; r < kRows; ++r) I2F_UNROLL
  for (int c = 0; c < kVecs; ++c) sum[r][c] = Set(0.0f);
  for (int64_t k = 0; k < depth; ++k) {
    Vec column[kVecs];
    I2F_UNROLL
    for (int c = 0; c < kVecs; ++c) column[c] = Load(right + k * right_step + c * kWidth);
    I2F_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Vec weight = Set(left(r, k));
      I2F_UNROLL
      for (int c = 0; c < kVecs; ++c) sum[r][c] = MulAdd(weight, column[c], sum[r][c]);
    }
  }
  I2F_UNROLL
  for (int r = 0; r < kRows; ++r) I2F_UNROLL
  for (int c = 0; c < kVecs; ++c) store(r, c * kWidth, sum[r][c]);
}

// Reorders `value(row, k)` into strips of kRows rows; missing rows of the last strip are zero.
template <class Value>
I2F_INLINE void PackLeft(int64_t rows, int64_t depth, float* out, const Value& value) {
  for (int64_t strip = 0; strip < rows; strip += kRows)
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t r = strip; r < strip + kRows; ++r) *out++ = r < rows ? value(r, k) : 0.0f;
}

// Floats of a right factor in panels (PackRight).
I2F_INLINE int64_t PackedRight(int64_t depth, int64_t columns) { return depth * RoundUp(columns, kColumns); }

// Reorders one panel of a layer's weights (columns, depth), the transpose of the right factor: for each step of depth
// the kColumns values side by side. Columns past the end are zero.
inline void PackRightPanel(const float* weight, int64_t depth, int64_t columns, int64_t panel, float* out) {
  const int64_t first = panel * kColumns;
  for (int64_t c = 0; c < kColumns; c += 4) {
    int64_t k = 0;
    if (first + c + 4 <= columns) {
      for (; k + 4 <= depth; k += 4)
        Transpose4(weight + (first + c) * depth + k, depth, out + k * kColumns + c, kColumns);
    }
    for (; k < depth; ++k)
      for (int64_t j = c; j < c + 4; ++j)
        out[k * kColumns + j] = first + j < columns ? weight[(first + j) * depth + k] : 0.0f;
  }
}

inline void PackRight(const float* weight, int64_t depth, int64_t columns, float* out) {
  for (int64_t panel = 0; panel * kColumns < columns; ++panel)
    PackRightPanel(weight, depth, columns, panel, out + panel * depth * kColumns);
}

// Layer norm of `count` numbers, a multiple of kWidth or not: out = (in - mean) / deviation * scale + shift. Scale and
// shift may be null.
inline void Normalise(const float* in, int64_t count, float epsilon, const float* scale, const float* shift,
                      float* out) {
  const int64_t whole = count / kWidth * kWidth;
  const int rest = static_cast<int>(count - whole);
  Vec sum = Set(0.0f);
  for (int64_t i = 0; i < whole; i += kWidth) sum = sum + Load(in + i);
  if (rest) sum = sum + LoadPart(in + whole, rest);
  const Vec mean = Set(Sum(sum) / static_cast<float>(count));
  Vec squares = Set(0.0f);
  for (int64_t i = 0; i < whole; i += kWidth) {
    const Vec d = Load(in + i) - mean;
    squares = MulAdd(d, d, squares);
  }
  float square = Sum(squares);
  for (int64_t i = whole; i < count; ++i) {
    float m[kWidth];
    Store(m, mean);
    square += (in[i] - m[0]) * (in[i] - m[0]);
  }
  const Vec factor = Set(1.0f) / Sqrt(Set(square / static_cast<float>(count) + epsilon));
  for (int64_t i = 0; i < count; i += kWidth) {
    const int lanes = static_cast<int>(LeastOf(kWidth, count - i));
    const bool part = lanes < kWidth;
    Vec value = ((part ? LoadPart(in + i, lanes) : Load(in + i)) - mean) * factor;
    if (scale) value = value * (part ? LoadPart(scale + i, lanes) : Load(scale + i));
    if (shift) value = value + (part ? LoadPart(shift + i, lanes) : Load(shift + i));
    part ? StorePart(out + i, value, lanes) : Store(out + i, value);
  }
}

// Loads or stores the first `left` of a vector's lanes, all of them where there are more.
I2F_INLINE Vec LoadUpTo(const float* p, int64_t left) {
  return left >= kWidth ? Load(p) : LoadPart(p, static_cast<int>(left));
}
I2F_INLINE void StoreUpTo(float* p, Vec a, int64_t left) {
  left >= kWidth ? Store(p, a) : StorePart(p, a, static_cast<int>(left));
}

}  // namespace inter2former::INTER2FORMER_LEVEL
