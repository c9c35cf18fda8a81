// What the files of the Python extension share: kinds of arrays, and how an argument is refused.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>

#include "dispatch.h"

namespace inter2former {

namespace nb = nanobind;

template <int rank>
using Input = nb::ndarray<const float, nb::ndim<rank>, nb::device::cpu>;
template <int rank>
using Packed = nb::ndarray<const float, nb::ndim<rank>, nb::device::cpu, nb::c_contig>;
template <int rank>
using Output = nb::ndarray<float, nb::ndim<rank>, nb::device::cpu, nb::c_contig>;

using Places = nb::ndarray<const int64_t, nb::ndim<1>, nb::device::cpu, nb::c_contig>;
using States = nb::ndarray<const uint8_t, nb::ndim<2>, nb::device::cpu>;
using Marks = nb::ndarray<bool, nb::ndim<2>, nb::device::cpu, nb::c_contig>;
using NormArrays = std::tuple<Packed<1>, Packed<1>, float>;

// The kernels of the level that runs.
const Kernels& Active();

// Add the kernels that work on tokens, and those that work on maps.
void BindTokenKernels(nb::module_& m);
void BindMapKernels(nb::module_& m);

// Refuses an argument by name where `fits` is false.
inline void Require(bool fits, const char* argument, const char* wanted) {
  if (!fits) throw std::invalid_argument(std::string(argument) + " must be " + wanted);
}

inline int CheckedThreads(int threads) {
  Require(threads >= 1 && threads <= 1024, "threads", "in [1, 1024]");
  return threads;
}

inline int64_t Size(size_t n) { return static_cast<int64_t>(n); }

inline void RequireIn(const int64_t* values, size_t count, int64_t end, const char* argument) {
  for (size_t i = 0; i < count; ++i) {
    if (values[i] < 0 || values[i] >= end)
      throw std::invalid_argument(std::string(argument) + " holds " + std::to_string(values[i]) +
                                  "; it must be in [0, " + std::to_string(end) + ")");
  }
}

}  // namespace inter2former
