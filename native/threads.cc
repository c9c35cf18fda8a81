#include "threads.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
#endif

namespace inter2former {
namespace {

// How long a worker without work watches for the next job before it sleeps. A click is some twenty jobs a few ten
// microseconds apart, and waking a sleeper takes about as long as the shorter ones run.
constexpr auto kWatch = std::chrono::microseconds(200);

void Relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  asm volatile("yield");
#endif
}

struct Job {
  IndexedTask task;
  void* context;
  int64_t count;
  std::atomic<int64_t> next{0};
  std::atomic<int> running{0};  // workers inside, the caller not counted
  int wanted;                   // workers that may still join; guarded by the pool's mutex
  int joined = 0;               // likewise

  void Work(int worker) {
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task(context, i, worker);
  }
};

class Pool {
 public:
  bool TryRun(Job* job) {
    if (busy_.exchange(true)) return false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (; workers_ < job->wanted; ++workers_) std::thread([this] { Serve(); }).detach();
      job_ = job;
      posted_.fetch_add(1);
    }
    wake_.notify_all();
    job->Work(0);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      job_ = nullptr;
    }
    for (int spins = 0; job->running.load() > 0; ++spins) {
      // A worker that the system has put aside may need this processor.
      spins < 2000 ? Relax() : std::this_thread::yield();
    }
    busy_.store(false);
    return true;
  }

 private:
  void Serve() {
    uint64_t seen = 0;
    while (true) {
      const auto started = std::chrono::steady_clock::now();
      for (int spins = 1; posted_.load() == seen; ++spins) {
        Relax();
        if (spins % 64 == 0 && std::chrono::steady_clock::now() - started > kWatch) {
          std::unique_lock<std::mutex> lock(mutex_);
          wake_.wait(lock, [&] { return posted_.load() != seen; });
        }
      }
      Job* job;
      int worker;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        seen = posted_.load();
        job = job_;
        if (job == nullptr || job->joined == job->wanted) continue;
        worker = ++job->joined;
        job->running.fetch_add(1);
      }
      job->Work(worker);
      job->running.fetch_sub(1);
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> posted_{0};
  std::atomic<bool> busy_{false};
  Job* job_ = nullptr;
  int workers_ = 0;
};

// The workers live as long as the process; a pool that a fork has left without its threads is replaced, not freed.
std::atomic<Pool*> the_pool{nullptr};

Pool& ThePool() {
  Pool* pool = the_pool.load();
  if (pool == nullptr) {
    auto* fresh = new Pool;
    if (the_pool.compare_exchange_strong(pool, fresh)) {
      pool = fresh;
#if defined(__unix__) || defined(__APPLE__)
      static std::atomic<bool> registered{false};
      if (!registered.exchange(true)) pthread_atfork(nullptr, nullptr, [] { the_pool.store(nullptr); });
#endif
    } else {
      delete fresh;
    }
  }
  return *pool;
}

}  // namespace

void RunIndexed(int64_t count, int threads, IndexedTask task, void* context) {
  Job job;
  job.task = task;
  job.context = context;
  job.count = count;
  job.wanted = static_cast<int>(count < threads ? count : threads) - 1;
  if (job.wanted <= 0 || !ThePool().TryRun(&job)) job.Work(0);
}

}  // namespace inter2former
