// How it works. Doubling and convolution are both linear, so the product over the channels can come first, on the
// coarse grid: one product gives, for each of the nine taps, the map that the tap would see before doubling. Doubling
// then is a sum of six cells across and of six down, whose weights are 1/4 and 3/4, and it acts on a quarter of the
// channels. The product is a quarter of that of a convolution on the fine grid, and the doubled map never exists.
//
// A cell row goes through in three steps: product (nine maps of one row), across (per vertical tap the even and the odd
// columns), down (from three such rows two fine rows, to which the term is added). Only the last writes to memory; the
// others stay in the cache, three rows deep. Maps in between have their rows together: [row][channel][column].

#include "upsampling.h"

#include "buffers.h"
#include "levels.h"
#include "product.h"
#include "threads.h"

namespace inter2former::INTER2FORMER_LEVEL {
namespace {

constexpr int64_t kTaps = 3;
constexpr int64_t kBlock = 16;  // channels that go out together: 9 * 16 rows of weights stay in the second-level cache

struct Region {
  int64_t top, bottom, left, right;
  int64_t rows() const { return bottom - top; }
  int64_t columns() const { return right - left; }
};

Region Grown(Region r, int64_t height, int64_t width) {
  return {GreatestOf(r.top - 1, 0), LeastOf(r.bottom + 1, height), GreatestOf(r.left - 1, 0),
          LeastOf(r.right + 1, width)};
}

// A map of some channels over a region of its grid.
struct Map {
  float* data;
  int64_t row, channel;  // steps in floats
  Region held;
};

// Step between the rows that a product reads side by side: with an odd number of cache lines they do not all fall into
// the same few sets of the cache.
int64_t Pitch(int64_t columns) {
  const int64_t lines = (columns + kColumns + 15) / 16;
  return 16 * (lines | 1);
}

Map Placed(float* data, int64_t channels, Region held) {
  const int64_t pitch = Pitch(held.columns());
  return {data, channels * pitch, pitch, held};
}

int64_t Floats(int64_t channels, Region held) { return held.rows() * channels * Pitch(held.columns()) + kColumns; }

// Normalises tokens over their channels and turns them, from channels side by side to columns side by side.
void NormaliseRow(const Upsampling& job, const Map& out, int64_t y, float* scratch) {
  const int64_t channels = job.stages[0].channels_in, columns = out.held.columns();
  float* target = out.data + (y - out.held.top) * out.row;
  for (int64_t first = 0; first < columns; first += 4) {
    for (int64_t x = first; x < first + 4; ++x) {
      float* normal = scratch + (x - first) * channels;
      if (x >= columns) {
        std::memset(normal, 0, static_cast<size_t>(channels) * sizeof(float));
        continue;
      }
      const float* token = job.tokens + y * job.tokens_row + (out.held.left + x) * job.tokens_column;
      Normalise(token, channels, job.epsilon, nullptr, nullptr, normal);
    }
    for (int64_t c = 0; c < channels; c += 4)
      Transpose4(scratch + c, channels, target + c * out.channel + first, out.channel);
  }
}

// The value at fine index `fine` of a doubled line of `count` cells, as weights of two cells; zero beyond the line.
struct Doubled {
  int64_t cell[2];
  float weight[2];
};

Doubled DoubledAt(int64_t fine, int64_t count) {
  const bool inside = fine >= 0 && fine < 2 * count, odd = fine & 1;
  const int64_t before = odd ? (fine - 1) / 2 : fine / 2 - 1;
  const auto held = [&](int64_t cell) { return LeastOf(GreatestOf(cell, 0), count - 1); };
  const float near = inside ? 0.75f : 0.0f, far = inside ? 0.25f : 0.0f;
  return {{held(before), held(before + 1)}, {odd ? near : far, odd ? far : near}};
}

// One stage on its way through the rows.
class Stage {
 public:
  Stage(const UpsamplingStage& stage, int64_t height, int64_t width, const Map& input, Region wanted)
      : stage_(stage), height_(height), width_(width), input_(input), wanted_(wanted) {
    block_ = LeastOf(kBlock, stage.channels_out);
    pitch_ = RoundUp(input.held.columns(), kColumns) + 2 * kColumns;
    rows_ = RoundUp(kTaps * kTaps * block_, kRows);
  }

  int64_t blocks() const { return (stage_.channels_out + block_ - 1) / block_; }
  int64_t packed() const { return rows_ * (stage_.channels_in + 1); }
  int64_t scratch() const { return (rows_ + 3 * kTaps * 2 * block_) * pitch_; }

