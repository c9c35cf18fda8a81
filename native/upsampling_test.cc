#include "upsampling.h"

#include <algorithm>
#include <utility>

#include "testing.h"

namespace inter2former {
namespace {

using testing::Numbers;

constexpr float kEpsilon = 1e-3f;

struct Scene {
  int64_t height, width;
  std::vector<int64_t> channels;  // of the tokens, then of each stage
  std::vector<float> tokens;
  std::vector<std::vector<float>> weights, scales, shifts, terms;

  Scene(int64_t height, int64_t width, std::vector<int64_t> counts)
      : height(height), width(width), channels(std::move(counts)) {
    Numbers numbers(static_cast<uint64_t>(100 * height + width));
    tokens = numbers.Reals(height * width * channels[0], 3.0f);
    for (int s = 0; s < kUpsamplingStages; ++s) {
      const int64_t in = channels[s], out = channels[s + 1];
      weights.push_back(numbers.Reals(out * 9 * in, 1.0f / std::sqrt(3.0f * static_cast<float>(in))));
      scales.push_back(numbers.Reals(in));
      shifts.push_back(numbers.Reals(in));
      terms.push_back(numbers.Reals((out * height * width) << (2 * s + 2)));
    }
  }

  // A value of a map (channels, rows, columns) doubled, with half-pixel centres; zero beyond the border.
  static double Doubled(const double* map, int64_t rows, int64_t columns, int64_t y, int64_t x) {
    if (y < 0 || x < 0 || y >= 2 * rows || x >= 2 * columns) return 0.0;
    const double v = std::max(0.5 * static_cast<double>(y) - 0.25, 0.0),
                 u = std::max(0.5 * static_cast<double>(x) - 0.25, 0.0);
    const int64_t top = static_cast<int64_t>(v), left = static_cast<int64_t>(u);
    const int64_t bottom = std::min(top + 1, rows - 1), right = std::min(left + 1, columns - 1);
    const double below = v - static_cast<double>(top), after = u - static_cast<double>(left);
    return (1 - below) * ((1 - after) * map[top * columns + left] + after * map[top * columns + right]) +
           below * ((1 - after) * map[bottom * columns + left] + after * map[bottom * columns + right]);
  }

  // The whole grid, stage by stage.
  std::vector<double> Expected() const {
    int64_t rows = height, columns = width;
    std::vector<double> map(tokens.size());
    for (int64_t t = 0; t < rows * columns; ++t) {
      std::vector<double> token(tokens.begin() + t * channels[0], tokens.begin() + (t + 1) * channels[0]);
      testing::Normalise(token.data(), channels[0], kEpsilon, nullptr, nullptr);
      for (int64_t c = 0; c < channels[0]; ++c) map[c * rows * columns + t] = token[c];
    }
    for (int s = 0; s < kUpsamplingStages; ++s) {
      const int64_t in = channels[s], out = channels[s + 1], area = rows * columns;
      for (int64_t i = 0; i < in * area; ++i) map[i] = map[i] * scales[s][i / area] + shifts[s][i / area];
      std::vector<double> next(terms[s].begin(), terms[s].end());
      for (int64_t k = 0; k < in; ++k) {
        std::vector<double> fine;
        for (int64_t y = -1; y <= 2 * rows; ++y)
          for (int64_t x = -1; x <= 2 * columns; ++x)
            fine.push_back(Doubled(map.data() + k * area, rows, columns, y, x));
        for (int64_t i = 0; i < 4 * area * out; ++i) {
          const int64_t c = i / (4 * area), y = i / (2 * columns) % (2 * rows), x = i % (2 * columns);
          for (int64_t t = 0; t < 9; ++t)
            next[i] += weights[s][(c * 9 + t) * in + k] * fine[(y + t / 3) * (2 * columns + 2) + x + t % 3];
        }
      }
      if (s + 1 < kUpsamplingStages)
        for (double& value : next) value = testing::Silu(value);
      map = std::move(next);
      rows *= 2;
      columns *= 2;
    }
    return map;
  }
};

void TestBox(const Scene& s, const std::vector<double>& whole, int64_t left, int64_t top, int64_t right,
             int64_t bottom) {
  const int64_t rows = 16 * (bottom - top), columns = 16 * (right - left);
  std::vector<double> expected;
  for (int64_t y = 16 * top; y < 16 * bottom; ++y)
    expected.insert(expected.end(), whole.begin() + y * 16 * s.width + 16 * left,
                    whole.begin() + y * 16 * s.width + 16 * right);
  // Tokens further apart than they are long; terms with all channels of a row together.
  const int64_t token = s.channels[0] + 3;
  const std::vector<float> tokens = testing::Spread(s.tokens, s.height * s.width, s.channels[0], token);
  std::vector<std::vector<float>> terms;
  for (int stage = 0; stage < kUpsamplingStages; ++stage) {
    const int64_t out = s.channels[stage + 1], wide = s.width << (stage + 1), high = s.height << (stage + 1);
    std::vector<float> turned;
    for (int64_t i = 0; i < high * out * wide; ++i) {
      const int64_t y = i / (out * wide), c = i / wide % out, x = i % wide;
      turned.push_back(s.terms[stage][(c * high + y) * wide + x]);
    }
    terms.push_back(std::move(turned));
  }
  testing::OnEveryLevel(
      "upsampling of " + std::to_string(s.height) + " x " + std::to_string(s.width) + " from " + std::to_string(left) +
          ", " + std::to_string(top),
      [&](const Kernels& kernels, int threads) {
        std::vector<float> result(static_cast<size_t>(rows * columns), testing::kUnset);
        Upsampling job{s.height, s.width, tokens.data(), s.width * token, token,         kEpsilon, {},
                       top,      bottom,  left,          right,           result.data(), threads};
        for (int stage = 0; stage < kUpsamplingStages; ++stage) {
          const int64_t in = s.channels[stage], out = s.channels[stage + 1], wide = s.width << (stage + 1);
          job.stages[stage] = {in,
                               out,
                               s.weights[stage].data(),
                               s.scales[stage].data(),
                               s.shifts[stage].data(),
                               terms[stage].data(),
                               out * wide,
                               wide};
        }
        kernels.Upsample(job);
        return result;
      },
      [&](const std::vector<float>& result) { CHECK_CLOSE(result, expected, 1e-4); });
}

}  // namespace
}  // namespace inter2former

int main() {
  using namespace inter2former;
  // Not the widths of the network: those that fit no vector.
  const std::vector<int64_t> channels = {16, 18, 7, 3, 1};
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {1, 5}, {4, 2}, {7, 11}}) {
    const Scene scene(height, width, channels);
    const std::vector<double> whole = scene.Expected();
    TestBox(scene, whole, 0, 0, width, height);
    TestBox(scene, whole, width - 1, height - 1, width, height);
    TestBox(scene, whole, width / 2, height / 2, width / 2 + 1, height / 2 + 1);
    if (height > 2 && width > 2) TestBox(scene, whole, 1, 1, width - 1, height - 1);
  }
}
