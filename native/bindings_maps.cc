// Arrays in, checked, pointers on to the kernels that work on maps; see bindings.cc.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <optional>
#include <tuple>
#include <variant>
#include <vector>

#include "bindings.h"

namespace inter2former {

using namespace nb::literals;

namespace {

void Upsample(const Input<3>& tokens, float epsilon, const std::array<Packed<4>, kUpsamplingStages>& weights,
              const std::array<Packed<1>, kUpsamplingStages>& scales,
              const std::array<Packed<1>, kUpsamplingStages>& shifts,
              const std::array<Input<3>, kUpsamplingStages>& terms, const std::array<int64_t, 4>& box,
              const Output<2>& logits, int threads) {
  Upsampling job{};
  job.height = Size(tokens.shape(0));
  job.width = Size(tokens.shape(1));
  int64_t channels = Size(tokens.shape(2));
  Require(channels % 16 == 0 && tokens.stride(2) == 1, "tokens", "(h, w, C) with C a multiple of 16 and contiguous");
  job.tokens = tokens.data();
  job.tokens_row = tokens.stride(0);
  job.tokens_column = tokens.stride(1);
  job.epsilon = epsilon;
  for (int s = 0; s < kUpsamplingStages; ++s) {
    UpsamplingStage& stage = job.stages[s];
    stage.channels_in = channels;
    stage.channels_out = Size(weights[s].shape(0));
    Require(Size(weights[s].shape(3)) == channels && weights[s].shape(1) == 3 && weights[s].shape(2) == 3, "weights",
            "(C out, 3, 3, C in), the channels of one stage being those of the next");
    Require(Size(scales[s].shape(0)) == channels && Size(shifts[s].shape(0)) == channels, "scales and shifts",
            "one number per channel that comes in");
    Require(Size(terms[s].shape(0)) == stage.channels_out && Size(terms[s].shape(1)) == job.height << (s + 1) &&
                Size(terms[s].shape(2)) == job.width << (s + 1) && terms[s].stride(2) == 1,
            "terms", "(C out, 2^(s+1) h, 2^(s+1) w) with contiguous rows");
    stage.weight = weights[s].data();
    stage.scale = scales[s].data();
    stage.shift = shifts[s].data();
    stage.term = terms[s].data();
    stage.term_channel = terms[s].stride(0);
    stage.term_row = terms[s].stride(1);
    channels = stage.channels_out;
  }
  Require(channels == 1, "weights", "one channel wide at the end");
  job.left = box[0];
  job.top = box[1];
  job.right = box[2];
  job.bottom = box[3];
  Require(0 <= job.left && job.left < job.right && job.right <= job.width && 0 <= job.top && job.top < job.bottom &&
              job.bottom <= job.height,
          "box", "left, top, right, bottom in tokens, not empty and on the grid");
  Require(Size(logits.shape(0)) == 16 * (job.bottom - job.top) && Size(logits.shape(1)) == 16 * (job.right - job.left),
          "logits", "16 times the box");
  job.logits = logits.data();
  job.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().Upsample(job);
}

void MarkBoundaryTokens(const States& reference_map, int stride, int reach, int unknown, const Marks& marks,
                        int threads) {
  BoundaryTokens job{};
  job.height = Size(reference_map.shape(0));
  job.width = Size(reference_map.shape(1));
  Require(stride >= 1 && reach >= 0 && reach < stride, "reach", "in [0, stride)");
  Require(job.height % stride == 0 && job.width % stride == 0 && reference_map.stride(1) == 1, "reference_map",
          "(H, W) with contiguous rows, both sides multiples of stride");
  Require(Size(marks.shape(0)) == job.height / stride && Size(marks.shape(1)) == job.width / stride, "marks",
          "(H / stride, W / stride)");
  job.stride = stride;
  job.reach = reach;
  job.unknown = unknown;
  job.states = reference_map.data();
  job.states_row = reference_map.stride(0);
  job.marks = marks.data();
  job.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().MarkBoundaryTokens(job);
}

void FindTokens(const States& reference_map, int stride, const std::vector<int>& states, const Marks& marks,
                int threads) {
  TokensWith job{};
  job.height = Size(reference_map.shape(0));
  job.width = Size(reference_map.shape(1));
  Require(stride >= 1 && job.height % stride == 0 && job.width % stride == 0 && reference_map.stride(1) == 1,
          "reference_map", "(H, W) with contiguous rows, both sides multiples of stride");
  Require(Size(marks.shape(0)) == job.height / stride && Size(marks.shape(1)) == job.width / stride, "marks",
          "(H / stride, W / stride)");
  job.stride = stride;
  for (const int state : states) {
    Require(state >= 0 && state < kStates, "states", "states 0..4");
    job.sought |= 1u << state;
  }
  job.states = reference_map.data();
  job.states_row = reference_map.stride(0);
  job.marks = marks.data();
  job.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().FindTokens(job);
}

using SampleArrays = std::tuple<Places, Packed<1>>;

Samples Checked(const SampleArrays& arrays, int64_t end, const char* name) {
  const auto& [index, weight] = arrays;
  Require(index.shape(0) == weight.shape(0), name, "as many indices as weights");
  RequireIn(index.data(), index.shape(0), end, name);
  return {Size(index.shape(0)), index.data(), weight.data()};
}

void InterpolateMask(const Input<2>& logits, const SampleArrays& columns, const SampleArrays& rows,
                     const nb::ndarray<bool, nb::ndim<2>, nb::device::cpu>& mask, int threads) {
  InterpolatedMask job{};
  job.height = Size(logits.shape(0));
  job.width = Size(logits.shape(1));
  Require(logits.stride(1) == 1, "logits", "(h, w) with contiguous rows");
  job.logits = logits.data();
  job.logits_row = logits.stride(0);
  job.columns = Checked(columns, job.width, "columns");
  job.rows = Checked(rows, job.height, "rows");
  Require(Size(mask.shape(0)) == job.rows.count && Size(mask.shape(1)) == job.columns.count && mask.stride(1) == 1,
          "mask", "(rows, columns) with contiguous rows");
  job.mask = mask.data();
  job.mask_row = mask.stride(0);
  job.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().InterpolateMask(job);
}

void MakeColourPlanes(const Input<3>& image, const Packed<1>& mean, const Packed<1>& deviation, const Packed<1>& taps,
                      const Output<3>& planes, int threads) {
  ColourPlanes job{};
  job.height = Size(image.shape(1));
  job.width = Size(image.shape(2));
  Require(image.shape(0) == 3 && job.height > 0 && job.width > 0, "image", "(3, H, W) and not empty");
  Require(mean.shape(0) == 3 && deviation.shape(0) == 3 && taps.shape(0) == 5, "mean, deviation and taps",
          "3, 3 and 5 numbers");
  Require(planes.shape(0) == 5 && Size(planes.shape(1)) == job.height && Size(planes.shape(2)) == job.width, "planes",
          "(5, H, W)");
  job.image = image.data();
  job.channel = image.stride(0);
  job.row = image.stride(1);
  job.column = image.stride(2);
  job.mean = mean.data();
  job.deviation = deviation.data();
  job.taps = taps.data();
  job.planes = planes.data();
  job.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().MakeColourPlanes(job);
}

using GivenArrays = std::tuple<Input<3>, bool>;
using WantedArray = nb::ndarray<float, nb::ndim<3>, nb::device::cpu>;
// Source, weight, bias, stride, activate, residual, output.
using ConvolutionArrays =
    std::tuple<int, Packed<4>, Packed<1>, int, bool, std::optional<int>, std::optional<WantedArray>>;

ConvolutionNode Checked(const GivenArrays& arrays) {
  const auto& [map, ones] = arrays;
  ConvolutionNode node{};
  node.channels = Size(map.shape(0));
  node.height = Size(map.shape(1));
  node.width = Size(map.shape(2));
  Require(node.channels > 0 && node.height > 0 && node.width > 0, "a given map", "(C, H, W) and not empty");
  node.data = map.data();
  node.channel_step = map.stride(0);
  node.row_step = map.stride(1);
  node.column_step = map.stride(2);
  node.ones = ones;
  return node;
}

ConvolutionNode Checked(const ConvolutionArrays& arrays, const ConvolutionNode* nodes, int count) {
  const auto& [source, weight, bias, stride, activate, residual, output] = arrays;
  Require(source >= 0 && source < count, "source", "an earlier node");
  const ConvolutionNode& from = nodes[source];
  ConvolutionNode node{};
  node.channels = Size(weight.shape(0));
  node.kernel = static_cast<int>(weight.shape(1));
  Require((node.kernel == 1 || node.kernel == 3) && weight.shape(2) == weight.shape(1) && node.channels > 0 &&
              Size(weight.shape(3)) == from.channels + (from.data && from.ones) && bias.shape(0) == weight.shape(0),
          "weight and bias", "(D, k, k, C) with k 1 or 3 and C the channels of the source, and (D,)");
  Require(stride == 1 || (stride == 2 && !activate && node.kernel == 3 && from.height % 2 == 0 && from.width % 2 == 0),
          "stride", "1, or 2 for a 3x3 convolution of a map with even sides and no activation");
  node.stride = stride;
  node.height = from.height / stride;
  node.width = from.width / stride;
  node.source = source;
  node.activate = activate;
  node.weight = weight.data();
  node.bias = bias.data();
  node.residual = -1;
  if (residual) {
    Require(*residual >= 0 && *residual < count && nodes[*residual].channels == node.channels &&
                nodes[*residual].height == node.height && nodes[*residual].width == node.width &&
                !(nodes[*residual].data && nodes[*residual].ones),
            "residual", "an earlier node of the same shape");
    node.residual = *residual;
  }
  if (output) {
    Require(Size(output->shape(0)) == node.channels && Size(output->shape(1)) == node.height &&
                Size(output->shape(2)) == node.width && output->stride(2) == 1,
            "output", "of the convolution's shape, with contiguous rows");
    node.output = output->data();
    node.output_channel = output->stride(0);
    node.output_row = output->stride(1);
  }
  return node;
}

void RunConvolutionNet(const std::vector<std::variant<GivenArrays, ConvolutionArrays>>& nodes, int threads) {
  ConvolutionNet net{};
  Require(!nodes.empty() && nodes.size() <= kNodesMax, "nodes", "1 to 32");
  for (const auto& node : nodes) {
    net.nodes[net.count] = std::holds_alternative<GivenArrays>(node)
                               ? Checked(std::get<GivenArrays>(node))
                               : Checked(std::get<ConvolutionArrays>(node), net.nodes, net.count);
    const int64_t height = net.nodes[0].height, own = net.nodes[net.count].height;
    Require(own <= height && height % own == 0, "heights", "parts of the first node's");
    ++net.count;
  }
  net.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().RunConvolutionNet(net);
}

void EmbedPrompt(const States& reference_map, int background, const Packed<2>& embeddings,
                 const std::vector<Packed<4>>& weights, const std::vector<Packed<1>>& biases,
                 const std::optional<Input<3>>& tokens, const Output<2>& out, int threads) {
  PromptEmbedding job{};
  job.height = Size(reference_map.shape(0));
  job.width = Size(reference_map.shape(1));
  job.layers = static_cast<int>(weights.size());
  Require(weights.size() >= 2 && weights.size() <= kPromptLayersMax && biases.size() == weights.size(),
          "weights and biases", "those of 2 to 8 layers");
  const int64_t stride = int64_t{1} << job.layers;
  Require(job.height % stride == 0 && job.width % stride == 0 && reference_map.stride(1) == 1, "reference_map",
          "(H, W) with contiguous rows, both sides multiples of 2^layers");
  Require(background >= 0 && background < kStates, "background", "in [0, 5)");
  Require(embeddings.shape(0) == kStates, "embeddings", "(5, C)");
  int64_t channels = Size(embeddings.shape(1));
  job.embeddings = embeddings.data();
  job.embedding_channels = channels;
  for (int l = 0; l < job.layers; ++l) {
    const auto& weight = weights[static_cast<size_t>(l)];
    const auto& bias = biases[static_cast<size_t>(l)];
    Require(Size(weight.shape(3)) == channels && weight.shape(1) == 3 && weight.shape(2) == 3 &&
                bias.shape(0) == weight.shape(0),
            "weights and biases", "(D, 3, 3, C) and (D,), the channels of one layer being those of the next");
    channels = Size(weight.shape(0));
    job.layer[l] = {channels, weight.data(), bias.data()};
  }
  const int64_t count = job.height * job.width / stride / stride;
  Require(Size(out.shape(0)) == count && Size(out.shape(1)) == channels, "out", "(tokens, channels of the last layer)");
  if (tokens) {
    Require(Size(tokens->shape(0)) == job.height / stride && Size(tokens->shape(1)) == job.width / stride &&
                Size(tokens->shape(2)) == channels && tokens->stride(2) == 1 && tokens->stride(1) == channels,
            "tokens", "(h, w, C) with contiguous rows, C being the channels of the last layer");
    job.tokens = tokens->data();
    job.tokens_row = tokens->stride(0);
  }
  job.states = reference_map.data();
  job.states_row = reference_map.stride(0);
  job.background = background;
  job.out = out.data();
  job.threads = CheckedThreads(threads);
  bool known;
  {
    const nb::gil_scoped_release released;
    known = Active().EmbedPrompt(job);
  }
  Require(known, "reference_map", "made of states 0..4");
}
}  // namespace

void BindMapKernels(nb::module_& m) {
  m.def("upsample", &Upsample, "tokens"_a, "epsilon"_a, "weights"_a, "scales"_a, "shifts"_a, "terms"_a, "box"_a,
        "logits"_a, "threads"_a);
  m.def("boundary_tokens", &MarkBoundaryTokens, "reference_map"_a, "stride"_a, "reach"_a, "unknown"_a, "marks"_a,
        "threads"_a);
  m.def("tokens_with", &FindTokens, "reference_map"_a, "stride"_a, "states"_a, "marks"_a, "threads"_a);
  m.def("interpolated_mask", &InterpolateMask, "logits"_a, "columns"_a, "rows"_a, "mask"_a, "threads"_a);
  m.def("colour_planes", &MakeColourPlanes, "image"_a, "mean"_a, "deviation"_a, "taps"_a, "planes"_a, "threads"_a);
  m.def("convolution_net", &RunConvolutionNet, "nodes"_a, "threads"_a);
  m.def("embed_prompt", &EmbedPrompt, "reference_map"_a, "background"_a, "embeddings"_a, "weights"_a, "biases"_a,
        "tokens"_a.none(), "out"_a, "threads"_a);
}

}  // namespace inter2former
