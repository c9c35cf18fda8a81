#include "convolutions.h"

#include "testing.h"

namespace inter2former {
namespace {

using testing::Numbers;

// A net that is put together node by node, with its memory and what every node should hold.
class Net {
 public:
  Net(int64_t height, int64_t width)
      : numbers_(static_cast<uint64_t>(height + 1000 * width)), height_(height), width_(width) {}

  // A map at half the size `shrink` times; `last`: its channels side by side, else its rows a few pixels apart.
  int Given(int64_t channels, int shrink, bool last, bool ones) {
    const int64_t height = height_ >> shrink, width = width_ >> shrink, area = height * width;
    const std::vector<float> map = numbers_.Reals(channels * area);
    ConvolutionNode node{};
    node.channels = channels;
    node.height = height;
    node.width = width;
    node.ones = ones;
    std::vector<float> memory;
    if (last) {
      for (int64_t i = 0; i < area; ++i)
        for (int64_t c = 0; c < channels; ++c) memory.push_back(map[c * area + i]);
      node.channel_step = 1;
      node.row_step = channels * width;
      node.column_step = channels;
    } else {
      memory = testing::Spread(map, channels * height, width, width + 3);
      node.channel_step = height * (width + 3);
      node.row_step = width + 3;
      node.column_step = 1;
    }
    std::vector<double> expected(map.begin(), map.end());
    if (ones) expected.insert(expected.end(), static_cast<size_t>(area), 1.0);
    return Keep(node, std::move(memory), {}, std::move(expected));
  }

  struct Options {
    int kernel = 3, stride = 1, residual = -1;
    bool activate = false;
  };

  int Convolve(int source, int64_t channels, const Options& options) {
    const ConvolutionNode from = nodes_[source];
    const int64_t depth = from.channels + from.ones, taps = options.kernel * options.kernel, reach = options.kernel / 2;
    ConvolutionNode node{};
    node.channels = channels;
    node.height = from.height / options.stride;
    node.width = from.width / options.stride;
    node.source = source;
    node.kernel = options.kernel;
    node.stride = options.stride;
    node.activate = options.activate;
    node.residual = options.residual;
    std::vector<float> weight = numbers_.Reals(channels * taps * depth, 1.0f / std::sqrt(static_cast<float>(depth)));
    std::vector<float> bias = numbers_.Reals(channels);
    std::vector<double> expected;
    for (int64_t i = 0; i < channels * node.height * node.width; ++i) {
      const int64_t c = i / (node.height * node.width), y = i / node.width % node.height, x = i % node.width;
      double sum = bias[c] + (options.residual >= 0 ? expected_[options.residual][i] : 0.0);
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t v = y * options.stride + t / options.kernel - reach,
                      u = x * options.stride + t % options.kernel - reach;
        if (v < 0 || u < 0 || v >= from.height || u >= from.width) continue;
        for (int64_t k = 0; k < depth; ++k) {
          const double seen = expected_[source][(k * from.height + v) * from.width + u];
          sum += weight[(c * taps + t) * depth + k] * (options.activate ? testing::Silu(seen) : seen);
        }
      }
      expected.push_back(sum);
    }
    return Keep(node, std::move(weight), std::move(bias), std::move(expected));
  }

  // Checks the maps that some nodes make, all in one run.
  void Check(const std::vector<int>& wanted) const {
    std::vector<double> expected;
    for (const int n : wanted) expected.insert(expected.end(), expected_[n].begin(), expected_[n].end());
    testing::OnEveryLevel(
        "net of " + std::to_string(nodes_.size()) + " nodes over " + std::to_string(height_) + " x " +
            std::to_string(width_),
        [&](const Kernels& kernels, int threads) {
          std::vector<float> result(expected.size(), testing::kUnset);
          ConvolutionNet net{};
          net.count = static_cast<int>(nodes_.size());
          net.threads = threads;
          for (int n = 0; n < net.count; ++n) {
            net.nodes[n] = nodes_[n];
            (nodes_[n].row_step ? net.nodes[n].data : net.nodes[n].weight) = memory_[n].data();
            net.nodes[n].bias = biases_[n].data();
          }
          float* next = result.data();
          for (const int n : wanted) {
            net.nodes[n].output = next;
            net.nodes[n].output_row = nodes_[n].width;
            net.nodes[n].output_channel = nodes_[n].height * nodes_[n].width;
            next += nodes_[n].channels * nodes_[n].height * nodes_[n].width;
          }
          kernels.RunConvolutionNet(net);
          return result;
        },
        [&](const std::vector<float>& result) { CHECK_CLOSE(result, expected, 2e-4); });
  }

 private:
  int Keep(const ConvolutionNode& node, std::vector<float> memory, std::vector<float> bias,
           std::vector<double> expected) {
    nodes_.push_back(node);
    memory_.push_back(std::move(memory));
    biases_.push_back(std::move(bias));
    expected_.push_back(std::move(expected));
    return static_cast<int>(nodes_.size()) - 1;
  }

  Numbers numbers_;
  int64_t height_, width_;
  std::vector<ConvolutionNode> nodes_;
  std::vector<std::vector<float>> memory_, biases_;  // of each node: its map or its weights, and its bias
  std::vector<std::vector<double>> expected_;
};

// A net like the edge encoder's: residual blocks, a coarser level that takes in another map, outputs at both.
void TestNet(int64_t height, int64_t width) {
  Net net(height, width);
  const int planes = net.Given(5, 0, false, false);
  const int first = net.Convolve(planes, 4, {});
  const int second = net.Convolve(first, 4, {3, 1, -1, true});
  const int block = net.Convolve(second, 4, {3, 1, first, true});
  const int fine = net.Convolve(block, 1, {});
  const int skip = net.Given(8, 1, true, true);
  const int lateral = net.Convolve(skip, 6, {1, 1, -1, false});
  const int coarse = net.Convolve(block, 6, {3, 2, lateral, false});
  const int odd = net.Convolve(coarse, 17, {1, 1, -1, true});
  net.Check({fine, coarse, odd});
}

void TestChannels(int64_t into, int64_t out) {
  Net net(9, 31);
  net.Check({net.Convolve(net.Given(into, 0, out == 5, into == 3), out, {})});
}

}  // namespace
}  // namespace inter2former

int main() {
  for (const int64_t width : {2, 6, 30, 70})
    for (const int64_t height : {2, 34, 98}) inter2former::TestNet(height, width);
  for (const int64_t into : {1, 3, 20})
    for (const int64_t out : {1, 2, 5, 16}) inter2former::TestChannels(into, out);
}
