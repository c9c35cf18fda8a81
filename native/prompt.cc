// The embedding is a stack of convolutions over a map of five states, and most of the map is uniform. At every depth a
// cell that sees one state only has one of five vectors, computed once. The other cells, those along contours, are
// computed one by one: their nine inputs are gathered side by side, and many such rows are one product. The first
// convolution is not even that: a sum of three table rows, each standing for three pixels.

#include "prompt.h"

#include "buffers.h"
#include "levels.h"
#include "product.h"
#include "threads.h"

namespace inter2former::INTER2FORMER_LEVEL {
namespace {

constexpr int64_t kTaps = 9;
constexpr int64_t kTile = 4 * kRows;

int64_t Bytes(int64_t count) { return (count + 3) / 4; }  // in floats

// Least and greatest state that each cell of a level sees; where they differ, the cell is mixed. From the second level
// on mixed cells are numbered and have values of their own.
struct Level {
  int64_t height, width, channels;
  uint8_t *least, *greatest;
  int32_t* number;
  int64_t mixed;
  int32_t* cells;        // (mixed) y * width + x
  const float* uniform;  // (kStates, channels)
  const float* values;   // (mixed, channels)
};

// Loops over bytes that a compiler turns into vectors, because nothing overlaps.

void LeastOfThree(const uint8_t* a, const uint8_t* b, const uint8_t* c, int64_t count, uint8_t* I2F_RESTRICT out) {
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t ab = a[i] < b[i] ? a[i] : b[i];
    out[i] = ab < c[i] ? ab : c[i];
  }
}

void GreatestOfThree(const uint8_t* a, const uint8_t* b, const uint8_t* c, int64_t count, uint8_t* I2F_RESTRICT out) {
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t ab = a[i] > b[i] ? a[i] : b[i];
    out[i] = ab > c[i] ? ab : c[i];
  }
}

void LeastOfNeighbours(const uint8_t* row, int64_t count, uint8_t* I2F_RESTRICT out) {
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t left = row[2 * i - 1], own = row[2 * i], right = row[2 * i + 1];
    const uint8_t least = left < own ? left : own;
    out[i] = least < right ? least : right;
  }
}

void GreatestOfNeighbours(const uint8_t* row, int64_t count, uint8_t* I2F_RESTRICT out) {
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t left = row[2 * i - 1], own = row[2 * i], right = row[2 * i + 1];
    const uint8_t greatest = left > own ? left : own;
    out[i] = greatest > right ? greatest : right;
  }
}

void Lower(const uint8_t* row, int64_t count, uint8_t* I2F_RESTRICT least) {
  for (int64_t i = 0; i < count; ++i) least[i] = row[i] < least[i] ? row[i] : least[i];
}

void Raise(const uint8_t* row, int64_t count, uint8_t* I2F_RESTRICT greatest) {
  for (int64_t i = 0; i < count; ++i) greatest[i] = row[i] > greatest[i] ? row[i] : greatest[i];
}

void MarkEqual(const uint8_t* row, int64_t count, uint8_t state, uint8_t* I2F_RESTRICT marks) {
  for (int64_t i = 0; i < count; ++i) marks[i] = row[i] == state ? 1 : marks[i];
}

// Fills least and greatest of a level from those of the finer one (or from the map itself).
void Reduce(const uint8_t* least, const uint8_t* greatest, int64_t row, int background, const Level& out, int threads) {
  const int64_t finer = 2 * out.width;
  const Buffer memory(threads * Bytes(3 * finer + 96));
  constexpr int64_t kRowsAtOnce = 16;
  ParallelFor((out.height + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&](int64_t task, int worker) {
    auto* scratch = reinterpret_cast<uint8_t*>(memory.data() + worker * Bytes(3 * finer + 96));
    uint8_t *border = scratch, *row_least = scratch + finer + 32, *row_greatest = scratch + 2 * finer + 64;
    std::memset(border, background, static_cast<size_t>(finer));
    for (int64_t y = task * kRowsAtOnce; y < LeastOf((task + 1) * kRowsAtOnce, out.height); ++y) {
      const auto at = [&](const uint8_t* map, int64_t fine) { return fine < 0 ? border : map + fine * row; };
      LeastOfThree(at(least, 2 * y - 1), at(least, 2 * y), at(least, 2 * y + 1), finer, row_least);
      GreatestOfThree(at(greatest, 2 * y - 1), at(greatest, 2 * y), at(greatest, 2 * y + 1), finer, row_greatest);
      row_least[-1] = row_greatest[-1] = static_cast<uint8_t>(background);
      LeastOfNeighbours(row_least, out.width, out.least + y * out.width);
      GreatestOfNeighbours(row_greatest, out.width, out.greatest + y * out.width);
    }
  });
}

