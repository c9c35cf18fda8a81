// Which level of the instruction set runs: decided once, at run time, by what the processor has.
#pragma once

#include <string>
#include <vector>

#include "levels.h"

namespace inter2former {

// The kernels of one level.
struct Kernels {
  const char* level;
#define INTER2FORMER_MEMBER(result, name, job) result (*name)(const job&);
  INTER2FORMER_EACH_KERNEL(INTER2FORMER_MEMBER)
#undef INTER2FORMER_MEMBER
};

// Names of the levels that were compiled and that this processor can run, plainest first.
std::vector<std::string> SupportedLevels();

// The kernels of a level, or null if it was not compiled or this processor cannot run it.
const Kernels* KernelsOf(const std::string& level);

}  // namespace inter2former
