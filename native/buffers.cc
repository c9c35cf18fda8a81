#include "buffers.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace inter2former {
namespace {

constexpr std::align_val_t kLine{64};

// For the address sanitizer, kept memory is out of bounds, and so is what a buffer has beyond the floats asked for.
// What is in bounds starts as NaN, so that a result which depends on memory that nobody wrote is wrong.
#if defined(__SANITIZE_ADDRESS__)
void Allow(float* data, int64_t floats) {
  ASAN_UNPOISON_MEMORY_REGION(data, static_cast<size_t>(floats) * sizeof(float));
  std::memset(data, 0xff, static_cast<size_t>(floats) * sizeof(float));
}
void Forbid(float* data, int64_t floats) {
  ASAN_POISON_MEMORY_REGION(data, static_cast<size_t>(floats) * sizeof(float));
}
#else
void Allow(float*, int64_t) {}
void Forbid(float*, int64_t) {}
#endif

struct Spare {
  float* data;
  int64_t floats;
};

// Never destroyed: threads may still give buffers back while the process ends.
std::mutex& Guard() {
  static auto* guard = new std::mutex;
  return *guard;
}

std::vector<Spare>& Spares() {
  static auto* spares = new std::vector<Spare>;
  return *spares;
}

}  // namespace

Buffer::Buffer(int64_t floats) : data_(nullptr), floats_(std::max<int64_t>(floats, 16)) {
  const int64_t asked = floats_;
  {
    const std::lock_guard<std::mutex> lock(Guard());
    auto& spares = Spares();
    // The smallest that fits, unless it is so much larger that someone else will want it.
    auto best = spares.end();
    for (auto it = spares.begin(); it != spares.end(); ++it) {
      const bool fits = it->floats >= floats_ && it->floats <= 2 * floats_;
      if (fits && (best == spares.end() || it->floats < best->floats)) best = it;
    }
    if (best != spares.end()) {
      data_ = best->data;
      floats_ = best->floats;
      spares.erase(best);
      Allow(data_, asked);
      return;
    }
  }
  data_ = static_cast<float*>(::operator new(static_cast<size_t>(floats_) * sizeof(float), kLine));
  Allow(data_, asked);
}

Buffer::~Buffer() {
  constexpr size_t kKept = 16;
  Forbid(data_, floats_);
  Spare dropped{data_, floats_};
  {
    const std::lock_guard<std::mutex> lock(Guard());
    auto& spares = Spares();
    spares.push_back(dropped);
    if (spares.size() <= kKept) return;
    // The one unused for longest goes: after a change of working size the old sizes leave one by one.
    dropped = spares.front();
    spares.erase(spares.begin());
  }
  ::operator delete(dropped.data, kLine);
}

void ReleaseBuffers() {
  const std::lock_guard<std::mutex> lock(Guard());
  for (const Spare& spare : Spares()) ::operator delete(spare.data, kLine);
  Spares().clear();
}

}  // namespace inter2former
