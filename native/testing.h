// What the tests of the kernels share: numbers, comparison, and every level with every number of threads. Results are
// compared with plain loops in float64 that stand in each test. Arrays are exactly as long as a kernel may read, so
// that the address sanitizer sees what goes beyond.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "dispatch.h"

#define CHECK(condition) ((condition) ? void() : inter2former::testing::Fail(__FILE__, __LINE__, #condition))
#define CHECK_CLOSE(measured, expected, tolerance) \
  inter2former::testing::CheckClose(__FILE__, __LINE__, measured, expected, tolerance)

namespace inter2former::testing {

// What is being tested, for messages.
inline std::string& Case() {
  static std::string text;
  return text;
}

[[noreturn]] inline void Fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s (%s)\n", file, line, what.c_str(), Case().c_str());
  std::exit(1);
}

// Numbers that look random and are the same on every machine.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed * 2654435761u + 88172645463325252u) {}

  int64_t Below(int64_t end) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<int64_t>((state_ >> 20) % static_cast<uint64_t>(end));
  }

  // In [-1, 1).
  float Real() { return static_cast<float>(Below(1 << 24)) / (1 << 23) - 1.0f; }

  std::vector<float> Reals(int64_t count, float scale = 1.0f) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = scale * Real();
    return values;
  }

  std::vector<int64_t> Indices(int64_t count, int64_t end) {
    std::vector<int64_t> values(static_cast<size_t>(count));
    for (int64_t& value : values) value = Below(end);
    return values;
  }

  // 0 .. count - 1 in any order.
  std::vector<int64_t> Order(int64_t count) {
    std::vector<int64_t> values(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const int64_t other = Below(i + 1);
      values[i] = values[other];
      values[other] = i;
    }
    return values;
  }

 private:
  uint64_t state_;
};

constexpr float kUnset = std::numeric_limits<float>::quiet_NaN();

// A matrix whose rows are `step` apart, with NaN between them and nothing after the last.
inline std::vector<float> Spread(const std::vector<float>& dense, int64_t rows, int64_t columns, int64_t step) {
  std::vector<float> wide(static_cast<size_t>(rows ? (rows - 1) * step + columns : 0), kUnset);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) wide[r * step + c] = dense[r * columns + c];
  return wide;
}

// Every number within `tolerance` of the expected one, relative to it where it is greater than 1.
inline void CheckClose(const char* file, int line, const std::vector<float>& measured,
                       const std::vector<double>& expected, double tolerance) {
  if (measured.size() != expected.size()) Fail(file, line, "another size");
  for (size_t i = 0; i < measured.size(); ++i) {
    const double error = std::fabs(measured[i] - expected[i]);
    if (!(error <= tolerance * std::fmax(1.0, std::fabs(expected[i]))))
      Fail(file, line,
           "number " + std::to_string(i) + " is " + std::to_string(measured[i]) + ", expected " +
               std::to_string(expected[i]));
  }
}

// Runs `compute(kernels, threads)` at every level of this processor with 1 to 4 threads. What it gives must not depend
// on the threads; `check(result)` sees it once per level.
template <class Compute, class Check>
void OnEveryLevel(const std::string& name, const Compute& compute, const Check& check) {
  for (const std::string& level : SupportedLevels()) {
    const Kernels& kernels = *KernelsOf(level);
    Case() = name + ", " + level;
    const auto alone = compute(kernels, 1);
    check(alone);
    for (int threads = 2; threads <= 4; ++threads) {
      Case() = name + ", " + level + ", " + std::to_string(threads) + " threads";
      CHECK(compute(kernels, threads) == alone);
    }
  }
}

inline double Silu(double x) { return x / (1 + std::exp(-x)); }

// Layer norm of a row in place; scale and shift may be null.
inline void Normalise(double* row, int64_t count, double epsilon, const float* scale, const float* shift) {
  double mean = 0, square = 0;
  for (int64_t i = 0; i < count; ++i) mean += row[i] / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) square += (row[i] - mean) * (row[i] - mean) / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i)
    row[i] = (row[i] - mean) / std::sqrt(square + epsilon) * (scale ? scale[i] : 1.0f) + (shift ? shift[i] : 0.0f);
}

}  // namespace inter2former::testing