// Numbers the mixed cells of a level in row-major order.
int64_t Number(const Level& level) {
  int32_t count = 0;
  for (int64_t i = 0; i < level.height * level.width; ++i) {
    level.number[i] = count;
    level.cells[count] = static_cast<int32_t>(i);  // overwritten by the next unless this one is mixed
    count += level.least[i] != level.greatest[i];
  }
  return count;
}

// The first convolution: rows[down][three states][channel], bias included in the first row's.
void FirstTable(const PromptEmbedding& job, float* rows) {
  const PromptLayer& layer = job.layer[0];
  const int64_t channels = layer.channels_out, depth = job.embedding_channels;
  for (int64_t c = 0; c < channels; ++c) {
    float tap[kTaps][kStates];
    for (int64_t t = 0; t < kTaps; ++t)
      for (int s = 0; s < kStates; ++s) {
        float sum = 0.0f;
        for (int64_t k = 0; k < depth; ++k)
          sum += layer.weight[(c * kTaps + t) * depth + k] * job.embeddings[s * depth + k];
        tap[t][s] = sum;
      }
    for (int down = 0; down < 3; ++down)
      for (int three = 0; three < kStates * kStates * kStates; ++three)
        rows[(down * 125 + three) * channels + c] = (down ? 0.0f : layer.bias[c]) + tap[3 * down][three / 25] +
                                                    tap[3 * down + 1][three / 5 % 5] + tap[3 * down + 2][three % 5];
  }
}

// A value of the first level at cell (y, x), from the table; three rows of pixels.
void FirstValue(const PromptEmbedding& job, const float* rows, int64_t y, int64_t x, float* out) {
  const int64_t channels = job.layer[0].channels_out;
  const float* row[3];
  for (int64_t down = 0; down < 3; ++down) {
    const int64_t v = 2 * y + down - 1;
    const auto state = [&](int64_t u) { return v < 0 || u < 0 ? job.background : job.states[v * job.states_row + u]; };
    const int three = 25 * state(2 * x - 1) + 5 * state(2 * x) + state(2 * x + 1);
    row[down] = rows + (down * 125 + three) * channels;
  }
  for (int64_t c = 0; c < channels; c += kWidth) {
    const int64_t left = channels - c;
    const Vec sum = LoadUpTo(row[0] + c, left) + LoadUpTo(row[1] + c, left) + LoadUpTo(row[2] + c, left);
    StoreUpTo(out + c, Max(sum, Set(0.0f)), left);
  }
}

// What a layer makes of a uniform input of each state, one panel of channels.
void UniformPanel(const PromptLayer& layer, int64_t panel, const float* packed, const Level& finer, float* out) {
  Vec sum[kStates][kVecs];
  for (int s = 0; s < kStates; ++s)
    for (int v = 0; v < kVecs; ++v) sum[s][v] = Set(0.0f);
  for (int64_t t = 0; t < kTaps; ++t)
    for (int64_t k = 0; k < finer.channels; ++k, packed += kColumns)
      for (int v = 0; v < kVecs; ++v) {
        const Vec weight = Load(packed + v * kWidth);
        for (int s = 0; s < kStates; ++s)
          sum[s][v] = MulAdd(weight, Set(finer.uniform[s * finer.channels + k]), sum[s][v]);
      }
  for (int s = 0; s < kStates; ++s)
    for (int v = 0; v < kVecs; ++v) {
      const int64_t at = panel * kColumns + v * kWidth, left = layer.channels_out - at;
      if (left <= 0) break;
      StoreUpTo(out + s * layer.channels_out + at, Max(sum[s][v] + LoadUpTo(layer.bias + at, left), Set(0.0f)), left);
    }
}

