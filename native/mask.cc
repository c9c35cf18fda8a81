// Across first, then down, each as (after - before) * weight + before: the same numbers in the same order as the
// reference, so that the mask has the same pixels where a logit is as good as zero.

#include "mask.h"

#include "buffers.h"
#include "levels.h"
#include "product.h"
#include "threads.h"

namespace inter2former::INTER2FORMER_LEVEL {
namespace {

void Across(const InterpolatedMask& job, int64_t y, float* I2F_RESTRICT out) {
  const float* row = job.logits + y * job.logits_row;
  const int64_t* index = job.columns.index;
  const float* weight = job.columns.weight;
  for (int64_t x = 0; x < job.columns.count; ++x) {
    const float before = row[index[x]], after = row[LeastOf(index[x] + 1, job.width - 1)];
    out[x] = (after - before) * weight[x] + before;
  }
}

void Down(const float* before, const float* after, float weight, int64_t count, bool* I2F_RESTRICT mask) {
  for (int64_t x = 0; x < count; ++x) mask[x] = (after[x] - before[x]) * weight + before[x] > 0.0f;
}

}  // namespace

void InterpolateMask(const InterpolatedMask& job) {
  constexpr int64_t kRowsAtOnce = 32;
  const int64_t count = job.columns.count;
  const Buffer memory(job.threads * 2 * count);
  ParallelFor((job.rows.count + kRowsAtOnce - 1) / kRowsAtOnce, job.threads, [&](int64_t task, int worker) {
    float* line[2] = {memory.data() + worker * 2 * count, memory.data() + (worker * 2 + 1) * count};
    int64_t held[2] = {-1, -1};  // which rows of the logits the two lines are
    const auto at = [&](int64_t y) {
      const int side = y & 1;
      if (held[side] != y) Across(job, y, line[side]);
      held[side] = y;
      return line[side];
    };
    for (int64_t y = task * kRowsAtOnce; y < LeastOf((task + 1) * kRowsAtOnce, job.rows.count); ++y) {
      const int64_t before = job.rows.index[y], after = LeastOf(before + 1, job.height - 1);
      const float *first = at(before), *second = at(after);
      Down(first, second, job.rows.weight[y], count, job.mask + y * job.mask_row);
    }
  });
}

}  // namespace inter2former::INTER2FORMER_LEVEL
