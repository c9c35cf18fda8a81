// Every kernel, declared once per level; dispatch.h chooses between them.
#pragma once

#include "attention.h"
#include "convolutions.h"
#include "experts.h"
#include "linear.h"
#include "mask.h"
#include "planes.h"
#include "prompt.h"
#include "upsampling.h"

// What each kernel returns, its name, and the job it takes.
// clang-format off
#define INTER2FORMER_EACH_KERNEL(kernel)               \
  kernel(void, Upsample, Upsampling)                   \
  kernel(void, RunLinear, Linear)                      \
  kernel(void, RunExpertRows, ExpertRows)              \
  kernel(void, RunHybridExperts, HybridExperts)        \
  kernel(void, RunHybridAttention, HybridAttention)    \
  kernel(void, MarkBoundaryTokens, BoundaryTokens)     \
  kernel(void, FindTokens, TokensWith)                 \
  kernel(void, InterpolateMask, InterpolatedMask)      \
  kernel(void, MakeColourPlanes, ColourPlanes)         \
  kernel(void, RunConvolutionNet, ConvolutionNet)      \
  /* false: the map holds a state that there is not */ \
  kernel(bool, EmbedPrompt, PromptEmbedding)
// clang-format on

#define INTER2FORMER_DECLARE(result, name, job) result name(const job&);

#if defined(__x86_64__) || defined(_M_X64)
namespace inter2former::baseline {
INTER2FORMER_EACH_KERNEL(INTER2FORMER_DECLARE)
}
namespace inter2former::avx2 {
INTER2FORMER_EACH_KERNEL(INTER2FORMER_DECLARE)
}
namespace inter2former::avx512 {
INTER2FORMER_EACH_KERNEL(INTER2FORMER_DECLARE)
}
#elif defined(__aarch64__) || defined(_M_ARM64)
namespace inter2former::neon {
INTER2FORMER_EACH_KERNEL(INTER2FORMER_DECLARE)
}
#else
namespace inter2former::baseline {
INTER2FORMER_EACH_KERNEL(INTER2FORMER_DECLARE)
}
#endif

#undef INTER2FORMER_DECLARE
