// Runs the same function over many indices on a few threads.
#pragma once

#include <cstdint>

namespace inter2former {

using IndexedTask = void (*)(void* context, int64_t index, int worker);

// Calls task(context, index, worker) once for every index in [0, count), on up to `threads` threads, the caller's being
// one of them; returns when all are done. `worker` is in [0, threads) and belongs to one thread for the whole call, so
// that scratch memory can be indexed by it. Tasks are handed out one by one, so a thread that the system holds up costs
// no more than the task it is at.
//
// May be called from several threads: while one call has the pool, the others run alone. Tasks must not throw and must
// not call this themselves.
void RunIndexed(int64_t count, int threads, IndexedTask task, void* context);

// As above for anything callable with (index, worker).
template <class Function>
inline void ParallelFor(int64_t count, int threads, const Function& function) {
  RunIndexed(
      count, threads,
      [](void* context, int64_t index, int worker) { (*static_cast<const Function*>(context))(index, worker); },
      const_cast<void*>(static_cast<const void*>(&function)));
}

}  // namespace inter2former
