// The kernels of attention against the form that ATen composes, which writes every score down, and
// both against central differences.
#include "nn/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "nn/kv_cache.h"
#include "nn/with_aten.h"
#include "support/gradient_check.h"

namespace lmoe::nn {
namespace {

using test::gradient_error;
using test::relative_error;

ForwardContext packed(const std::vector<int64_t>& lengths) {
  ForwardContext context;
  int64_t start = 0;
  for (int64_t length : lengths) {
    context.segments.push_back({start, length});
    start += length;
  }
  return context;
}

struct Case {
  const char* name;
  AttentionShape shape;
  std::vector<int64_t> lengths;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

const Case kCases[] = {
    {"one_document", {4, 4, 16, 0.25}, {150}},
    {"grouped_queries", {6, 2, 8, 0.3}, {70, 64, 1, 129, 65}},
    {"many_short_documents", {3, 1, 8, 0.35}, {5, 1, 7, 3, 2, 25, 25, 1, 1, 4}},
    {"sliding_window", {4, 2, 8, 0.35, 9}, {40, 130, 8, 9, 10}},
    {"window_of_one", {2, 1, 8, 0.35, 1}, {5, 70}},
    {"soft_capping", {2, 2, 8, 2.0, 0, 3.0}, {33, 80}},
    {"capped_and_windowed", {4, 2, 8, 2.0, 20, 3.0}, {100, 3}},
};

class Attention : public testing::TestWithParam<Case> {
 protected:
  struct Inputs {
    at::Tensor q, k, v;
  };
  Inputs random(at::ScalarType dtype) const {
    at::manual_seed(11);
    int64_t tokens = 0;
    for (int64_t length : GetParam().lengths) tokens += length;
    const AttentionShape& s = GetParam().shape;
    const auto make = [&](int64_t heads) {
      return at::randn({tokens, heads * s.head_dim}, at::kDouble).to(dtype);
    };
    return {make(s.num_heads), make(s.num_kv_heads), make(s.num_kv_heads)};
  }
};

TEST_P(Attention, equals_the_form_of_aten_in_every_type) {
  for (auto [dtype, allowed] : {std::pair{at::kDouble, 1e-12}, std::pair{at::kFloat, 2e-6},
                                std::pair{at::kBFloat16, 1e-2}}) {
    const Inputs in = random(dtype);
    ForwardContext context = packed(GetParam().lengths);
    const at::Tensor out = attention(in.q, in.k, in.v, GetParam().shape, 0, context);
    const at::Tensor expected =
        with_aten::attention(in.q.to(at::kDouble), in.k.to(at::kDouble), in.v.to(at::kDouble),
                             GetParam().shape, context.segments);
    EXPECT_LT(relative_error(out, expected), allowed) << dtype;
  }
}

TEST_P(Attention, gradients_equal_autograd_of_the_form_of_aten) {
  for (auto [dtype, allowed] : {std::pair{at::kDouble, 1e-11}, std::pair{at::kFloat, 1e-5},
                                std::pair{at::kBFloat16, 3e-2}}) {
    Inputs in = random(dtype), wide;
    for (auto [from, to] : {std::pair{&in.q, &wide.q}, {&in.k, &wide.k}, {&in.v, &wide.v}}) {
      *to = from->to(at::kDouble).detach().clone().set_requires_grad(true);
      from->set_requires_grad(true);
    }
    ForwardContext context = packed(GetParam().lengths);
    const at::Tensor out = attention(in.q, in.k, in.v, GetParam().shape, 0, context);
    const at::Tensor weights = at::randn(out.sizes(), at::kDouble);
    out.backward(weights.to(dtype));
    with_aten::attention(wide.q, wide.k, wide.v, GetParam().shape, context.segments)
        .backward(weights);
    EXPECT_LT(relative_error(in.q.grad(), wide.q.grad()), allowed) << dtype;
    EXPECT_LT(relative_error(in.k.grad(), wide.k.grad()), allowed) << dtype;
    EXPECT_LT(relative_error(in.v.grad(), wide.v.grad()), allowed) << dtype;
  }
}

TEST_P(Attention, with_a_cache_equals_without_one) {
  c10::NoGradGuard no_grad;
  const Inputs in = random(at::kFloat);
  const AttentionShape& shape = GetParam().shape;
  ForwardContext whole = packed(GetParam().lengths);
  const at::Tensor expected = attention(in.q, in.k, in.v, shape, 0, whole);

  // Three forwards of all documents together: a first part, one token, the rest.
  KvCache cache(1, shape.num_kv_heads, shape.head_dim, at::kFloat);
  std::vector<int64_t> slots;
  for (size_t i = 0; i < whole.segments.size(); ++i) slots.push_back(cache.open_slot());
  at::Tensor out = at::full_like(expected, std::nan(""));
  for (int part = 0; part < 3; ++part) {
    ForwardContext context;
    context.kv_cache = &cache;
    std::vector<int64_t> rows;
    for (size_t i = 0; i < whole.segments.size(); ++i) {
      const int64_t length = whole.segments[i].length, past = cache.length(slots[i]);
      const int64_t end = part == 0 ? length / 2 : part == 1 ? std::min(length, past + 1) : length;
      if (end == past) continue;
      context.segments.push_back({static_cast<int64_t>(rows.size()), end - past, past, slots[i]});
      for (int64_t t = past; t < end; ++t) rows.push_back(whole.segments[i].start + t);
      cache.reserve(end);
    }
    const at::Tensor index = at::tensor(rows, at::kLong);
    out.index_copy_(0, index,
                    attention(in.q.index_select(0, index), in.k.index_select(0, index),
                              in.v.index_select(0, index), shape, 0, context));
    for (const Segment& s : context.segments) cache.advance(s.slot, s.length);
  }
  EXPECT_LT(relative_error(out, expected), 2e-6);
}

INSTANTIATE_TEST_SUITE_P(shapes, Attention, testing::ValuesIn(kCases), [](const auto& test) {
  return std::string(test.param.name);
});

TEST(AttentionGradients, equal_central_differences) {
  at::manual_seed(12);
  const AttentionShape shape{4, 2, 6, 0.7, 5, 2.0};
  ForwardContext context = packed({7, 1, 9});
  const std::vector<at::Tensor> qkv = {at::randn({17, 24}), at::randn({17, 12}),
                                       at::randn({17, 12})};
  EXPECT_LT(gradient_error(
                [&](const auto& in) { return attention(in[0], in[1], in[2], shape, 0, context); },
                qkv, 60),
            1e-8);
  EXPECT_LT(gradient_error(
                [&](const auto& in) {
                  return with_aten::attention(in[0], in[1], in[2], shape, context.segments);
                },
                qkv, 60),
            1e-8);
}

/// One query at a time, in plain loops.
at::Tensor row_by_row(const at::Tensor& q,
                      const at::Tensor& k,
                      const at::Tensor& v,
                      const AttentionShape& s,
                      const std::vector<Segment>& segments) {
  at::Tensor out = at::zeros_like(q);
  for (const Segment& segment : segments) {
    for (int64_t i = 0; i < segment.length; ++i) {
      const int64_t seen = s.sliding_window > 0 ? std::min(i + 1, s.sliding_window) : i + 1;
      const int64_t row = segment.start + i, first = row + 1 - seen;
      for (int64_t head = 0; head < s.num_heads; ++head) {
        const int64_t own = head * s.head_dim;
        const int64_t shared = head / (s.num_heads / s.num_kv_heads) * s.head_dim;
        const auto part = [&](const at::Tensor& rows) {
          return rows.narrow(0, first, seen).narrow(1, shared, s.head_dim);
        };
        at::Tensor scores = at::mv(part(k), q[row].narrow(0, own, s.head_dim)) * s.scale;
        if (s.softcap > 0) scores = s.softcap * at::tanh(scores / s.softcap);
        out[row].narrow(0, own, s.head_dim).copy_(at::mv(part(v).t(), at::softmax(scores, 0)));
      }
    }
  }
  return out;
}

TEST_P(Attention, the_form_of_aten_equals_rows_by_themselves_in_every_type) {
  for (auto [dtype, allowed] : {std::pair{at::kDouble, 1e-12}, std::pair{at::kFloat, 2e-6},
                                std::pair{at::kBFloat16, 1e-2}}) {
    const Inputs in = random(dtype);
    const auto& [name, shape, lengths] = GetParam();
    const std::vector<Segment> segments = packed(lengths).segments;
    const at::Tensor out = with_aten::attention(in.q, in.k, in.v, shape, segments);
    EXPECT_EQ(out.scalar_type(), dtype);
    EXPECT_LT(relative_error(out, row_by_row(in.q.to(at::kDouble), in.k.to(at::kDouble),
                                             in.v.to(at::kDouble), shape, segments)),
              allowed)
        << dtype;
  }
}

TEST(Attention, a_document_does_not_see_another) {
  at::manual_seed(13);
  const AttentionShape shape{2, 1, 8, 0.35};
  at::Tensor q = at::randn({20, 16}), k = at::randn({20, 8}), v = at::randn({20, 8});
  ForwardContext context = packed({12, 8});
  const at::Tensor before = attention(q, k, v, shape, 0, context).narrow(0, 12, 8).clone();
  k.narrow(0, 0, 12).fill_(50);
  v.narrow(0, 0, 12).fill_(std::nan(""));
  EXPECT_TRUE(at::equal(attention(q, k, v, shape, 0, context).narrow(0, 12, 8), before));
}

TEST(Attention, refuses_gradients_through_a_cache) {
  KvCache cache(1, 1, 4, at::kFloat);
  ForwardContext context;
  context.kv_cache = &cache;
  context.segments = {{0, 2, 0, cache.open_slot()}};
  cache.reserve(2);
  const at::Tensor x = at::randn({2, 4}).set_requires_grad(true);
  EXPECT_THROW(attention(x, x, x, {1, 1, 4, 0.5}, 0, context), Error);
}

}  // namespace
}  // namespace lmoe::nn
