// The Python extension: arrays in, checked, pointers on to the kernels. The only files that know Python are this one,
// bindings_tokens.cc and bindings_maps.cc.
//
// Shapes, meanings and units are those of the operation of the same name in kernels/reference.py. Results are written
// into an array that the caller brings.

#include "bindings.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>

#include "buffers.h"
#include "dispatch.h"

namespace inter2former {
namespace {

const Kernels* active = nullptr;

}  // namespace

const Kernels& Active() {
  if (active == nullptr) active = KernelsOf(SupportedLevels().back());
  return *active;
}

namespace {

void SetLevel(const std::string& level) {
  const Kernels* chosen = KernelsOf(level);
  if (chosen == nullptr) {
    std::string names;
    for (const std::string& name : SupportedLevels()) names += (names.empty() ? "" : ", ") + name;
    throw std::invalid_argument("level '" + level + "' does not run on this processor; it runs " + names);
  }
  active = chosen;
}

}  // namespace
}  // namespace inter2former

NB_MODULE(_native, m) {
  using namespace inter2former;
  using namespace nb::literals;
  m.doc() = "The native kernels; see reference.py for what each computes.";
  m.def("levels", &SupportedLevels, "Levels of the instruction set that this processor can run, plainest first.");
  m.def("level", [] { return std::string(Active().level); }, "The level that runs.");
  m.def("set_level", &SetLevel, "level"_a, "Run this level from now on; ValueError if the processor lacks it.");
  m.def("release_buffers", &ReleaseBuffers, "Free the memory that is kept between calls.");
  BindTokenKernels(m);
  BindMapKernels(m);
}
