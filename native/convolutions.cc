// Each map is a source of rows: asked for row y, it makes all rows up to it from rows of its own source. A strip of the
// image asks its outputs for their rows in turn; everything in between lives in rings of a few rows. Where a strip
// starts, each map starts as many rows further up as its readers need.

#include "convolutions.h"

#include "buffers.h"
#include "levels.h"
#include "product.h"
#include "threads.h"

namespace inter2former::INTER2FORMER_LEVEL {
namespace {

constexpr int64_t kMargin = 16;  // zeros left of a row; there are as many right of it at least
constexpr int kStripRows = 4;    // channels that go out together: most maps here have 4 or 16
constexpr int kStripVecs = kWidth == 16 ? 6 : 3;
constexpr int64_t kBlock = kStripVecs * kWidth;

// What the readers of a map need of it.
struct Needs {
  bool plain, activated, halves;  // as it is, after SiLU, and (either) even and odd columns apart
  int64_t held;                   // rows
};

// A product over rows behind pointers: `rows[k] + x` is where row k of the right factor starts.
template <int kOut, int kWide, class StoreSum>
I2F_INLINE void RowsProduct(int64_t depth, const float* left, const float* const* rows, int64_t x,
                            const StoreSum& store) {
  Vec sum[kOut][kWide];
  I2F_UNROLL
  for (int r = 0; r < kOut; ++r) I2F_UNROLL
  for (int c = 0; c < kWide; ++c) sum[r][c] = Set(0.0f);
  for (int64_t k = 0; k < depth; ++k) {
    const float* row = rows[k] + x;
    Vec column[kWide];
    I2F_UNROLL
    for (int c = 0; c < kWide; ++c) column[c] = Load(row + c * kWidth);
    I2F_UNROLL
    for (int r = 0; r < kOut; ++r) {
      const Vec weight = Set(left[k * kOut + r]);
      I2F_UNROLL
      for (int c = 0; c < kWide; ++c) sum[r][c] = MulAdd(weight, column[c], sum[r][c]);
    }
  }
  I2F_UNROLL
  for (int r = 0; r < kOut; ++r) I2F_UNROLL
  for (int c = 0; c < kWide; ++c) store(r, c * kWidth, sum[r][c]);
}

int StripRows(const ConvolutionNode& node) { return node.channels == 1 ? 1 : kStripRows; }

int64_t Channels(const ConvolutionNode& node) { return node.channels + (node.data && node.ones); }

int64_t Depth(const ConvolutionNet& net, const ConvolutionNode& node) {
  return node.kernel * node.kernel * Channels(net.nodes[node.source]);
}

int64_t PackedFloats(const ConvolutionNet& net, const ConvolutionNode& node) {
  return node.data ? 0 : RoundUp(node.channels, StripRows(node)) * Depth(net, node);
}

void PackNode(const ConvolutionNet& net, const ConvolutionNode& node, float* out) {
  const int64_t depth = Depth(net, node), rows = StripRows(node);
  for (int64_t strip = 0; strip < node.channels; strip += rows)
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t r = strip; r < strip + rows; ++r) *out++ = r < node.channels ? node.weight[r * depth + k] : 0.0f;
}

int64_t Pitch(int64_t width) {
  const int64_t lines = (kMargin + RoundUp(width, kBlock) + kMargin + 15) / 16;
  return 16 * (lines | 1);  // odd: channels do not all fall into the same sets of the cache
}

// Floats of a row of a map in all its forms.
int64_t RowFloats(const ConvolutionNode& node, const Needs& needs) {
  const int64_t forms = needs.plain + needs.activated;
  return Channels(node) * (forms * Pitch(node.width) + (needs.halves ? 2 * Pitch((node.width + 1) / 2) : 0));
}

void FindNeeds(const ConvolutionNet& net, Needs* needs) {
  int readers[kNodesMax] = {};
  for (int n = 0; n < net.count; ++n) needs[n] = {};
  for (int n = 0; n < net.count; ++n) {
    const ConvolutionNode& node = net.nodes[n];
    if (node.data) continue;
    Needs& source = needs[node.source];
    (node.stride == 2 ? source.halves : node.activate ? source.activated : source.plain) = true;
    ++readers[node.source];
    if (node.residual >= 0) {
      needs[node.residual].plain = true;
      ++readers[node.residual];
    }
  }
  // One reader needs three rows; several may be some rows apart.
  for (int n = 0; n < net.count; ++n) needs[n].held = readers[n] > 1 ? 8 : 4;
}

// The rings of one strip.
class Strip {
 public:
  Strip(const ConvolutionNet& net, const Needs* needs, const float* const* packed, float* scratch)
      : net_(net), needs_(needs), packed_(packed) {
    zeros_ = scratch + kMargin;
    int64_t widest = 0;
    for (int n = 0; n < net.count; ++n) widest = GreatestOf(widest, Pitch(net.nodes[n].width));
    scratch += widest;
    for (int n = 0; n < net.count; ++n) {
      ring_[n] = scratch;
      scratch += needs[n].held * RowFloats(net.nodes[n], needs[n]);
    }
    rows_ = reinterpret_cast<const float**>(scratch);
  }

