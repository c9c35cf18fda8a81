#include "linear.h"

#include "testing.h"

namespace inter2former {
namespace {

using testing::Numbers;

void TestShape(int64_t rows, int64_t in, int64_t out, bool with_norm, bool with_residual, bool activate) {
  Numbers numbers(static_cast<uint64_t>(rows + 100 * in + 10'000 * out));
  const std::vector<float> x = numbers.Reals(rows * in, 2.0f), scale = numbers.Reals(in), shift = numbers.Reals(in);
  const std::vector<float> weight = numbers.Reals(out * in), bias = numbers.Reals(out);
  const std::vector<float> residual = numbers.Reals(rows * out);
  std::vector<double> expected;
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<double> row(x.begin() + r * in, x.begin() + (r + 1) * in);
    if (with_norm) testing::Normalise(row.data(), in, 1e-3, scale.data(), shift.data());
    for (int64_t d = 0; d < out; ++d) {
      double sum = bias[d];
      for (int64_t c = 0; c < in; ++c) sum += row[c] * weight[d * in + c];
      if (activate) sum = testing::Silu(sum);
      expected.push_back(sum + (with_residual ? residual[r * out + d] : 0.0f));
    }
  }
  const std::vector<float> wide = testing::Spread(x, rows, in, in + 3);
  const std::vector<float> wide_residual = testing::Spread(residual, rows, out, out + 5);
  testing::OnEveryLevel(
      "linear " + std::to_string(rows) + " x " + std::to_string(in) + " x " + std::to_string(out),
      [&](const Kernels& kernels, int threads) {
        std::vector<float> result(static_cast<size_t>(rows * out), testing::kUnset);
        Linear job{};
        job.rows = rows;
        job.channels_in = in;
        job.channels_out = out;
        job.x = wide.data();
        job.x_row = in + 3;
        job.weight = weight.data();
        job.bias = bias.data();
        job.activate = activate;
        job.residual_row = out + 5;
        job.out = result.data();
        job.threads = threads;
        if (with_norm) job.norm = {scale.data(), shift.data(), 1e-3f};
        if (with_residual) job.residual = wide_residual.data();
        kernels.RunLinear(job);
        return result;
      },
      [&](const std::vector<float>& result) { CHECK_CLOSE(result, expected, 1e-4); });
}

}  // namespace
}  // namespace inter2former

int main() {
  for (const int64_t rows : {0, 1, 6, 13, 49, 97})
    for (const int64_t in : {2, 3, 17, 40})
      for (const int64_t out : {1, 4, 15, 33, 65})
        inter2former::TestShape(rows, in, out, in != 3, rows % 2 == 1, rows != 13);
}
