#include "dispatch.h"

#include "testing.h"

int main() {
  using namespace inter2former;
  const std::vector<std::string> levels = SupportedLevels();
  CHECK(!levels.empty());
  CHECK(levels.front() == "baseline" || levels.front() == "neon");
  for (const std::string& level : levels) {
    const Kernels* kernels = KernelsOf(level);
    CHECK(kernels != nullptr && kernels->level == level);
    CHECK(kernels->RunLinear != nullptr && kernels->EmbedPrompt != nullptr);
    std::printf("%s\n", level.c_str());
  }
  CHECK(KernelsOf("avx") == nullptr);
  CHECK(KernelsOf("") == nullptr);
}
