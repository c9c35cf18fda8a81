#include "buffers.h"

#include <thread>

#include "testing.h"

namespace inter2former {
namespace {

void TestMemoryIsAlignedAndWritable() {
  for (const int64_t floats : {0, 1, 15, 17, 1000}) {
    const Buffer buffer(floats);
    CHECK(reinterpret_cast<uintptr_t>(buffer.data()) % 64 == 0);
    for (int64_t i = 0; i < floats; ++i) buffer.data()[i] = static_cast<float>(i);
    for (int64_t i = 0; i < floats; ++i) CHECK(buffer.data()[i] == static_cast<float>(i));
  }
}

void TestMemoryIsUsedAgain() {
  ReleaseBuffers();
  const float* before;
  {
    const Buffer buffer(1000);
    before = buffer.data();
  }
  {
    const Buffer smaller(600), other(600), small(100);
    CHECK(smaller.data() == before);
    CHECK(other.data() != before && small.data() != before);
  }
  ReleaseBuffers();
}

// More buffers than are kept, of many sizes, from several threads: each belongs to one of them while it lives.
void TestThreadsHaveTheirOwn() {
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user)
    users.emplace_back([user] {
      testing::Numbers numbers(static_cast<uint64_t>(user));
      for (int i = 0; i < 300; ++i) {
        const int64_t floats = 1 + numbers.Below(500);
        const Buffer buffer(floats), second(2 * floats);
        for (int64_t k = 0; k < floats; ++k) buffer.data()[k] = second.data()[2 * k] = static_cast<float>(user);
        for (int64_t k = 0; k < floats; ++k)
          CHECK(buffer.data()[k] + second.data()[2 * k] == static_cast<float>(2 * user));
      }
    });
  for (std::thread& user : users) user.join();
  ReleaseBuffers();
}

}  // namespace
}  // namespace inter2former

int main() {
  inter2former::TestMemoryIsAlignedAndWritable();
  inter2former::TestMemoryIsUsedAgain();
  inter2former::TestThreadsHaveTheirOwn();
}