  static int64_t Floats(const ConvolutionNet& net, const Needs* needs) {
    int64_t floats = 0, widest = 0, deepest = 0;
    for (int n = 0; n < net.count; ++n) {
      floats += needs[n].held * RowFloats(net.nodes[n], needs[n]);
      widest = GreatestOf(widest, Pitch(net.nodes[n].width));
      if (!net.nodes[n].data) deepest = GreatestOf(deepest, Depth(net, net.nodes[n]));
    }
    return floats + widest + RoundUp(2 * deepest, 16);
  }

  // Makes the rows [top, bottom) of every output, counted in rows of the first node.
  void Run(int64_t top, int64_t bottom) {
    const int64_t height = net_.nodes[0].height;
    for (int n = net_.count - 1; n >= 0; --n) {
      const int64_t shrink = height / net_.nodes[n].height;
      next_[n] = net_.nodes[n].output ? top / shrink : net_.nodes[n].height;
    }
    for (int n = net_.count - 1; n >= 0; --n) {
      const ConvolutionNode& node = net_.nodes[n];
      if (node.data) continue;
      const int64_t first = GreatestOf(next_[n] * node.stride - node.kernel / 2, 0);
      next_[node.source] = LeastOf(next_[node.source], first);
      if (node.residual >= 0) next_[node.residual] = LeastOf(next_[node.residual], next_[n]);
    }
    for (int64_t y = top; y < bottom; ++y)
      for (int n = 0; n < net_.count; ++n) {
        const int64_t shrink = height / net_.nodes[n].height;
        if (net_.nodes[n].output && y % shrink == 0) Require(n, y / shrink);
      }
  }

 private:
  void Require(int n, int64_t y) {
    for (; next_[n] <= y; ++next_[n]) {
      if (net_.nodes[n].data)
        Read(n, next_[n]);
      else
        Convolve(n, next_[n]);
    }
  }

  // Start of a channel's row in one of the forms that are kept of it.
  float* Plain(int n, int64_t y, int64_t channel) const {
    const ConvolutionNode& node = net_.nodes[n];
    return Slot(n, y) + channel * Pitch(node.width) + kMargin;
  }
  float* Activated(int n, int64_t y, int64_t channel) const {
    const ConvolutionNode& node = net_.nodes[n];
    const int64_t before = needs_[n].plain ? Channels(node) : 0;
    return Slot(n, y) + (before + channel) * Pitch(node.width) + kMargin;
  }
  float* Half(int n, int64_t y, int64_t channel, int64_t odd) const {
    const ConvolutionNode& node = net_.nodes[n];
    const int64_t before = Channels(node) * (needs_[n].plain + needs_[n].activated) * Pitch(node.width);
    return Slot(n, y) + before + (2 * channel + odd) * Pitch((node.width + 1) / 2) + kMargin;
  }
  float* Slot(int n, int64_t y) const { return ring_[n] + y % needs_[n].held * RowFloats(net_.nodes[n], needs_[n]); }

