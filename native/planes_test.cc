#include "planes.h"

#include <algorithm>

#include "testing.h"

namespace inter2former {
namespace {

using testing::Numbers;

const float kMean[3] = {123.675f, 116.28f, 103.53f}, kDeviation[3] = {58.395f, 57.12f, 57.375f};
const float kTaps[5] = {0.0545f, 0.2442f, 0.4026f, 0.2442f, 0.0545f};

// Whole maps, one after the other, in float32: every number is rounded as the kernels round it.
class Oracle {
 public:
  Oracle(int64_t height, int64_t width, const std::vector<float>& image) : height_(height), width_(width) {
    std::vector<float> across, down, length;
    for (int64_t c = 0; c < 3; ++c) {
      std::vector<float> pixels(image.begin() + c * height * width, image.begin() + (c + 1) * height * width);
      for (float& p : pixels) p = std::min(std::max((p * kDeviation[c] + kMean[c]) / 255.0f, 0.0f), 1.0f);
      const std::vector<float> blurred = Blurred(Blurred(pixels, 0, 1), 1, 0);
      const auto rows = [&](int64_t y, int64_t x) {
        return At(blurred, y, x - 1) + 2.0f * At(blurred, y, x) + At(blurred, y, x + 1);
      };
      const auto columns = [&](int64_t y, int64_t x) {
        return At(blurred, y - 1, x) + 2.0f * At(blurred, y, x) + At(blurred, y + 1, x);
      };
      for (int64_t i = 0; i < height * width; ++i) {
        const int64_t y = i / width, x = i % width;
        const float dx = columns(y, x - 1) - columns(y, x + 1), dy = rows(y - 1, x) - rows(y + 1, x);
        Add(across, c, i, dx);
        Add(down, c, i, dy);
        Add(length, c, i, std::sqrt(dx * dx + dy * dy));
      }
    }
    planes = image;
    planes.insert(planes.end(), length.begin(), length.end());
    for (int64_t i = 0; i < height * width; ++i)
      planes.push_back(length[i] > Neighbour(length, i, across[i], down[i]) ? length[i] : 0.0f);
  }

  std::vector<float> planes;

 private:
  float At(const std::vector<float>& map, int64_t y, int64_t x) const {
    return map[std::clamp<int64_t>(y, 0, height_ - 1) * width_ + std::clamp<int64_t>(x, 0, width_ - 1)];
  }

  static void Add(std::vector<float>& sum, int64_t channel, int64_t i, float value) {
    if (channel == 0)
      sum.push_back(value);
    else
      sum[i] = sum[i] + value;
  }

  std::vector<float> Blurred(const std::vector<float>& map, int64_t down, int64_t right) const {
    std::vector<float> out;
    for (int64_t i = 0; i < height_ * width_; ++i) {
      float sum = 0.0f;
      for (int64_t t = 0; t < 5; ++t) {
        const float part = kTaps[t] * At(map, i / width_ + down * (t - 2), i % width_ + right * (t - 2));
        sum = t ? sum + part : part;
      }
      out.push_back(sum);
    }
    return out;
  }

  // The greater of the two values along the gradient.
  float Neighbour(const std::vector<float>& length, int64_t i, float dx, float dy) const {
    const float tangent = 0.41421356f, x = std::fabs(dx), y = std::fabs(dy);
    int64_t down = 1, right = dx * dy > 0.0f ? 1 : -1;
    if (x <= tangent * y) right = 0;
    if (y <= tangent * x) {
      down = 0;
      right = 1;
    }
    const int64_t row = i / width_, column = i % width_;
    return std::max(At(length, row - down, column - right), At(length, row + down, column + right));
  }

  int64_t height_, width_;
};

void TestImage(int64_t height, int64_t width, bool noise) {
  Numbers numbers(static_cast<uint64_t>(height + 1000 * width));
  std::vector<float> image;
  for (int64_t i = 0; i < 3 * height * width; ++i) {
    const int64_t c = i / (height * width), x = i % width;
    const float pixel = noise ? static_cast<float>(numbers.Below(256)) : x < width / 2 ? 200.0f : 90.0f;
    image.push_back((pixel - kMean[c]) / kDeviation[c]);
  }
  const std::vector<float> expected = Oracle(height, width, image).planes;
  // The same image with its channels side by side.
  std::vector<float> last;
  for (int64_t i = 0; i < height * width; ++i)
    for (int64_t c = 0; c < 3; ++c) last.push_back(image[c * height * width + i]);
  for (const bool channels_last : {false, true})
    testing::OnEveryLevel(
        "planes of " + std::to_string(height) + " x " + std::to_string(width),
        [&](const Kernels& kernels, int threads) {
          std::vector<float> result(expected.size(), testing::kUnset);
          ColourPlanes job{height, width,      image.data(), height * width, width,  1,
                           kMean,  kDeviation, kTaps,        result.data(),  threads};
          if (channels_last) {
            job.image = last.data();
            job.channel = 1;
            job.row = 3 * width;
            job.column = 3;
          }
          kernels.MakeColourPlanes(job);
          return result;
        },
        [&](const std::vector<float>& result) { CHECK(result == expected); });
}

}  // namespace
}  // namespace inter2former

int main() {
  for (const bool noise : {false, true}) {
    for (const int64_t height : {1, 2, 9, 70})
      for (const int64_t width : {1, 3, 17, 40}) inter2former::TestImage(height, width, noise);
    inter2former::TestImage(130, 16, noise);
  }
}
