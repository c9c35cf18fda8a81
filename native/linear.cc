#include "linear.h"

#include "buffers.h"
#include "levels.h"
#include "product.h"
#include "threads.h"

namespace inter2former::INTER2FORMER_LEVEL {

void RunLinear(const Linear& job) {
  constexpr int64_t kTile = 4 * kRows;
  const int64_t depth = job.channels_in, tiles = (job.rows + kTile - 1) / kTile;
  const int64_t panels = (job.channels_out + kColumns - 1) / kColumns;
  const Buffer packed(PackedRight(depth, job.channels_out)), scratch(job.threads * kTile * depth);
  ParallelFor(panels, job.threads, [&](int64_t panel, int) {
    PackRightPanel(job.weight, depth, job.channels_out, panel, packed.data() + panel * depth * kColumns);
  });
  ParallelFor(tiles, job.threads, [&](int64_t tile, int worker) {
    const int64_t first = tile * kTile, count = LeastOf(kTile, job.rows - first);
    // A copy even without a norm: the last tile may be short of the rows that a strip reads.
    float* left = scratch.data() + worker * kTile * depth;
    for (int64_t r = 0; r < count; ++r) {
      const float* row = job.x + (job.places ? job.places[first + r] : first + r) * job.x_row;
      if (job.norm.weight)
        Normalise(row, depth, job.norm.epsilon, job.norm.weight, job.norm.bias, left + r * depth);
      else
        std::memcpy(left + r * depth, row, static_cast<size_t>(depth) * sizeof(float));
    }
    for (int64_t panel = 0; panel < panels; ++panel)
      for (int64_t strip = 0; strip < count; strip += kRows) {
        const float* right = packed.data() + panel * depth * kColumns;
        ProductStrip(depth, RowsLeft{left + strip * depth, depth}, right, kColumns, [&](int r, int column, Vec sum) {
          const int64_t c = panel * kColumns + column, left_over = job.channels_out - c, row = first + strip + r;
          if (strip + r >= count || left_over <= 0) return;
          sum = sum + LoadUpTo(job.bias + c, left_over);
          if (job.activate) sum = Silu(sum);
          if (job.residual) sum = LoadUpTo(job.residual + row * job.residual_row + c, left_over) + sum;
          StoreUpTo(job.out + row * job.channels_out + c, sum, left_over);
        });
      }
  });
}

}  // namespace inter2former::INTER2FORMER_LEVEL
