#include "attention.h"

#include <algorithm>

#include "testing.h"

namespace inter2former {
namespace {

using testing::Numbers;

constexpr int64_t kCodes = 16;

struct Scene {
  int64_t tokens, heads, depth;
  std::vector<float> query, key, value, cosine, sine, code_keys;
  std::vector<int64_t> codes, boundary, interior;

  Scene(int64_t tokens, int64_t heads, int64_t depth, int64_t boundaries) : tokens(tokens), heads(heads), depth(depth) {
    Numbers numbers(static_cast<uint64_t>(tokens + 1000 * heads + 10'000 * depth + boundaries));
    const int64_t count = tokens * heads * depth;
    query = numbers.Reals(count, 3.0f);
    key = numbers.Reals(count, 2.0f);
    value = numbers.Reals(count);
    for (int64_t i = 0; i < tokens * depth / 2; ++i) {
      const float angle = 10.0f * numbers.Real();
      cosine.push_back(std::cos(angle));
      sine.push_back(std::sin(angle));
    }
    code_keys = numbers.Reals(kCodes * heads * depth, 2.0f);
    codes = numbers.Indices(tokens, kCodes - 1);  // one that never occurs
    const std::vector<int64_t> order = numbers.Order(tokens);
    boundary.assign(order.begin(), order.begin() + boundaries);
    interior.assign(order.begin() + boundaries, order.end());
  }

  // One head of a token, its pairs of channels turned or not.
  std::vector<double> Head(const std::vector<float>& array, int64_t token, int64_t head, bool turned) const {
    const float* in = array.data() + (token * heads + head) * depth;
    std::vector<double> out(in, in + depth);
    for (int64_t p = 0; turned && p < depth / 2; ++p) {
      const double c = cosine[token * depth / 2 + p], s = sine[token * depth / 2 + p];
      out[2 * p] = in[2 * p] * c + in[2 * p + 1] * s;
      out[2 * p + 1] = in[2 * p + 1] * c - in[2 * p] * s;
    }
    return out;
  }

  // Softmax over all tokens; interior tokens see each under the key of its code.
  std::vector<double> Expected() const {
    std::vector<double> out(query.size());
    for (int64_t i = 0; i < tokens; ++i) {
      const int64_t token = i < static_cast<int64_t>(boundary.size()) ? boundary[i] : interior[i - boundary.size()];
      const bool full = i < static_cast<int64_t>(boundary.size());
      for (int64_t head = 0; head < heads; ++head) {
        const std::vector<double> own = Head(query, token, head, full);
        std::vector<double> scores;
        for (int64_t other = 0; other < tokens; ++other) {
          const std::vector<double> seen =
              full ? Head(key, other, head, true) : Head(code_keys, codes[other], head, false);
          double score = 0;
          for (int64_t c = 0; c < depth; ++c) score += own[c] * seen[c] / std::sqrt(static_cast<double>(depth));
          scores.push_back(score);
        }
        const double top = *std::max_element(scores.begin(), scores.end());
        double total = 0;
        for (double& score : scores) total += score = std::exp(score - top);
        for (int64_t other = 0; other < tokens; ++other)
          for (int64_t c = 0; c < depth; ++c)
            out[(token * heads + head) * depth + c] +=
                scores[other] / total * value[(other * heads + head) * depth + c];
      }
    }
    return out;
  }
};

void TestScene(const Scene& s) {
  const std::vector<double> expected = s.Expected();
  const int64_t row = s.heads * s.depth, query_row = row + 4, key_row = row + 1, value_row = 3 * row;
  const std::vector<float> query = testing::Spread(s.query, s.tokens, row, query_row);
  const std::vector<float> key = testing::Spread(s.key, s.tokens, row, key_row);
  const std::vector<float> value = testing::Spread(s.value, s.tokens, row, value_row);
  testing::OnEveryLevel(
      "attention of " + std::to_string(s.tokens) + " tokens, " + std::to_string(s.heads) + " heads of " +
          std::to_string(s.depth) + ", " + std::to_string(s.boundary.size()) + " boundary tokens",
      [&](const Kernels& kernels, int threads) {
        std::vector<float> result(s.query.size(), testing::kUnset);
        kernels.RunHybridAttention({s.tokens,
                                    s.heads,
                                    s.depth,
                                    query.data(),
                                    key.data(),
                                    value.data(),
                                    query_row,
                                    key_row,
                                    value_row,
                                    s.cosine.data(),
                                    s.sine.data(),
                                    static_cast<int64_t>(s.boundary.size()),
                                    static_cast<int64_t>(s.interior.size()),
                                    s.boundary.data(),
                                    s.interior.data(),
                                    s.codes.data(),
                                    kCodes,
                                    s.code_keys.data(),
                                    result.data(),
                                    threads});
        return result;
      },
      [&](const std::vector<float>& result) { CHECK_CLOSE(result, expected, 1e-4); });
}

}  // namespace
}  // namespace inter2former

int main() {
  using inter2former::Scene;
  for (const int64_t depth : {2, 6, 32}) {
    for (const int64_t boundaries : {0, 1, 20, 35}) inter2former::TestScene(Scene(35, 2, depth, boundaries));
    for (const int64_t boundaries : {0, 1}) inter2former::TestScene(Scene(1, 3, depth, boundaries));
  }
  // More keys than one block holds, and queries in more than one tile.
  inter2former::TestScene(Scene(513, 1, 8, 60));
  // Three blocks: the greatest score is often in a later one, and what was summed before it is scaled down.
  inter2former::TestScene(Scene(1100, 1, 8, 7));
}
