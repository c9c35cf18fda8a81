#include "experts.h"

#include "testing.h"

namespace inter2former {
namespace {

using testing::Numbers;

struct Mlps {
  int64_t experts, width, hidden;
  std::vector<float> w1, b1, w2, b2, w3, b3, scale, shift;

  Mlps(Numbers& numbers, int64_t experts, int64_t width, int64_t hidden)
      : experts(experts),
        width(width),
        hidden(hidden),
        w1(numbers.Reals(experts * hidden * width, 0.5f)),
        b1(numbers.Reals(experts * hidden)),
        w2(numbers.Reals(experts * hidden * width, 0.5f)),
        b2(numbers.Reals(experts * hidden)),
        w3(numbers.Reals(experts * width * hidden, 0.5f)),
        b3(numbers.Reals(experts * width)),
        scale(numbers.Reals(hidden)),
        shift(numbers.Reals(hidden)) {}

  GatedMlps arguments() const {
    return {experts,   width,     hidden,    w1.data(), b1.data(),
            w2.data(), b2.data(), w3.data(), b3.data(), {scale.data(), shift.data(), 1e-3f}};
  }

  std::vector<double> Expected(int64_t expert, const std::vector<double>& x) const {
    std::vector<double> between, out;
    for (int64_t h = expert * hidden; h < (expert + 1) * hidden; ++h) {
      double gate = b1[h], other = b2[h];
      for (int64_t c = 0; c < width; ++c) {
        gate += w1[h * width + c] * x[c];
        other += w2[h * width + c] * x[c];
      }
      between.push_back(testing::Silu(gate) * other);
    }
    testing::Normalise(between.data(), hidden, 1e-3, scale.data(), shift.data());
    for (int64_t c = expert * width; c < (expert + 1) * width; ++c) {
      double sum = b3[c];
      for (int64_t h = 0; h < hidden; ++h) sum += w3[c * hidden + h] * between[h];
      out.push_back(sum);
    }
    return out;
  }
};

std::vector<double> Normal(const std::vector<float>& x, int64_t row, int64_t width, const std::vector<float>& scale,
                           const std::vector<float>& shift) {
  std::vector<double> out(x.begin() + row * width, x.begin() + (row + 1) * width);
  testing::Normalise(out.data(), width, 1e-3, scale.data(), shift.data());
  return out;
}

// Rows in any order, some twice, to experts of which one gets none.
void TestRows(int64_t count, int64_t width, int64_t hidden) {
  Numbers numbers(static_cast<uint64_t>(count + 1000 * width));
  const int64_t tokens = 20;
  const Mlps mlps(numbers, 5, width, hidden);
  const std::vector<float> x = numbers.Reals(tokens * width), scale = numbers.Reals(width),
                           shift = numbers.Reals(width);
  const std::vector<int64_t> rows = numbers.Indices(count, tokens), experts = numbers.Indices(count, 4);
  std::vector<double> expected;
  for (int64_t i = 0; i < count; ++i)
    for (const double value : mlps.Expected(experts[i], Normal(x, rows[i], width, scale, shift)))
      expected.push_back(value);
  testing::OnEveryLevel(
      "experts of " + std::to_string(count) + " rows, " + std::to_string(width) + " and " + std::to_string(hidden),
      [&](const Kernels& kernels, int threads) {
        std::vector<float> result(static_cast<size_t>(count * width), testing::kUnset);
        kernels.RunExpertRows({mlps.arguments(),
                               x.data(),
                               {scale.data(), shift.data(), 1e-3f},
                               count,
                               rows.data(),
                               experts.data(),
                               result.data(),
                               threads});
        return result;
      },
      [&](const std::vector<float>& result) { CHECK_CLOSE(result, expected, 3e-4); });
}

void TestLayer(int64_t tokens, int64_t places, int64_t per_place, int64_t width, int64_t hidden) {
  Numbers numbers(static_cast<uint64_t>(tokens + 1000 * places + per_place));
  const Mlps shared(numbers, 1, width, hidden), routed(numbers, 5, width, hidden);
  const std::vector<float> x = numbers.Reals(tokens * width), scale = numbers.Reals(width),
                           shift = numbers.Reals(width);
  const std::vector<int64_t> order = numbers.Order(tokens), place(order.begin(), order.begin() + places);
  const std::vector<int64_t> expert = numbers.Indices(places * per_place, 5);
  const std::vector<float> own = numbers.Reals(places), others = numbers.Reals(places * per_place);
  std::vector<double> expected(x.begin(), x.end());
  for (int64_t t = 0; t < tokens; ++t) {
    const std::vector<double> normal = Normal(x, t, width, scale, shift);
    int64_t found = -1;
    for (int64_t i = 0; i < places; ++i) found = place[i] == t ? i : found;
    const std::vector<double> common = shared.Expected(0, normal);
    for (int64_t c = 0; c < width; ++c) expected[t * width + c] += (found < 0 ? 1.0f : own[found]) * common[c];
    for (int64_t e = 0; found >= 0 && e < per_place; ++e) {
      const std::vector<double> part = routed.Expected(expert[found * per_place + e], normal);
      for (int64_t c = 0; c < width; ++c) expected[t * width + c] += others[found * per_place + e] * part[c];
    }
  }
  testing::OnEveryLevel(
      "expert layer of " + std::to_string(tokens) + " tokens, " + std::to_string(places) + " places",
      [&](const Kernels& kernels, int threads) {
        std::vector<float> result(x.size(), testing::kUnset);
        kernels.RunHybridExperts({tokens,
                                  x.data(),
                                  {scale.data(), shift.data(), 1e-3f},
                                  shared.arguments(),
                                  routed.arguments(),
                                  places,
                                  per_place,
                                  place.data(),
                                  expert.data(),
                                  own.data(),
                                  others.data(),
                                  result.data(),
                                  threads});
        return result;
      },
      [&](const std::vector<float>& result) { CHECK_CLOSE(result, expected, 3e-4); });
}

}  // namespace
}  // namespace inter2former

int main() {
  for (const int64_t count : {0, 1, 30, 120}) {
    inter2former::TestRows(count, 16, 4);
    inter2former::TestRows(count, 33, 17);
  }
  for (const int64_t places : {0, 1, 20, 61})
    for (const int64_t per_place : {1, 2}) inter2former::TestLayer(61, places, per_place, 33, 12);
  inter2former::TestLayer(1, 1, 1, 16, 4);
}
