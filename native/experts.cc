// Tokens go through in tiles that stay in the cache: gate and linear part, their product, the norm of the hidden
// channels and the last product, so that nothing hidden is ever written to memory. Routed tokens are sorted by expert
// first, which makes every expert one product.

#include "experts.h"

#include "buffers.h"
#include "levels.h"
#include "product.h"
#include "threads.h"

namespace inter2former::INTER2FORMER_LEVEL {
namespace {

constexpr int64_t kTile = 4 * kRows;

struct PackedMlp {
  const float *w1, *w2, *w3;  // right factors in panels
};

int64_t PackedFloats(const GatedMlps& m) { return 2 * PackedRight(m.width, m.hidden) + PackedRight(m.hidden, m.width); }

PackedMlp Placed(const GatedMlps& m, const float* data) {
  const int64_t in = PackedRight(m.width, m.hidden);
  return {data, data + in, data + 2 * in};
}

void Pack(const GatedMlps& m, int64_t expert, float* data) {
  const int64_t in = PackedRight(m.width, m.hidden), size = expert * m.width * m.hidden;
  PackRight(m.w1 + size, m.width, m.hidden, data);
  PackRight(m.w2 + size, m.width, m.hidden, data + in);
  PackRight(m.w3 + size, m.hidden, m.width, data + 2 * in);
}

// Scratch of a worker: rows that come in, hidden channels, results.
int64_t InFloats(const GatedMlps& m) { return kTile * m.width; }
int64_t HiddenFloats(const GatedMlps& m) { return kTile * RoundUp(m.hidden, kColumns); }
int64_t OutStep(const GatedMlps& m) { return RoundUp(m.width, kColumns); }
int64_t ScratchFloats(const GatedMlps& m) { return InFloats(m) + HiddenFloats(m) + kTile * OutStep(m); }

// One layer of a tile: `store(at, sum)` gets the sums, bias included, and where they belong in `out`.
template <class StoreSum>
void RunLayer(int64_t depth, const float* left, int64_t left_step, const float* packed, const float* bias,
              int64_t columns, int64_t count, float* out, const StoreSum& store) {
  const int64_t step = RoundUp(columns, kColumns);
  for (int64_t c = 0; c < columns; c += kColumns) {
    Vec added[kVecs];
    for (int v = 0; v < kVecs; ++v) {
      const int64_t over = columns - c - v * kWidth;
      added[v] = over > 0 ? LoadUpTo(bias + c + v * kWidth, over) : Set(0.0f);
    }
    for (int64_t strip = 0; strip < count; strip += kRows) {
      float* to = out + strip * step + c;
      ProductStrip(depth, RowsLeft{left + strip * left_step, left_step}, packed + c * depth, kColumns,
                   [&](int r, int column, Vec sum) { store(to + r * step + column, sum + added[column / kWidth]); });
    }
  }
}

// Runs the first `count` of kTile rows, which are in the scratch, through one expert. Gives the results, bias included,
// OutStep apart.
const float* RunTile(const GatedMlps& m, const PackedMlp& packed, int64_t expert, int64_t count, float* scratch) {
  float *hidden = scratch + InFloats(m), *out = hidden + HiddenFloats(m);
  const int64_t step = RoundUp(m.hidden, kColumns);
  RunLayer(m.width, scratch, m.width, packed.w1, m.b1 + expert * m.hidden, m.hidden, count, hidden,
           [](float* at, Vec sum) { Store(at, Silu(sum)); });
  RunLayer(m.width, scratch, m.width, packed.w2, m.b2 + expert * m.hidden, m.hidden, count, hidden,
           [](float* at, Vec sum) { Store(at, Load(at) * sum); });
  for (int64_t r = 0; r < count; ++r)
    Normalise(hidden + r * step, m.hidden, m.norm.epsilon, m.norm.weight, m.norm.bias, hidden + r * step);
  RunLayer(m.hidden, hidden, step, packed.w3, m.b3 + expert * m.width, m.width, count, out,
           [](float* at, Vec sum) { Store(at, sum); });
  return out;
}

void NormaliseInto(const float* in, int64_t width, const Norm& norm, float* out) {
  if (norm.weight)
    Normalise(in, width, norm.epsilon, norm.weight, norm.bias, out);
  else
    std::memcpy(out, in, static_cast<size_t>(width) * sizeof(float));
}

// Up to kTile assignments of one expert.
struct Tile {
  int64_t expert, first, count;
};

// Adds up what a token came with and what the experts make of it, into `out`. slot: among the places, -1 for none.
void Blend(const HybridExperts& job, int64_t token, int32_t slot, const float* shared, const float* routed) {
  const int64_t width = job.shared.width, count = slot < 0 ? 0 : job.experts_per_place;
  const Vec weight = Set(slot < 0 ? 1.0f : job.shared_weight[slot]);
  for (int64_t c = 0; c < width; c += kWidth) {
    const int64_t at = token * width + c, over = width - c;
    Vec blended = weight * LoadUpTo(shared + c, over);
    for (int64_t e = 0; e < count; ++e) {
      const int64_t route = slot * job.experts_per_place + e;
      blended = MulAdd(Set(job.routed_weight[route]), LoadUpTo(routed + route * width + c, over), blended);
    }
    StoreUpTo(job.out + at, LoadUpTo(job.x + at, over) + blended, over);
  }
}

}  // namespace

void RunExpertRows(const ExpertRows& job) {
  const GatedMlps& m = job.mlps;
  // Indices behind memory that is made for floats: 8 bytes each.
  const Buffer order_memory(2 * job.count), begin_memory(2 * (m.experts + 1)), next_memory(2 * (m.experts + 1));
  auto* order = reinterpret_cast<int64_t*>(order_memory.data());
  auto* begin = reinterpret_cast<int64_t*>(begin_memory.data());
  auto* next = reinterpret_cast<int64_t*>(next_memory.data());
  for (int64_t e = 0; e <= m.experts; ++e) begin[e] = 0;
  for (int64_t i = 0; i < job.count; ++i) ++begin[job.expert[i] + 1];
  for (int64_t e = 0; e < m.experts; ++e) begin[e + 1] += begin[e];
  for (int64_t e = 0; e < m.experts; ++e) next[e] = begin[e];
  for (int64_t i = 0; i < job.count; ++i) order[next[job.expert[i]]++] = i;

  const int64_t packed_floats = PackedFloats(m);
  const Buffer packed(m.experts * packed_floats), scratch(job.threads * ScratchFloats(m));
  ParallelFor(m.experts, job.threads, [&](int64_t e, int) {
    if (begin[e + 1] > begin[e]) Pack(m, e, packed.data() + e * packed_floats);
  });
  const Buffer tile_memory((job.count / kTile + m.experts + 1) * 6);
  auto* tiles = reinterpret_cast<Tile*>(tile_memory.data());
  int64_t count = 0;
  for (int64_t e = 0; e < m.experts; ++e)
    for (int64_t first = begin[e]; first < begin[e + 1]; first += kTile)
      tiles[count++] = {e, first, LeastOf(kTile, begin[e + 1] - first)};
  ParallelFor(count, job.threads, [&](int64_t index, int worker) {
    const Tile tile = tiles[index];
    float* left = scratch.data() + worker * ScratchFloats(m);
    for (int64_t r = 0; r < tile.count; ++r) {
      const int64_t i = order[tile.first + r], row = job.rows ? job.rows[i] : i;
      NormaliseInto(job.x + row * m.width, m.width, job.norm, left + r * m.width);
    }
    const PackedMlp placed = Placed(m, packed.data() + tile.expert * packed_floats);
    const float* result = RunTile(m, placed, tile.expert, tile.count, left);
    for (int64_t r = 0; r < tile.count; ++r)
      std::memcpy(job.out + order[tile.first + r] * m.width, result + r * OutStep(m),
                  static_cast<size_t>(m.width) * sizeof(float));
  });
}

void RunHybridExperts(const HybridExperts& job) {
  const int64_t width = job.shared.width, routes = job.places * job.experts_per_place;
  const Buffer routed(routes * width), rows_memory(2 * routes), slot_memory(job.tokens);
  auto* rows = reinterpret_cast<int64_t*>(rows_memory.data());
  auto* slot = reinterpret_cast<int32_t*>(slot_memory.data());  // of each token among the places; -1: none
  for (int64_t i = 0; i < routes; ++i) rows[i] = job.place[i / job.experts_per_place];
  RunExpertRows({job.routed, job.x, job.norm, routes, rows, job.expert, routed.data(), job.threads});

  std::memset(slot, 0xff, static_cast<size_t>(job.tokens) * sizeof(int32_t));
  for (int64_t i = 0; i < job.places; ++i) slot[job.place[i]] = static_cast<int32_t>(i);
  const Buffer packed(PackedFloats(job.shared)), scratch(job.threads * ScratchFloats(job.shared));
  Pack(job.shared, 0, packed.data());
  const PackedMlp placed = Placed(job.shared, packed.data());
  ParallelFor((job.tokens + kTile - 1) / kTile, job.threads, [&](int64_t tile, int worker) {
    const int64_t first = tile * kTile, count = LeastOf(kTile, job.tokens - first);
    float* left = scratch.data() + worker * ScratchFloats(job.shared);
    for (int64_t r = 0; r < count; ++r) NormaliseInto(job.x + (first + r) * width, width, job.norm, left + r * width);
    const float* result = RunTile(job.shared, placed, 0, count, left);
    for (int64_t r = 0; r < count; ++r)
      Blend(job, first + r, slot[first + r], result + r * OutStep(job.shared), routed.data());
  });
}

}  // namespace inter2former::INTER2FORMER_LEVEL
