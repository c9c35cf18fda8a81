#include "mask.h"

#include <algorithm>
#include <memory>

#include "testing.h"

namespace inter2former {
namespace {

using testing::Numbers;

struct Axis {
  std::vector<int64_t> index;
  std::vector<float> weight;

  Axis(Numbers& numbers, int64_t count, int64_t length) : index(numbers.Indices(count, length)) {
    std::sort(index.begin(), index.end());
    if (count) index.back() = length - 1;
    for (int64_t i = 0; i < count; ++i) weight.push_back(i % 5 ? 0.5f + 0.5f * numbers.Real() : 0.0f);
  }

  Samples samples() const { return {static_cast<int64_t>(index.size()), index.data(), weight.data()}; }
};

void TestSizes(int64_t height, int64_t width, int64_t rows, int64_t columns) {
  Numbers numbers(static_cast<uint64_t>(height + 100 * width + 10'000 * rows));
  // Many equal to zero, and as many as good as zero: the same operations in the same order decide.
  std::vector<float> logits = numbers.Reals(height * width);
  for (float& logit : logits) logit *= static_cast<float>(numbers.Below(3)) - 1.0f;
  const Axis across(numbers, columns, width), down(numbers, rows, height);
  const int64_t step = width + 2, mask_step = columns + 3;
  const std::vector<float> wide = testing::Spread(logits, height, width, step);
  std::vector<bool> expected;
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t x = 0; x < columns; ++x) {
      float line[2];
      for (int64_t i = 0; i < 2; ++i) {
        const float* row = logits.data() + std::min(down.index[y] + i, height - 1) * width;
        const float before = row[across.index[x]], after = row[std::min(across.index[x] + 1, width - 1)];
        line[i] = (after - before) * across.weight[x] + before;
      }
      expected.push_back((line[1] - line[0]) * down.weight[y] + line[0] > 0.0f);
    }
  testing::OnEveryLevel(
      "mask " + std::to_string(height) + " x " + std::to_string(width) + " to " + std::to_string(rows) + " x " +
          std::to_string(columns),
      [&](const Kernels& kernels, int threads) {
        const auto mask = std::make_unique<bool[]>(static_cast<size_t>(rows * mask_step));
        kernels.InterpolateMask(
            {height, width, wide.data(), step, across.samples(), down.samples(), mask.get(), mask_step, threads});
        std::vector<bool> result;
        for (int64_t y = 0; y < rows; ++y)
          for (int64_t x = 0; x < mask_step; ++x) {
            if (x < columns)
              result.push_back(mask[y * mask_step + x]);
            else
              CHECK(!mask[y * mask_step + x]);
          }
        return result;
      },
      [&](const std::vector<bool>& result) { CHECK(result == expected); });
}

}  // namespace
}  // namespace inter2former

int main() {
  for (const int64_t height : {1, 2, 13})
    for (const int64_t width : {1, 5, 16, 33}) {
      inter2former::TestSizes(height, width, 1, 1);
      inter2former::TestSizes(height, width, 70, 31);
      inter2former::TestSizes(height, width, 3, 100);
      inter2former::TestSizes(height, width, 0, 4);
    }
}
