#include "dispatch.h"

#if defined(_MSC_VER) && defined(_M_X64)
#include <immintrin.h>
#include <intrin.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

namespace inter2former {
namespace {

struct Candidate {
  Kernels kernels;
  bool (*runs)();
};

// `using namespace` inside a function: the only way to spell "every kernel of this level" without listing them again.
#define INTER2FORMER_ADDRESS(result, name, job) name,
#define INTER2FORMER_KERNELS_OF(level, name)                              \
  [] {                                                                    \
    using namespace inter2former::level;                                  \
    return Kernels{name, INTER2FORMER_EACH_KERNEL(INTER2FORMER_ADDRESS)}; \
  }()

#if defined(__x86_64__) || defined(_M_X64)

struct Registers {
  unsigned a, b, c, d;
};

Registers Cpuid(unsigned leaf, unsigned subleaf) {
  Registers r{0, 0, 0, 0};
#if defined(_MSC_VER)
  int out[4];
  __cpuidex(out, static_cast<int>(leaf), static_cast<int>(subleaf));
  r = {unsigned(out[0]), unsigned(out[1]), unsigned(out[2]), unsigned(out[3])};
#else
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
#endif
  return r;
}

bool All(unsigned value, unsigned bits) { return (value & bits) == bits; }

// Does the system save these registers when it switches threads? Bits of XCR0: 1 SSE, 2 AVX, 5 to 7 AVX-512.
bool SystemSaves(unsigned bits) {
  if (!All(Cpuid(1, 0).c, 1u << 27)) return false;
#if defined(_MSC_VER)
  return All(static_cast<unsigned>(_xgetbv(0)), bits);
#else
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return All(low, bits);
#endif
}

bool Always() { return true; }

bool HasAvx2() { return SystemSaves(0x6) && All(Cpuid(1, 0).c, 1u << 28 | 1u << 12) && All(Cpuid(7, 0).b, 1u << 5); }

bool HasAvx512() {
#if defined(INTER2FORMER_EMULATE)
  return HasAvx2();
#else
  // F, DQ, BW, VL.
  return HasAvx2() && SystemSaves(0xe6) && All(Cpuid(7, 0).b, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31);
#endif
}

bool HasAvx512Bf16() {
#if defined(INTER2FORMER_EMULATE)
  return HasAvx2();
#else
  return HasAvx512() && All(Cpuid(7, 1).a, 1u << 5);
#endif
}

const Candidate kCandidates[] = {
    {INTER2FORMER_KERNELS_OF(baseline, "baseline"), Always},
    {INTER2FORMER_KERNELS_OF(avx2, "avx2"), HasAvx2},
    {INTER2FORMER_KERNELS_OF(avx512, "avx512"), HasAvx512},
    // The same kernels: bfloat16 keeps 8 bits, and masks would no longer be those of the reference (docs/adr/0003). The
    // name tells where an encoder in bfloat16 is worth while.
    {INTER2FORMER_KERNELS_OF(avx512, "avx512bf16"), HasAvx512Bf16},
};

#elif defined(__aarch64__) || defined(_M_ARM64)

// Every 64-bit Arm processor has NEON.
const Candidate kCandidates[] = {{INTER2FORMER_KERNELS_OF(neon, "neon"), [] { return true; }}};

#else

const Candidate kCandidates[] = {{INTER2FORMER_KERNELS_OF(baseline, "baseline"), [] { return true; }}};

#endif

}  // namespace

std::vector<std::string> SupportedLevels() {
  std::vector<std::string> names;
  for (const Candidate& candidate : kCandidates) {
    if (candidate.runs()) names.emplace_back(candidate.kernels.level);
  }
  return names;
}

const Kernels* KernelsOf(const std::string& level) {
  for (const Candidate& candidate : kCandidates) {
    if (level == candidate.kernels.level && candidate.runs()) return &candidate.kernels;
  }
  return nullptr;
}

}  // namespace inter2former
