// Rows go through blur, gradient and thinning while they are in the cache. Every number is rounded as in the reference,
// operation by operation: thinning asks which of two magnitudes is the greater, and along straight edges they are equal
// up to the last bit.

#include "planes.h"

#include "buffers.h"
#include "levels.h"
#include "product.h"
#include "threads.h"

namespace inter2former::INTER2FORMER_LEVEL {
namespace {

constexpr int64_t kMargin = 16;  // floats left of a row, of which the last two repeat its first value
constexpr int64_t kHeld = 8;     // rows of each kind that are kept

// The last rows of something that is made row by row, three channels each.
struct Rows {
  float* data;
  int64_t pitch, width, next;

  float* at(int64_t y, int64_t channel) const { return data + (y % kHeld * 3 + channel) * pitch + kMargin; }

  // Repeats the first and the last value beyond the ends.
  void Extend(int64_t y) const {
    for (int64_t c = 0; c < 3; ++c) {
      float* row = at(y, c);
      row[-1] = row[-2] = row[0];
      row[width] = row[width + 1] = row[width - 1];
    }
  }
};

class Strip {
 public:
  // Makes the rows [first, last).
  Strip(const ColourPlanes& job, float* scratch, int64_t first, int64_t last)
      : job_(job), first_(first), last_(last), pitch_(Pitch(job)), row_(scratch + 9 * kHeld * pitch_ + kMargin) {
    across_ = Made(scratch, first - 4);
    blurred_ = Made(scratch + 3 * kHeld * pitch_, first - 2);
    gradient_ = Made(scratch + 6 * kHeld * pitch_, first - 1);
  }

  static int64_t Pitch(const ColourPlanes& job) { return RoundUp(job.width, 16) + 2 * kMargin + 16; }
  static int64_t Floats(const ColourPlanes& job) { return (9 * kHeld + 1) * Pitch(job); }

  // Writes the planes that are made of the row's neighbours; those of the image itself are written when it is read.
  void Run(int64_t y) {
    const float* magnitude[3];
    for (int64_t d = 2; d >= 0; --d) magnitude[d] = Gradient(y + d - 1, 0);
    const float *across = Gradient(y, 1), *down = Gradient(y, 2);
    const int64_t plane = job_.height * job_.width;
    float* out = job_.planes + y * job_.width;
    for (int64_t x = 0; x < job_.width; x += kWidth) {
      const auto at = [&](int64_t row, int64_t right) { return Load(magnitude[row] + x + right); };
      const Vec own = at(1, 0), dx = Load(across + x), dy = Load(down + x);
      const Vec left_right = Max(at(1, -1), at(1, 1)), above_below = Max(at(0, 0), at(2, 0));
      const Vec falling = Max(at(0, -1), at(2, 1)), rising = Max(at(0, 1), at(2, -1));
      const Vec tangent = Set(0.41421356f);  // of 22.5 degrees
      const Vec diagonal = Select(dx * dy > Set(0.0f), falling, rising);
      const Vec steep = Select(Abs(dx) <= tangent * Abs(dy), above_below, diagonal);
      const Vec neighbour = Select(Abs(dy) <= tangent * Abs(dx), left_right, steep);
      StoreUpTo(out + 3 * plane + x, own, job_.width - x);
      StoreUpTo(out + 4 * plane + x, Select(own > neighbour, own, Set(0.0f)), job_.width - x);
    }
  }

 private:
  Rows Made(float* data, int64_t first) const { return {data, pitch_, job_.width, GreatestOf(first, 0)}; }

  int64_t Inside(int64_t y) const { return LeastOf(GreatestOf(y, 0), job_.height - 1); }

  // A row of: 0 magnitude, 1 difference across, 2 difference down; beyond the border as at it.
  const float* Gradient(int64_t y, int64_t kind) {
    y = Inside(y);
    for (; gradient_.next <= y; ++gradient_.next) MakeGradient(gradient_.next);
    return gradient_.at(y, kind);
  }