  // Takes over a row of a given map.
  void Read(int n, int64_t y) {
    const ConvolutionNode& node = net_.nodes[n];
    const float* in = node.data + y * node.row_step;
    const int64_t pitch = Pitch(node.width);
    float* out = Plain(n, y, 0);
    if (node.column_step == 1) {
      for (int64_t c = 0; c < node.channels; ++c)
        std::memcpy(out + c * pitch, in + c * node.channel_step, static_cast<size_t>(node.width) * sizeof(float));
    } else if (node.channel_step == 1 && node.channels % 4 == 0 && node.width % 4 == 0) {
      for (int64_t x = 0; x < node.width; x += 4)
        for (int64_t c = 0; c < node.channels; c += 4)
          Transpose4(in + x * node.column_step + c, node.column_step, out + c * pitch + x, pitch);
    } else {
      for (int64_t c = 0; c < node.channels; ++c)
        for (int64_t x = 0; x < node.width; ++x) out[c * pitch + x] = in[c * node.channel_step + x * node.column_step];
    }
    if (node.ones) {
      for (int64_t x = 0; x < node.width; ++x) out[node.channels * pitch + x] = 1.0f;
    }
    Finish(n, y, out, pitch);
  }

  // Brings a finished plain row into the other forms, and all of them to an end with zeros.
  void Finish(int n, int64_t y, const float* row, int64_t pitch) {
    const ConvolutionNode& node = net_.nodes[n];
    const Needs& needs = needs_[n];
    for (int64_t c = 0; c < Channels(node); ++c) {
      const float* in = row + c * pitch;
      if (needs.plain) End(Plain(n, y, c), node.width);
      if (needs.activated) {
        float* out = Activated(n, y, c);
        for (int64_t x = 0; x < node.width; x += kWidth) Store(out + x, Silu(Load(in + x)));
        End(out, node.width);
      }
      if (needs.halves) {
        float *even = Half(n, y, c, 0), *odd = Half(n, y, c, 1);
        for (int64_t x = 0; x < node.width; x += 2 * kWidth) {
          Vec e, o;
          Deinterleave(Load(in + x), Load(in + x + kWidth), &e, &o);
          Store(even + x / 2, e);
          Store(odd + x / 2, o);
        }
        End(even, (node.width + 1) / 2);
        End(odd, node.width / 2);
      }
    }
  }

  static void End(float* row, int64_t width) {
    std::memset(row - kMargin, 0, kMargin * sizeof(float));
    std::memset(row + width, 0, kMargin * sizeof(float));
  }

  // Where the rows are that a convolution sums over, tap by tap, channel by channel.
  void FindRows(const ConvolutionNode& node, int64_t y) {
    const ConvolutionNode& source = net_.nodes[node.source];
    const int64_t reach = node.kernel / 2;
    Require(node.source, LeastOf(y * node.stride + reach, source.height - 1));
    const float** out = rows_;
    for (int64_t down = -reach; down <= reach; ++down)
      for (int64_t right = -reach; right <= reach; ++right)
        for (int64_t c = 0; c < Channels(source); ++c) {
          const int64_t v = y * node.stride + down;
          if (v < 0 || v >= source.height)
            *out++ = zeros_;
          else if (node.stride == 2)
            *out++ = Half(node.source, v, c, right & 1) + (right < 0 ? -1 : 0);
          else
            *out++ = (node.activate ? Activated(node.source, v, c) : Plain(node.source, v, c)) + right;
        }
  }

