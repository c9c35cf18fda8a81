#include "threads.h"

#include <atomic>
#include <thread>

#include "testing.h"

#if defined(__unix__) && !defined(__SANITIZE_THREAD__)
#include <sys/wait.h>
#include <unistd.h>
#define I2F_FORK 1
#endif

namespace inter2former {
namespace {

// Every index once, every worker one thread at a time, memory of the tasks visible to the caller afterwards.
void CheckOneCall(int64_t count, int threads) {
  std::vector<int64_t> sums(static_cast<size_t>(threads), 0);  // not atomic: a worker is one thread
  std::vector<int> calls(static_cast<size_t>(count), 0);
  ParallelFor(count, threads, [&](int64_t index, int worker) {
    CHECK(worker >= 0 && worker < threads);
    sums[worker] += index;
    ++calls[index];
  });
  int64_t sum = 0;
  for (const int64_t part : sums) sum += part;
  CHECK(sum == count * (count - 1) / 2);
  for (const int once : calls) CHECK(once == 1);
}

void TestCounts() {
  for (const int64_t count : {0, 1, 2, 3, 7, 1000})
    for (const int threads : {1, 2, 3, 4, 9}) CheckOneCall(count, threads);
}

void TestManyShortCalls() {
  for (int i = 0; i < 2000; ++i) CheckOneCall(1 + i % 5, 1 + i % 4);
}

// While one caller has the pool the others run alone; none waits for another.
void TestCallersSideBySide() {
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([] {
      for (int i = 0; i < 300; ++i) CheckOneCall(20, 3);
    });
  for (std::thread& caller : callers) caller.join();
}

// One task that goes on for ever but for the others shows that all threads take part.
void TestThreadsMeet() {
  for (int threads = 2; threads <= 4; ++threads) {
    std::atomic<int> arrived{0};
    ParallelFor(threads, threads, [&](int64_t, int) {
      arrived.fetch_add(1);
      while (arrived.load() < threads) std::this_thread::yield();
    });
    CHECK(arrived.load() == threads);
  }
}

// After a fork the child has none of the pool's threads and starts its own.
void TestFork() {
#if defined(I2F_FORK)
  CheckOneCall(100, 3);
  const pid_t child = fork();
  if (child == 0) {
    CheckOneCall(100, 3);
    TestThreadsMeet();
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
#endif
}

}  // namespace
}  // namespace inter2former

int main() {
  inter2former::TestCounts();
  inter2former::TestManyShortCalls();
  inter2former::TestCallersSideBySide();
  inter2former::TestThreadsMeet();
  inter2former::TestFork();
}