  void MakeGradient(int64_t y) {
    const int64_t last = Inside(y + 1);
    for (; blurred_.next <= last; ++blurred_.next) MakeBlurred(blurred_.next);
    for (int64_t x = 0; x < job_.width; x += kWidth) {
      Vec magnitude = Set(0.0f), sum_across = Set(0.0f), sum_down = Set(0.0f);
      for (int64_t c = 0; c < 3; ++c) {
        const float *above = blurred_.at(Inside(y - 1), c) + x, *own = blurred_.at(y, c) + x;
        const float* below = blurred_.at(last, c) + x;
        const Vec two = Set(2.0f);
        const auto column = [&](int64_t i) { return Load(above + i) + two * Load(own + i) + Load(below + i); };
        const auto row = [&](const float* p) { return Load(p - 1) + two * Load(p) + Load(p + 1); };
        const Vec across = column(-1) - column(1), down = row(above) - row(below);
        const Vec length = Sqrt(across * across + down * down);
        magnitude = c ? magnitude + length : length;
        sum_across = c ? sum_across + across : across;
        sum_down = c ? sum_down + down : down;
      }
      Store(gradient_.at(y, 0) + x, magnitude);
      Store(gradient_.at(y, 1) + x, sum_across);
      Store(gradient_.at(y, 2) + x, sum_down);
    }
    gradient_.Extend(y);
  }

  void MakeBlurred(int64_t y) {
    const int64_t last = Inside(y + 2);
    for (; across_.next <= last; ++across_.next) MakeAcross(across_.next);
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t x = 0; x < job_.width; x += kWidth) {
        Vec sum = Set(job_.taps[0]) * Load(across_.at(Inside(y - 2), c) + x);
        for (int64_t t = 1; t < 5; ++t) sum = sum + Set(job_.taps[t]) * Load(across_.at(Inside(y + t - 2), c) + x);
        Store(blurred_.at(y, c) + x, sum);
      }
    blurred_.Extend(y);
  }

  // The blur across, of pixels in [0, 1].
  void MakeAcross(int64_t y) {
    for (int64_t c = 0; c < 3; ++c) {
      const float* in = job_.image + c * job_.channel + y * job_.row;
      float* pixels = row_;
      if (job_.column == 1) {
        std::memcpy(pixels, in, static_cast<size_t>(job_.width) * sizeof(float));
      } else {
        for (int64_t x = 0; x < job_.width; ++x) pixels[x] = in[x * job_.column];
      }
      if (y >= first_ && y < last_) {
        float* out = job_.planes + (c * job_.height + y) * job_.width;
        std::memcpy(out, pixels, static_cast<size_t>(job_.width) * sizeof(float));
      }
      const Vec deviation = Set(job_.deviation[c]), mean = Set(job_.mean[c]), whole = Set(255.0f);
      for (int64_t x = 0; x < job_.width; x += kWidth)
        Store(pixels + x, Min(Max((Load(pixels + x) * deviation + mean) / whole, Set(0.0f)), Set(1.0f)));
      pixels[-1] = pixels[-2] = pixels[0];
      pixels[job_.width] = pixels[job_.width + 1] = pixels[job_.width - 1];
      for (int64_t x = 0; x < job_.width; x += kWidth) {
        Vec sum = Set(job_.taps[0]) * Load(pixels + x - 2);
        for (int64_t t = 1; t < 5; ++t) sum = sum + Set(job_.taps[t]) * Load(pixels + x + t - 2);
        Store(across_.at(y, c) + x, sum);
      }
    }
  }

  const ColourPlanes& job_;
  int64_t first_, last_, pitch_;
  float* row_;
  Rows across_, blurred_, gradient_;
};

}  // namespace

void MakeColourPlanes(const ColourPlanes& job) {
  // A strip makes some rows above it that its neighbour makes too.
  constexpr int64_t kRowsAtOnce = 64;
  const Buffer memory(job.threads * Strip::Floats(job));
  ParallelFor((job.height + kRowsAtOnce - 1) / kRowsAtOnce, job.threads, [&](int64_t task, int worker) {
    const int64_t first = task * kRowsAtOnce, last = LeastOf(first + kRowsAtOnce, job.height);
    Strip strip(job, memory.data() + worker * Strip::Floats(job), first, last);
    for (int64_t y = first; y < last; ++y) strip.Run(y);
  });
}

}  // namespace inter2former::INTER2FORMER_LEVEL