  void Convolve(int n, int64_t y) {
    const ConvolutionNode& node = net_.nodes[n];
    if (node.residual >= 0) Require(node.residual, y);
    FindRows(node, y);
    const int64_t depth = Depth(net_, node), pitch = Pitch(node.width);
    // Only an output goes to memory, and then its row may end anywhere.
    const bool kept = needs_[n].plain || needs_[n].activated || needs_[n].halves;
    float* out = kept ? Plain(n, y, 0) : node.output + y * node.output_row;
    const int64_t step = kept ? pitch : node.output_channel;
    const auto store = [&](int64_t channel, int64_t x, Vec sum) {
      if (channel >= node.channels || x >= node.width) return;
      sum = sum + Set(node.bias[channel]);
      if (node.residual >= 0) sum = sum + Load(Plain(node.residual, y, channel) + x);
      StoreUpTo(out + channel * step + x, sum, node.width - x);
    };
    for (int64_t x = 0; x < node.width; x += kBlock) {
      if (node.channels == 1) {
        RowsProduct<1, kStripVecs>(depth, packed_[n], rows_, x,
                                   [&](int, int column, Vec sum) { store(0, x + column, sum); });
        continue;
      }
      for (int64_t strip = 0; strip < node.channels; strip += kStripRows)
        RowsProduct<kStripRows, kStripVecs>(depth, packed_[n] + strip * depth, rows_, x,
                                            [&](int r, int column, Vec sum) { store(strip + r, x + column, sum); });
    }
    if (!kept) return;
    if (node.output) {
      for (int64_t c = 0; c < node.channels; ++c)
        std::memcpy(node.output + y * node.output_row + c * node.output_channel, out + c * pitch,
                    static_cast<size_t>(node.width) * sizeof(float));
    }
    Finish(n, y, out, pitch);
  }

  const ConvolutionNet& net_;
  const Needs* needs_;
  const float* const* packed_;
  float* zeros_;
  float* ring_[kNodesMax];
  int64_t next_[kNodesMax];  // the row that each node makes next
  const float** rows_;
};

}  // namespace

void RunConvolutionNet(const ConvolutionNet& net) {
  Needs needs[kNodesMax];
  FindNeeds(net, needs);
  // A row in its plain form is what the others are made from.
  for (int n = 0; n < net.count; ++n) needs[n].plain = needs[n].plain || needs[n].activated || needs[n].halves;
  int64_t floats = 0, coarsest = net.nodes[0].height;
  for (int n = 0; n < net.count; ++n) {
    floats += RoundUp(PackedFloats(net, net.nodes[n]), 16);
    coarsest = LeastOf(coarsest, net.nodes[n].height);
  }
  const Buffer weights(floats), scratch(net.threads * RoundUp(Strip::Floats(net, needs), 16));
  const float* packed[kNodesMax];
  float* next = weights.data();
  for (int n = 0; n < net.count; ++n) {
    packed[n] = next;
    if (!net.nodes[n].data) PackNode(net, net.nodes[n], next);
    next += RoundUp(PackedFloats(net, net.nodes[n]), 16);
  }
  std::memset(scratch.data(), 0,
              static_cast<size_t>(net.threads * RoundUp(Strip::Floats(net, needs), 16)) * sizeof(float));
  // Strips repeat some rows of their neighbours, so they are few; three per thread even out what else the machine does.
  const int64_t height = net.nodes[0].height, unit = height / coarsest;
  const int64_t rows = RoundUp(GreatestOf(height / (3 * net.threads), 32), unit);
  ParallelFor((height + rows - 1) / rows, net.threads, [&](int64_t task, int worker) {
    Strip strip(net, needs, packed, scratch.data() + worker * RoundUp(Strip::Floats(net, needs), 16));
    strip.Run(task * rows, LeastOf((task + 1) * rows, height));
  });
}

}  // namespace inter2former::INTER2FORMER_LEVEL