// The nine inputs of a cell side by side.
void Gather(const PromptEmbedding& job, const Level& finer, const float* table, int64_t y, int64_t x, float* out) {
  for (int64_t t = 0; t < kTaps; ++t, out += finer.channels) {
    const int64_t v = 2 * y + t / 3 - 1, u = 2 * x + t % 3 - 1;
    const float* from;
    if (v < 0 || u < 0) {
      from = finer.uniform + job.background * finer.channels;
    } else {
      const int64_t cell = v * finer.width + u;
      if (finer.least[cell] == finer.greatest[cell]) {
        from = finer.uniform + finer.least[cell] * finer.channels;
      } else if (table != nullptr) {
        FirstValue(job, table, v, u, out);
        continue;
      } else {
        from = finer.values + finer.number[cell] * finer.channels;
      }
    }
    std::memcpy(out, from, static_cast<size_t>(finer.channels) * sizeof(float));
  }
}

// Computes the mixed cells of a level whose number lies in a tile.
void ConvolveTile(const PromptEmbedding& job, const Level& finer, const Level& level, const PromptLayer& layer,
                  const float* table, const float* packed, int64_t tile, float* rows, float* out) {
  const int64_t depth = kTaps * finer.channels, first = tile * kTile, count = LeastOf(kTile, level.mixed - first);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t cell = level.cells[first + r];
    Gather(job, finer, table, cell / level.width, cell % level.width, rows + r * depth);
  }
  for (int64_t c = 0; c < layer.channels_out; c += kColumns)
    for (int64_t strip = 0; strip < count; strip += kRows)
      ProductStrip(depth, RowsLeft{rows + strip * depth, depth}, packed + c * depth, kColumns,
                   [&](int r, int column, Vec sum) {
                     const int64_t at = c + column, left = layer.channels_out - at;
                     if (strip + r >= count || left <= 0) return;
                     sum = Max(sum + LoadUpTo(layer.bias + at, left), Set(0.0f));
                     StoreUpTo(out + (first + strip + r) * layer.channels_out + at, sum, left);
                   });
}

// Adds the embeddings to the tokens of one row.
void AddRow(const PromptEmbedding& job, const Level& level, int64_t y) {
  for (int64_t x = 0; x < level.width; ++x) {
    const int64_t cell = y * level.width + x;
    const float* token = job.tokens ? job.tokens + y * job.tokens_row + x * level.channels : nullptr;
    const bool mixed = level.least[cell] != level.greatest[cell];
    const float* from =
        mixed ? level.values + level.number[cell] * level.channels : level.uniform + level.least[cell] * level.channels;
    for (int64_t c = 0; c < level.channels; c += kWidth) {
      const int64_t left = level.channels - c;
      const Vec value = LoadUpTo(from + c, left);
      StoreUpTo(job.out + cell * level.channels + c, token ? LoadUpTo(token + c, left) + value : value, left);
    }
  }
}

}  // namespace

bool EmbedPrompt(const PromptEmbedding& job) {
  Level levels[kPromptLayersMax + 1] = {};
  int64_t cells = 0, floats = 0;
  for (int l = 1; l <= job.layers; ++l) {
    levels[l].height = job.height >> l;
    levels[l].width = job.width >> l;
    levels[l].channels = job.layer[l - 1].channels_out;
    const int64_t size = levels[l].height * levels[l].width + 1;
    cells += size;
    if (l > 1) floats += (kStates + size) * levels[l].channels;
  }
  const Buffer bytes(Bytes(2 * cells)), numbers(2 * cells), values(floats);
  auto* byte = reinterpret_cast<uint8_t*>(bytes.data());
  auto* number = reinterpret_cast<int32_t*>(numbers.data());
  for (int l = 1; l <= job.layers; ++l) {
    Level& level = levels[l];
    const int64_t size = level.height * level.width + 1;
    level.least = byte;
    level.greatest = byte + size;
    level.number = number;
    level.cells = number + size;
    byte += 2 * size;
    number += 2 * size;
    if (l == 1)
      Reduce(job.states, job.states, job.states_row, job.background, level, job.threads);
    else
      Reduce(levels[l - 1].least, levels[l - 1].greatest, levels[l - 1].width, job.background, level, job.threads);
  }
  // Every pixel is in some token's window.
  const Level& last = levels[job.layers];
  for (int64_t i = 0; i < last.height * last.width; ++i) {
    if (last.greatest[i] >= kStates) return false;
  }

  const int64_t first_channels = levels[1].channels;
  const Buffer table(3 * 125 * first_channels), first_uniform(kStates * first_channels);
  FirstTable(job, table.data());
  for (int s = 0; s < kStates; ++s)
    for (int64_t c = 0; c < first_channels; ++c) {
      float sum = 0.0f;
      for (int down = 0; down < 3; ++down) sum += table.data()[(down * 125 + 31 * s) * first_channels + c];
      first_uniform.data()[s * first_channels + c] = sum > 0.0f ? sum : 0.0f;
    }
  levels[1].uniform = first_uniform.data();
  float* value = values.data();
  for (int l = 2; l <= job.layers; ++l) {
    const PromptLayer& layer = job.layer[l - 1];
    const Level& finer = levels[l - 1];
    Level& level = levels[l];
    level.mixed = Number(level);
    const int64_t depth = kTaps * finer.channels, panels = (layer.channels_out + kColumns - 1) / kColumns;
    const Buffer packed(PackedRight(depth, layer.channels_out)), rows(job.threads * kTile * depth);
    level.uniform = value;
    ParallelFor(panels, job.threads, [&](int64_t panel, int) {
      float* out = packed.data() + panel * depth * kColumns;
      PackRightPanel(layer.weight, depth, layer.channels_out, panel, out);
      UniformPanel(layer, panel, out, finer, value);
    });
    value += kStates * level.channels;
    ParallelFor((level.mixed + kTile - 1) / kTile, job.threads, [&](int64_t tile, int worker) {
      ConvolveTile(job, finer, level, layer, l == 2 ? table.data() : nullptr, packed.data(), tile,
                   rows.data() + worker * kTile * depth, value);
    });
    level.values = value;
    value += level.mixed * level.channels;
  }
  ParallelFor(last.height, job.threads, [&](int64_t y, int) { AddRow(job, last, y); });
  return true;
}