  // Folds scale and shift into the weights of a block: its strips, then what each row adds.
  void Pack(int64_t block, float* out) const {
    const int64_t depth = stage_.channels_in, taps = kTaps * kTaps;
    float* added = out + rows_ * depth;
    std::memset(out, 0, static_cast<size_t>(packed()) * sizeof(float));
    for (int64_t c = 0; c < LeastOf(block_, stage_.channels_out - block * block_); ++c) {
      const float* weight = stage_.weight + (block * block_ + c) * depth * taps;
      float* strip[kTaps * kTaps];
      float sum[kTaps * kTaps] = {};
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t row = t * block_ + c;
        strip[t] = out + row / kRows * kRows * depth + row % kRows;
      }
      for (int64_t t = 0; t < taps; ++t)
        for (int64_t k = 0; k < depth; ++k) {
          const float value = *weight++;
          strip[t][k * kRows] = value * stage_.scale[k];
          sum[t] += value * stage_.shift[k];
        }
      for (int64_t t = 0; t < taps; ++t) added[t * block_ + c] = sum[t];
    }
  }

  // Computes the fine pixels of cell rows [first, last) and one block of channels.
  void Run(int64_t block, int64_t first, int64_t last, const float* packed, float* scratch, const Map& out) const {
    int64_t next = GreatestOf(first - 1, 0);
    for (int64_t y = first; y < last; ++y) {
      for (; next <= LeastOf(y + 1, height_ - 1); ++next) {
        Product(next, packed, scratch);
        Across(scratch, AcrossRow(scratch, next));
      }
      for (int64_t fine = 2 * y; fine < 2 * y + 2; ++fine) Down(block, fine, scratch, out);
    }
  }

 private:
  float* AcrossRow(float* scratch, int64_t y) const { return scratch + (rows_ + y % 3 * kTaps * 2 * block_) * pitch_; }

  // Nine maps of cell row y: row `tap * block_ + channel` of the scratch, columns from kColumns on.
  void Product(int64_t y, const float* packed, float* scratch) const {
    const float* right = input_.data + (y - input_.held.top) * input_.row;
    const float* added = packed + rows_ * stage_.channels_in;
    for (int64_t x = 0; x < input_.held.columns(); x += kColumns)
      for (int64_t row = 0; row < rows_; row += kRows) {
        float* out = scratch + row * pitch_ + kColumns + x;
        ProductStrip(stage_.channels_in, PackedLeft{packed + row * stage_.channels_in}, right + x, input_.channel,
                     [&](int r, int column, Vec sum) { Store(out + r * pitch_ + column, sum + Set(added[row + r])); });
      }
  }

  // Sums the three horizontal taps of each vertical one: even columns, then odd ones, for each channel.
  void Across(const float* scratch, float* out) const {
    const int64_t begin = wanted_.left - input_.held.left, count = wanted_.columns();
    const Vec near = Set(0.75f), far = Set(0.25f);
    for (int64_t down = 0; down < kTaps; ++down)
      for (int64_t channel = 0; channel < block_; ++channel) {
        const float* tap[kTaps];
        for (int64_t t = 0; t < kTaps; ++t)
          tap[t] = scratch + ((down * kTaps + t) * block_ + channel) * pitch_ + kColumns;
        float* even = out + (down * block_ + channel) * 2 * pitch_;
        float* odd = even + pitch_;
        for (int64_t x = 0; x < count; x += kWidth) {
          const float *left = tap[0] + begin + x, *middle = tap[1] + begin + x, *right = tap[2] + begin + x;
          const Vec l0 = Load(left - 1), l1 = Load(left), m0 = Load(middle - 1), m1 = Load(middle);
          const Vec m2 = Load(middle + 1), r1 = Load(right), r2 = Load(right + 1);
          Store(even + x, MulAdd(near, l0 + m1 + r1, far * (l1 + m0 + r2)));
          Store(odd + x, MulAdd(near, l1 + m1 + r2, far * (l0 + m2 + r1)));
        }
        if (wanted_.left == 0) BorderCell(tap, 0, even, odd);
        if (wanted_.right == width_) BorderCell(tap, width_ - 1, even, odd);
      }
  }

  // The first or last cell of the grid, where a tap may lie beyond the border.
  void BorderCell(const float* const* tap, int64_t cell, float* even, float* odd) const {
    for (int64_t side = 0; side < 2; ++side) {
      float sum = 0.0f;
      for (int64_t t = 0; t < kTaps; ++t) {
        const Doubled d = DoubledAt(2 * cell + side + t - 1, width_);
        for (int i = 0; i < 2; ++i) {
          if (d.weight[i] != 0.0f) sum += d.weight[i] * tap[t][d.cell[i] - input_.held.left];
        }
      }
      (side ? odd : even)[cell - wanted_.left] = sum;
    }
  }

