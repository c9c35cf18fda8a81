#include "prompt.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "testing.h"

namespace inter2former {
namespace {

using testing::Numbers;

constexpr int kBackground = 1, kUnknown = 2;

// A map whose rows are a few pixels further apart than they are long.
struct States {
  int64_t height, width, step;
  std::vector<uint8_t> memory;

  States(int64_t height, int64_t width, uint8_t state)
      : height(height),
        width(width),
        step(width + 5),
        memory(static_cast<size_t>((height - 1) * step + width), state) {}

  uint8_t& at(int64_t y, int64_t x) { return memory[y * step + x]; }
  int at(int64_t y, int64_t x) const { return memory[y * step + x]; }
};

// Uniform, random pixels, a disc, and single pixels at the corners.
std::vector<States> Maps(int64_t height, int64_t width) {
  Numbers numbers(static_cast<uint64_t>(height + width));
  std::vector<States> maps = {States(height, width, 1), States(height, width, 4), States(height, width, 2)};
  States random(height, width, 0), disc(height, width, 1);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      random.at(y, x) = static_cast<uint8_t>(numbers.Below(kStates));
      const int64_t distance = (y - height / 2) * (y - height / 2) + (x - width / 3) * (x - width / 3);
      if (9 * distance < height * height) disc.at(y, x) = distance < 16 ? 4 : 3;
    }
  maps.push_back(random);
  maps.push_back(disc);
  for (const int64_t corner : {0, 1, 2, 3}) {
    States dotted(height, width, kBackground);
    dotted.at(corner / 2 * (height - 1), corner % 2 * (width - 1)) = 4;
    maps.push_back(dotted);
  }
  return maps;
}

void TestMarks(const States& map, int64_t stride, int64_t reach) {
  std::vector<bool> boundary, holding;
  for (int64_t top = 0; top < map.height; top += stride)
    for (int64_t left = 0; left < map.width; left += stride) {
      int least = kStates, greatest = 0;
      bool unknown = false, holds = false;
      for (int64_t y = std::max<int64_t>(top - reach, 0); y < std::min(top + stride + reach, map.height); ++y)
        for (int64_t x = std::max<int64_t>(left - reach, 0); x < std::min(left + stride + reach, map.width); ++x) {
          const int state = map.at(y, x);
          least = std::min(least, state);
          greatest = std::max(greatest, state);
          const bool inside = y >= top && y < top + stride && x >= left && x < left + stride;
          unknown = unknown || (inside && state == kUnknown);
          holds = holds || (inside && (state == 2 || state == 4));
        }
      boundary.push_back(unknown || least != greatest);
      holding.push_back(holds);
    }
  const size_t count = boundary.size();
  const auto as_vector = [&](const bool* marks) { return std::vector<bool>(marks, marks + count); };
  const auto memory = std::make_unique<bool[]>(count);
  testing::OnEveryLevel(
      "boundary tokens",
      [&](const Kernels& kernels, int threads) {
        kernels.MarkBoundaryTokens(
            {map.height, map.width, stride, reach, map.memory.data(), map.step, kUnknown, memory.get(), threads});
        return as_vector(memory.get());
      },
      [&](const std::vector<bool>& marks) { CHECK(marks == boundary); });
  testing::OnEveryLevel(
      "tokens with some states",
      [&](const Kernels& kernels, int threads) {
        kernels.FindTokens(
            {map.height, map.width, stride, map.memory.data(), map.step, 1 << 4 | 1 << 2, memory.get(), threads});
        return as_vector(memory.get());
      },
      [&](const std::vector<bool>& marks) { CHECK(marks == holding); });
}

struct Net {
  std::vector<int64_t> channels;  // of the embedding, then of each layer
  std::vector<float> embeddings;
  std::vector<std::vector<float>> weights, biases;

  explicit Net(std::vector<int64_t> counts) : channels(std::move(counts)) {
    Numbers numbers(static_cast<uint64_t>(channels.back()));
    embeddings = numbers.Reals(kStates * channels[0]);
    for (size_t l = 1; l < channels.size(); ++l) {
      const float scale = 1.0f / std::sqrt(static_cast<float>(channels[l - 1]));
      weights.push_back(numbers.Reals(channels[l] * 9 * channels[l - 1], scale));
      biases.push_back(numbers.Reals(channels[l]));
    }
  }

