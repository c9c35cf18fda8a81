// Arrays in, checked, pointers on to the kernels that work on tokens; see bindings.cc.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <array>
#include <optional>
#include <tuple>

#include "bindings.h"

namespace inter2former {

using namespace nb::literals;

namespace {

Norm Checked(const NormArrays& norm, int64_t channels) {
  const auto& [weight, bias, epsilon] = norm;
  Require(Size(weight.shape(0)) == channels && Size(bias.shape(0)) == channels, "norm",
          "a weight and a bias per channel");
  return {weight.data(), bias.data(), epsilon};
}

void RunLinear(const Input<2>& x, const Packed<2>& weight, const Packed<1>& bias, const std::optional<NormArrays>& norm,
               const std::optional<Input<2>>& residual, bool activate, const std::optional<Places>& places,
               const Output<2>& out, int threads) {
  Linear job{};
  job.rows = Size(places ? places->shape(0) : x.shape(0));
  job.channels_in = Size(x.shape(1));
  job.channels_out = Size(weight.shape(0));
  Require(x.stride(1) == 1, "x", "(M, C) with contiguous rows");
  Require(Size(weight.shape(1)) == job.channels_in && Size(bias.shape(0)) == job.channels_out, "weight and bias",
          "(D, C) and (D,) for x of (M, C)");
  Require(Size(out.shape(0)) == job.rows && Size(out.shape(1)) == job.channels_out, "out", "(M, D)");
  job.x = x.data();
  job.x_row = x.stride(0);
  if (norm) job.norm = Checked(*norm, job.channels_in);
  job.weight = weight.data();
  job.bias = bias.data();
  job.activate = activate;
  if (residual) {
    Require(Size(residual->shape(0)) == job.rows && Size(residual->shape(1)) == job.channels_out &&
                residual->stride(1) == 1,
            "residual", "(M, D) with contiguous rows");
    job.residual = residual->data();
    job.residual_row = residual->stride(0);
  }
  if (places) {
    RequireIn(places->data(), places->shape(0), Size(x.shape(0)), "places");
    job.places = places->data();
  }
  job.out = out.data();
  job.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().RunLinear(job);
}

using Mlps = std::tuple<std::array<Packed<3>, 3>, std::array<Packed<2>, 3>, NormArrays>;

GatedMlps Checked(const Mlps& arrays, int64_t width) {
  const auto& [weights, biases, norm] = arrays;
  GatedMlps m{};
  m.experts = Size(weights[0].shape(0));
  m.hidden = Size(weights[0].shape(1));
  m.width = width;
  for (int i = 0; i < 3; ++i) {
    const int64_t to = i < 2 ? m.hidden : width, from = i < 2 ? width : m.hidden;
    Require(Size(weights[i].shape(0)) == m.experts && Size(weights[i].shape(1)) == to &&
                Size(weights[i].shape(2)) == from && Size(biases[i].shape(0)) == m.experts &&
                Size(biases[i].shape(1)) == to,
            "weights and biases", "(E, D, C), (E, D, C), (E, C, D) and (E, D), (E, D), (E, C)");
  }
  Require(m.experts > 0, "weights", "of one expert at least");
  m.w1 = weights[0].data();
  m.w2 = weights[1].data();
  m.w3 = weights[2].data();
  m.b1 = biases[0].data();
  m.b2 = biases[1].data();
  m.b3 = biases[2].data();
  m.norm = Checked(norm, m.hidden);
  return m;
}

void RunExperts(const Packed<2>& tokens, const Places& expert, const Mlps& mlps, const Output<2>& out, int threads) {
  ExpertRows job{};
  job.mlps = Checked(mlps, Size(tokens.shape(1)));
  job.x = tokens.data();
  job.count = Size(tokens.shape(0));
  Require(Size(expert.shape(0)) == job.count, "expert", "(M,) for tokens of (M, C)");
  RequireIn(expert.data(), expert.shape(0), job.mlps.experts, "expert");
  Require(out.shape(0) == tokens.shape(0) && out.shape(1) == tokens.shape(1), "out", "of the shape of tokens");
  job.expert = expert.data();
  job.out = out.data();
  job.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().RunExpertRows(job);
}

void RunHybridExperts(const Packed<2>& tokens, const NormArrays& norm, const Mlps& shared, const Mlps& routed,
                      const Places& place,
                      const nb::ndarray<const int64_t, nb::ndim<2>, nb::device::cpu, nb::c_contig>& expert,
                      const Packed<1>& shared_weight, const Packed<2>& routed_weight, const Output<2>& out,
                      int threads) {
  HybridExperts job{};
  const int64_t width = Size(tokens.shape(1));
  job.tokens = Size(tokens.shape(0));
  job.x = tokens.data();
  job.norm = Checked(norm, width);
  job.shared = Checked(shared, width);
  job.routed = Checked(routed, width);
  Require(job.shared.experts == 1, "shared", "one expert");
  job.places = Size(place.shape(0));
  job.experts_per_place = Size(expert.shape(1));
  RequireIn(place.data(), place.shape(0), job.tokens, "place");
  RequireIn(expert.data(), expert.size(), job.routed.experts, "expert");
  Require(Size(expert.shape(0)) == job.places && Size(shared_weight.shape(0)) == job.places &&
              Size(routed_weight.shape(0)) == job.places && Size(routed_weight.shape(1)) == job.experts_per_place,
          "expert, shared_weight and routed_weight", "(S, k), (S,) and (S, k) for place of (S,)");
  Require(out.shape(0) == tokens.shape(0) && out.shape(1) == tokens.shape(1), "out", "of the shape of tokens");
  job.place = place.data();
  job.expert = expert.data();
  job.shared_weight = shared_weight.data();
  job.routed_weight = routed_weight.data();
  job.out = out.data();
  job.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().RunHybridExperts(job);
}

void RunHybridAttention(const Input<3>& query, const Input<3>& key, const Input<3>& value, const Packed<2>& cosine,
                        const Packed<2>& sine, const Places& boundary, const Places& interior, const Places& codes,
                        const Packed<3>& code_keys, const Output<3>& out, int threads) {
  HybridAttention job{};
  job.tokens = Size(query.shape(0));
  job.heads = Size(query.shape(1));
  job.depth = Size(query.shape(2));
  Require(job.depth % 2 == 0, "query", "(T, heads, d) with d even");
  for (const Input<3>* array : {&query, &key, &value}) {
    Require(Size(array->shape(0)) == job.tokens && Size(array->shape(1)) == job.heads &&
                Size(array->shape(2)) == job.depth && array->stride(2) == 1 && array->stride(1) == job.depth,
            "query, key and value", "(T, heads, d) each, the channels of a token contiguous");
  }
  Require(Size(cosine.shape(0)) == job.tokens && Size(cosine.shape(1)) == job.depth / 2 &&
              Size(sine.shape(0)) == job.tokens && Size(sine.shape(1)) == job.depth / 2,
          "cosine and sine", "(T, d / 2)");
  Require(Size(codes.shape(0)) == job.tokens, "codes", "(T,)");
  Require(Size(code_keys.shape(1)) == job.heads && Size(code_keys.shape(2)) == job.depth, "code_keys", "(K, heads, d)");
  Require(out.shape(0) == query.shape(0) && out.shape(1) == query.shape(1) && out.shape(2) == query.shape(2), "out",
          "of the shape of query");
  job.code_count = Size(code_keys.shape(0));
  RequireIn(codes.data(), codes.shape(0), job.code_count, "codes");
  RequireIn(boundary.data(), boundary.shape(0), job.tokens, "boundary");
  RequireIn(interior.data(), interior.shape(0), job.tokens, "interior");
  job.query = query.data();
  job.key = key.data();
  job.value = value.data();
  job.query_row = query.stride(0);
  job.key_row = key.stride(0);
  job.value_row = value.stride(0);
  job.cosine = cosine.data();
  job.sine = sine.data();
  job.boundaries = Size(boundary.shape(0));
  job.interiors = Size(interior.shape(0));
  job.boundary = boundary.data();
  job.interior = interior.data();
  job.codes = codes.data();
  job.code_keys = code_keys.data();
  job.out = out.data();
  job.threads = CheckedThreads(threads);
  const nb::gil_scoped_release released;
  Active().RunHybridAttention(job);
}

}  // namespace

void BindTokenKernels(nb::module_& m) {
  m.def("linear", &RunLinear, "x"_a, "weight"_a, "bias"_a, "norm"_a.none(), "residual"_a.none(), "activate"_a,
        "places"_a.none(), "out"_a, "threads"_a);
  m.def("expert_mlp", &RunExperts, "tokens"_a, "expert"_a, "mlps"_a, "out"_a, "threads"_a);
  m.def("hybrid_experts", &RunHybridExperts, "tokens"_a, "norm"_a, "shared"_a, "routed"_a, "place"_a, "expert"_a,
        "shared_weight"_a, "routed_weight"_a, "out"_a, "threads"_a);
  m.def("hybrid_attention", &RunHybridAttention, "query"_a, "key"_a, "value"_a, "cosine"_a, "sine"_a, "boundary"_a,
        "interior"_a, "codes"_a, "code_keys"_a, "out"_a, "threads"_a);
}

}  // namespace inter2former
