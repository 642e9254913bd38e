// Attention against a loop over documents and heads that writes every score down.
#include "nn/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "nn/kv_cache.h"
#include "support/gradient_check.h"

namespace lmoe::nn {
namespace {

using test::gradient_error;
using test::relative_error;

/// One document: q [L, heads, D], k and v [M, kv_heads, D]; the queries are the last L of M
/// positions.
at::Tensor slow_document(const at::Tensor& q,
                         const at::Tensor& k,
                         const at::Tensor& v,
                         const AttentionShape& shape) {
  const int64_t length = q.size(0), total = k.size(0), group = shape.num_heads / shape.num_kv_heads;
  std::vector<at::Tensor> heads;
  for (int64_t head = 0; head < shape.num_heads; ++head) {
    at::Tensor scores = at::matmul(q.select(1, head), k.select(1, head / group).t()) * shape.scale;
    if (shape.softcap > 0) scores = shape.softcap * at::tanh(scores / shape.softcap);
    const at::Tensor query = at::arange(total - length, total).unsqueeze(1);
    const at::Tensor key = at::arange(total).unsqueeze(0);
    at::Tensor hidden = key > query;
    if (shape.sliding_window > 0) hidden = hidden | (key <= query - shape.sliding_window);
    scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
    heads.push_back(at::matmul(at::softmax(scores, 1), v.select(1, head / group)));
  }
  return at::stack(heads, 1);
}

at::Tensor slow_attention(const at::Tensor& q,
                          const at::Tensor& k,
                          const at::Tensor& v,
                          const AttentionShape& shape,
                          const std::vector<Segment>& segments) {
  std::vector<at::Tensor> parts;
  for (const Segment& s : segments) {
    const auto cut = [&](const at::Tensor& t, int64_t heads) {
      return t.narrow(0, s.start, s.length).view({s.length, heads, shape.head_dim});
    };
    parts.push_back(slow_document(cut(q, shape.num_heads), cut(k, shape.num_kv_heads),
                                  cut(v, shape.num_kv_heads), shape)
                        .reshape({s.length, -1}));
  }
  return at::cat(parts, 0);
}

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

TEST_P(Attention, equals_the_slow_reference_in_every_type) {
  for (auto [dtype, allowed] : {std::pair{at::kDouble, 1e-12}, std::pair{at::kFloat, 2e-6},
                                std::pair{at::kBFloat16, 1e-2}}) {
    const Inputs in = random(dtype);
    ForwardContext context = packed(GetParam().lengths);
    const at::Tensor out = attention(in.q, in.k, in.v, GetParam().shape, 0, context);
    const at::Tensor expected =
        slow_attention(in.q.to(at::kDouble), in.k.to(at::kDouble), in.v.to(at::kDouble),
                       GetParam().shape, context.segments);
    EXPECT_LT(relative_error(out, expected), allowed) << dtype;
  }
}

TEST_P(Attention, gradients_equal_autograd_of_the_slow_reference) {
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
    slow_attention(wide.q, wide.k, wide.v, GetParam().shape, context.segments).backward(weights);
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
  EXPECT_LT(gradient_error(
                [&](const auto& in) { return attention(in[0], in[1], in[2], shape, 0, context); },
                {at::randn({17, 24}), at::randn({17, 12}), at::randn({17, 12})}, 60),
            1e-8);
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