  // Every layer at every cell; above and left of the map lies one more row and column, which stand for all beyond.
  std::vector<double> Expected(const States& map) const {
    int64_t height = map.height, width = map.width, depth = channels[0];
    std::vector<double> cells;
    for (int64_t y = -1; y < height; ++y)
      for (int64_t x = -1; x < width; ++x) {
        const float* from = embeddings.data() + depth * (y < 0 || x < 0 ? kBackground : map.at(y, x));
        cells.insert(cells.end(), from, from + depth);
      }
    for (size_t l = 0; l < weights.size(); ++l) {
      const int64_t step = width + 1, out = channels[l + 1];
      std::vector<double> next;
      for (int64_t y = -1; y < height / 2; ++y)
        for (int64_t x = -1; x < width / 2; ++x)
          for (int64_t c = 0; c < out; ++c) {
            double sum = biases[l][c];
            for (int64_t t = 0; t < 9; ++t) {
              const int64_t v = std::max<int64_t>(2 * y + t / 3 - 1, -1), u = std::max<int64_t>(2 * x + t % 3 - 1, -1);
              for (int64_t k = 0; k < depth; ++k)
                sum += weights[l][(c * 9 + t) * depth + k] * cells[((v + 1) * step + u + 1) * depth + k];
            }
            next.push_back(std::max(sum, 0.0));
          }
      cells = std::move(next);
      height /= 2;
      width /= 2;
      depth = out;
    }
    std::vector<double> inside;
    for (int64_t y = 0; y < height; ++y) {
      const auto row = cells.begin() + ((y + 1) * (width + 1) + 1) * depth;
      inside.insert(inside.end(), row, row + width * depth);
    }
    return inside;
  }
};

void TestEmbedding(const States& map, const Net& net, bool with_tokens) {
  std::vector<double> expected = net.Expected(map);
  const std::vector<float> tokens = Numbers(3).Reals(static_cast<int64_t>(expected.size()));
  for (size_t i = 0; with_tokens && i < expected.size(); ++i) expected[i] += tokens[i];
  PromptEmbedding job{};
  job.height = map.height;
  job.width = map.width;
  job.states = map.memory.data();
  job.states_row = map.step;
  job.background = kBackground;
  job.embeddings = net.embeddings.data();
  job.embedding_channels = net.channels[0];
  job.layers = static_cast<int>(net.weights.size());
  for (size_t l = 0; l < net.weights.size(); ++l)
    job.layer[l] = {net.channels[l + 1], net.weights[l].data(), net.biases[l].data()};
  const int64_t rows = map.height >> job.layers, row = static_cast<int64_t>(tokens.size()) / std::max<int64_t>(rows, 1);
  const std::vector<float> wide = testing::Spread(tokens, rows, row, row + 11);
  job.tokens = with_tokens ? wide.data() : nullptr;
  job.tokens_row = row + 11;
  testing::OnEveryLevel(
      "embedding of " + std::to_string(map.height) + " x " + std::to_string(map.width),
      [&](const Kernels& kernels, int threads) {
        std::vector<float> result(expected.size(), testing::kUnset);
        PromptEmbedding own = job;
        own.out = result.data();
        own.threads = threads;
        CHECK(kernels.EmbedPrompt(own));
        return result;
      },
      [&](const std::vector<float>& result) { CHECK_CLOSE(result, expected, 1e-4); });
}

void TestAStateThatThereIsNotIsRefused() {
  const Net net({3, 4, 6});
  States map(8, 8, 1);
  map.at(7, 7) = kStates;
  PromptEmbedding job{};
  job.height = job.width = 8;
  job.states = map.memory.data();
  job.states_row = map.step;
  job.background = kBackground;
  job.embeddings = net.embeddings.data();
  job.embedding_channels = 3;
  job.layers = 2;
  job.threads = 1;
  for (size_t l = 0; l < 2; ++l) job.layer[l] = {net.channels[l + 1], net.weights[l].data(), net.biases[l].data()};
  std::vector<float> out(2 * 2 * 6);
  job.out = out.data();
  for (const std::string& level : SupportedLevels()) CHECK(!KernelsOf(level)->EmbedPrompt(job));
}

}  // namespace
}  // namespace inter2former

int main() {
  using namespace inter2former;
  const Net shallow({3, 5, 17}), deep({3, 4, 6, 9, 33});
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{16, 16}, {16, 48}, {80, 32}}) {
    bool with_tokens = false;
    for (const States& map : Maps(height, width)) {
      TestMarks(map, 16, 3);
      TestMarks(map, 8, 0);
      TestMarks(map, 16, 15);
      TestEmbedding(map, shallow, with_tokens);
      TestEmbedding(map, deep, !with_tokens);
      with_tokens = !with_tokens;
    }
  }
  TestAStateThatThereIsNotIsRefused();
}
