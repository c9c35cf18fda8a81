// Full attention goes over the keys in blocks and keeps, per query, the greatest score so far and the sums under it, so
// that scores never leave the cache. Attention over codes needs one score per code that occurs: tokens of one code
// share their weight, so their values are summed first and their number scales the weight in the denominator.

#include "attention.h"

#include "buffers.h"
#include "levels.h"
#include "product.h"
#include "threads.h"

namespace inter2former::INTER2FORMER_LEVEL {
namespace {

constexpr int64_t kKeys = 512;  // keys in a block: kRows scores of each are 12 to 24 KB
constexpr float kNever = -1e30f;

// Turns consecutive pairs of channels by minus their angles.
void Turn(const float* in, const float* cosine, const float* sine, int64_t depth, float* out) {
  for (int64_t p = 0; p < depth / 2; ++p) {
    const float even = in[2 * p], odd = in[2 * p + 1];
    out[2 * p] = even * cosine[p] + odd * sine[p];
    out[2 * p + 1] = odd * cosine[p] - even * sine[p];
  }
}

// Queries that go through the keys together, so that a block of keys is read once for all of them.
constexpr int64_t kTile = 4 * kRows;

// The queries of some tokens, scaled and, if asked for, their pairs of channels turned: (kTile, depth), zeros at the
// end.
void GatherQueries(const HybridAttention& job, const int64_t* tokens, int64_t count, int64_t head, bool turned,
                   float scale, float* out) {
  const int64_t depth = job.depth;
  for (int64_t r = 0; r < count; ++r) {
    const float* in = job.query + tokens[r] * job.query_row + head * depth;
    float* to = out + r * depth;
    if (turned) Turn(in, job.cosine + tokens[r] * depth / 2, job.sine + tokens[r] * depth / 2, depth, to);
    for (int64_t c = 0; c < depth; ++c) to[c] = scale * (turned ? to[c] : in[c]);
  }
  for (int64_t i = count * depth; i < kTile * depth; ++i) out[i] = 0.0f;
}

// Softmax of one row of scores in parts: raises the greatest score, turns scores into weights, gives their sum times
// `counts` (null: 1) and, in `rescale`, what earlier sums are to be multiplied by.
float Weigh(float* scores, int64_t count, const float* counts, float* greatest, float* rescale) {
  Vec top = Set(*greatest);
  for (int64_t i = 0; i < count; i += kWidth) top = Max(top, Load(scores + i));
  const float before = *greatest;
  *greatest = Greatest(top);
  float ratio[kWidth];
  Store(ratio, Exp(Set(before - *greatest)));
  *rescale = before == kNever ? 0.0f : ratio[0];
  const Vec level = Set(*greatest);
  Vec sum = Set(0.0f);
  for (int64_t i = 0; i < count; i += kWidth) {
    const Vec weight = Exp(Load(scores + i) - level);
    Store(scores + i, weight);
    sum = counts ? MulAdd(weight, Load(counts + i), sum) : sum + weight;
  }
  return Sum(sum);
}

// What queries look at.
struct Target {
  const float* keys;  // (depth, key_step): channels by keys, readable up to the next multiple of kColumns
  int64_t key_step, count;
  const float* values;  // (count rounded up to kWidth, value_step), zeros past the end
  int64_t value_step;
  const float* counts;  // (count rounded up to kWidth), how often each key counts; null: once
};

// Floats of scratch that Attend needs.
int64_t AttendFloats(int64_t depth) { return kRows * (kKeys + kColumns) + kTile * RoundUp(depth, kColumns); }

// Attention of up to kTile queries. `store(row, sums, factor)` gets each result as sums still to be scaled.
template <class StoreRow>
void Attend(const Target& target, const float* queries, int64_t rows, int64_t depth, float* scratch,
            const StoreRow& store) {
  const int64_t step = kKeys + kColumns, width = RoundUp(depth, kColumns);
  float *scores = scratch, *sums = scratch + kRows * step;
  float greatest[kTile], total[kTile], rescale[kRows];
  for (int64_t r = 0; r < kTile; ++r) {
    greatest[r] = kNever;
    total[r] = 0.0f;
  }
  std::memset(sums, 0, static_cast<size_t>(kTile * width) * sizeof(float));
  for (int64_t first = 0; first < target.count; first += kKeys) {
    const int64_t count = LeastOf(kKeys, target.count - first), padded = RoundUp(count, kWidth);
    const float* counts = target.counts ? target.counts + first : nullptr;
    for (int64_t strip = 0; strip < rows; strip += kRows) {
      for (int64_t k = 0; k < count; k += kColumns)
        ProductStrip(depth, RowsLeft{queries + strip * depth, depth}, target.keys + first + k, target.key_step,
                     [&](int r, int column, Vec sum) { Store(scores + r * step + k + column, sum); });
      for (int r = 0; r < kRows; ++r) {
        for (int64_t k = count; k < padded; ++k) scores[r * step + k] = kNever;
        const float sum = Weigh(scores + r * step, padded, counts, &greatest[strip + r], &rescale[r]);
        total[strip + r] = total[strip + r] * rescale[r] + sum;
      }
      for (int64_t c = 0; c < width; c += kColumns)
        ProductStrip(padded, RowsLeft{scores, step}, target.values + first * target.value_step + c, target.value_step,
                     [&](int r, int column, Vec sum) {
                       float* at = sums + (strip + r) * width + c + column;
                       Store(at, MulAdd(Load(at), Set(rescale[r]), sum));
                     });
    }
  }
  for (int64_t r = 0; r < rows; ++r) store(r, sums + r * width, 1.0f / total[r]);
}

// All queries of a list, in strips of kRows.
void AttendAll(const HybridAttention& job, const Target& target, const int64_t* tokens, int64_t count, int64_t head,
               bool turned) {
  float scale[kWidth];
  Store(scale, Set(1.0f) / Sqrt(Set(static_cast<float>(job.depth))));
  const int64_t floats = kTile * job.depth + AttendFloats(job.depth);
  const Buffer scratch(job.threads * floats);
  ParallelFor((count + kTile - 1) / kTile, job.threads, [&](int64_t tile, int worker) {
    float* queries = scratch.data() + worker * floats;
    const int64_t first = tile * kTile, rows = LeastOf(kTile, count - first);
    GatherQueries(job, tokens + first, rows, head, turned, scale[0], queries);
    Attend(target, queries, rows, job.depth, queries + kTile * job.depth,
           [&](int64_t r, const float* sums, float factor) {
             float* out = job.out + (tokens[first + r] * job.heads + head) * job.depth;
             for (int64_t c = 0; c < job.depth; ++c) out[c] = sums[c] * factor;
           });
  });
}

// Turns the keys of one head and lays them out by channel; copies the values with slack.
void FullHead(const HybridAttention& job, int64_t head) {
  const int64_t keys = RoundUp(job.tokens, kColumns) + kColumns, width = RoundUp(job.depth, kColumns);
  const int64_t padded = RoundUp(job.tokens, kWidth);
  const Buffer turned(job.depth * keys), values(padded * width), scratch(job.threads * 4 * job.depth);
  ParallelFor((padded + 63) / 64, job.threads, [&](int64_t block, int worker) {
    float* rows = scratch.data() + worker * 4 * job.depth;
    for (int64_t first = 64 * block; first < LeastOf(64 * (block + 1), padded); first += 4) {
      for (int64_t t = first; t < first + 4; ++t) {
        float *row = rows + (t - first) * job.depth, *value = values.data() + t * width;
        const bool there = t < job.tokens;
        const int64_t token = there ? t : 0;
        Turn(job.key + token * job.key_row + head * job.depth, job.cosine + token * job.depth / 2,
             job.sine + token * job.depth / 2, job.depth, row);
        const float* from = job.value + token * job.value_row + head * job.depth;
        for (int64_t c = 0; c < job.depth; ++c) value[c] = there ? from[c] : 0.0f;
        for (int64_t c = job.depth; c < width; ++c) value[c] = 0.0f;
      }
      for (int64_t c = 0; c < job.depth; ++c)
        for (int64_t t = 0; t < 4; ++t) turned.data()[c * keys + first + t] = rows[t * job.depth + c];
    }
  });
  AttendAll(job, {turned.data(), keys, job.tokens, values.data(), width, nullptr}, job.boundary, job.boundaries, head,
            true);
}

// Sums the values of each code that occurs and lays out the codes' keys by channel.
void CodeHead(const HybridAttention& job, int64_t head) {
  const int64_t width = RoundUp(job.depth, kColumns), keys = RoundUp(job.code_count, kColumns) + kColumns;
  const int64_t rows = RoundUp(job.code_count, kWidth);
  const Buffer slot_memory(job.code_count), sums(rows * width), counts(rows), by_channel(job.depth * keys);
  auto* slot = reinterpret_cast<int32_t*>(slot_memory.data());
  std::memset(slot, 0xff, static_cast<size_t>(job.code_count) * sizeof(int32_t));
  std::memset(sums.data(), 0, static_cast<size_t>(rows * width) * sizeof(float));
  std::memset(counts.data(), 0, static_cast<size_t>(rows) * sizeof(float));
  int64_t present = 0;
  for (int64_t t = 0; t < job.tokens; ++t) {
    int32_t& place = slot[job.codes[t]];
    if (place < 0) {
      place = static_cast<int32_t>(present);
      const float* key = job.code_keys + (job.codes[t] * job.heads + head) * job.depth;
      for (int64_t c = 0; c < job.depth; ++c) by_channel.data()[c * keys + present] = key[c];
      ++present;
    }
    counts.data()[place] += 1.0f;
    float* sum = sums.data() + place * width;
    const float* value = job.value + t * job.value_row + head * job.depth;
    for (int64_t c = 0; c < job.depth; ++c) sum[c] += value[c];
  }
  AttendAll(job, {by_channel.data(), keys, present, sums.data(), width, counts.data()}, job.interior, job.interiors,
            head, false);
}

}  // namespace

void RunHybridAttention(const HybridAttention& job) {
  for (int64_t head = 0; head < job.heads; ++head) {
    if (job.boundaries > 0) FullHead(job, head);
    if (job.interiors > 0) CodeHead(job, head);
  }
}

}  // namespace inter2former::INTER2FORMER_LEVEL