  // One fine row: the three vertical taps, the term and the activation.
  void Down(int64_t block, int64_t fine, float* scratch, const Map& out) const {
    const float* source[2 * kTaps];
    Vec weight[2 * kTaps];
    for (int64_t t = 0; t < kTaps; ++t) {
      const Doubled d = DoubledAt(fine + t - 1, height_);
      for (int i = 0; i < 2; ++i) {
        // Beyond the border the weight is zero, but the row may hold anything: any row that is there will do.
        const int64_t row = d.weight[i] != 0.0f ? d.cell[i] : fine / 2;
        source[2 * t + i] = AcrossRow(scratch, row) + t * block_ * 2 * pitch_;
        weight[2 * t + i] = Set(d.weight[i]);
      }
    }
    const int64_t channels = LeastOf(block_, stage_.channels_out - block * block_);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t channel = block * block_ + c;
      const float* term = stage_.term + fine * stage_.term_row + channel * stage_.term_channel + 2 * wanted_.left;
      float* target = out.data + (fine - 2 * wanted_.top) * out.row + channel * out.channel;
      const int64_t offset = c * 2 * pitch_, count = wanted_.columns();
      for (int64_t x = 0; x < count; x += kWidth) {
        Vec even = Set(0.0f), odd = Set(0.0f);
        I2F_UNROLL
        for (int i = 0; i < 2 * kTaps; ++i) {
          even = MulAdd(weight[i], Load(source[i] + offset + x), even);
          odd = MulAdd(weight[i], Load(source[i] + offset + pitch_ + x), odd);
        }
        Vec low, high;
        Interleave(even, odd, &low, &high);
        Finish(target + 2 * x, term + 2 * x, low, 2 * (count - x));
        Finish(target + 2 * x + kWidth, term + 2 * x + kWidth, high, 2 * (count - x) - kWidth);
      }
    }
  }

  // Adds the term to the first `left` lanes, activates and stores them.
  void Finish(float* target, const float* term, Vec value, int64_t left) const {
    if (left <= 0) return;
    value = value + LoadUpTo(term, left);
    StoreUpTo(target, activate() ? Silu(value) : value, left);
  }

  bool activate() const { return stage_.channels_out > 1; }

  UpsamplingStage stage_;
  int64_t height_, width_;  // of the grid that comes in
  Map input_;
  Region wanted_;  // its cells whose fine pixels are computed
  int64_t block_, pitch_, rows_;
};

void RunStage(const Stage& stage, Region wanted, int threads, const Map& out) {
  const int64_t blocks = stage.blocks(), rows = wanted.rows();
  const Buffer packed(blocks * stage.packed()), scratch(threads * stage.scratch());
  // Each piece computes two rows more than it gives; three pieces per thread even out what else the machine does.
  const int64_t pieces = GreatestOf(1, LeastOf(rows / 8, (3 * threads + blocks - 1) / blocks));
  const int64_t height = (rows + pieces - 1) / pieces;
  ParallelFor(blocks, threads, [&](int64_t block, int) { stage.Pack(block, packed.data() + block * stage.packed()); });
  ParallelFor(blocks * pieces, threads, [&](int64_t index, int worker) {
    const int64_t block = index % blocks, first = wanted.top + index / blocks * height;
    stage.Run(block, first, LeastOf(first + height, wanted.bottom), packed.data() + block * stage.packed(),
              scratch.data() + worker * stage.scratch(), out);
  });
}

}  // namespace

void Upsample(const Upsampling& job) {
  // From the box back: the cells whose fine pixels each stage computes, and the tokens that the first one reads.
  Region wanted[kUpsamplingStages];
  Region cells = {8 * job.top, 8 * job.bottom, 8 * job.left, 8 * job.right};
  for (int s = kUpsamplingStages - 1; s >= 0; --s) {
    wanted[s] = cells;
    const Region read = Grown(cells, job.height << s, job.width << s);
    cells = {read.top >> 1, (read.bottom + 1) >> 1, read.left >> 1, (read.right + 1) >> 1};
  }
  const Region held = Grown(wanted[0], job.height, job.width);
  const int64_t channels = job.stages[0].channels_in;
  const Buffer tokens(Floats(channels, held)), scratch(job.threads * 4 * channels);
  Map input = Placed(tokens.data(), channels, held);
  ParallelFor(held.rows(), job.threads, [&](int64_t row, int worker) {
    NormaliseRow(job, input, held.top + row, scratch.data() + worker * 4 * channels);
  });
  int64_t most = 0;
  for (int s = 0; s + 1 < kUpsamplingStages; ++s) {
    const Region fine = {2 * wanted[s].top, 2 * wanted[s].bottom, 2 * wanted[s].left, 2 * wanted[s].right};
    most = GreatestOf(most, Floats(job.stages[s].channels_out, fine));
  }
  const Buffer maps[2] = {Buffer(most), Buffer(most)};
  for (int s = 0; s < kUpsamplingStages; ++s) {
    const Region fine = {2 * wanted[s].top, 2 * wanted[s].bottom, 2 * wanted[s].left, 2 * wanted[s].right};
    Map out = Placed(maps[s % 2].data(), job.stages[s].channels_out, fine);
    if (s == kUpsamplingStages - 1) out = {job.logits, fine.columns(), 0, fine};
    RunStage(Stage(job.stages[s], job.height << s, job.width << s, input, wanted[s]), wanted[s], job.threads, out);
    input = out;
  }
}

}  // namespace inter2former::INTER2FORMER_LEVEL