void MarkBoundaryTokens(const BoundaryTokens& job) {
  const int64_t columns = job.width / job.stride;
  const Buffer memory(job.threads * Bytes(3 * job.width));
  ParallelFor(job.height / job.stride, job.threads, [&](int64_t token_row, int worker) {
    auto* least = reinterpret_cast<uint8_t*>(memory.data() + worker * Bytes(3 * job.width));
    uint8_t *greatest = least + job.width, *unknown = greatest + job.width;
    std::memset(least, 255, static_cast<size_t>(job.width));
    std::memset(greatest, 0, static_cast<size_t>(2 * job.width));
    const int64_t top = token_row * job.stride, bottom = top + job.stride;
    for (int64_t y = GreatestOf(top - job.reach, 0); y < LeastOf(bottom + job.reach, job.height); ++y) {
      const uint8_t* row = job.states + y * job.states_row;
      Lower(row, job.width, least);
      Raise(row, job.width, greatest);
      if (y >= top && y < bottom) MarkEqual(row, job.width, static_cast<uint8_t>(job.unknown), unknown);
    }
    for (int64_t token = 0; token < columns; ++token) {
      const int64_t left = token * job.stride, right = left + job.stride;
      uint8_t low = 255, high = 0, open = 0;
      for (int64_t x = GreatestOf(left - job.reach, 0); x < LeastOf(right + job.reach, job.width); ++x) {
        low = least[x] < low ? least[x] : low;
        high = greatest[x] > high ? greatest[x] : high;
      }
      for (int64_t x = left; x < right; ++x) open |= unknown[x];
      job.marks[token_row * columns + token] = open || low != high;
    }
  });
}

void FindTokens(const TokensWith& job) {
  const int64_t columns = job.width / job.stride;
  const Buffer memory(job.threads * Bytes(job.width));
  ParallelFor(job.height / job.stride, job.threads, [&](int64_t token_row, int worker) {
    auto* found = reinterpret_cast<uint8_t*>(memory.data() + worker * Bytes(job.width));
    std::memset(found, 0, static_cast<size_t>(job.width));
    for (int64_t y = token_row * job.stride; y < (token_row + 1) * job.stride; ++y)
      for (uint8_t state = 0; state < kStates; ++state)
        if (job.sought >> state & 1) MarkEqual(job.states + y * job.states_row, job.width, state, found);
    for (int64_t token = 0; token < columns; ++token) {
      uint8_t any = 0;
      for (int64_t x = token * job.stride; x < (token + 1) * job.stride; ++x) any |= found[x];
      job.marks[token_row * columns + token] = any;
    }
  });
}

}  // namespace inter2former::INTER2FORMER_LEVEL
