// Attention that keeps passages apart, against a loop that asks of every pair of tokens whether one
// sees the other.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "nn/attention.h"
#include "nn/kv_cache.h"
#include "support/gradient_check.h"

namespace lmoe::nn {
namespace {

using test::gradient_error;
using test::relative_error;

int64_t passage_of(const Segment& document, int64_t token) {
  for (const Passage& passage : document.passages)
    if (token >= passage.begin && token < passage.end) return passage.number;
  return 0;
}

bool sees(const Segment& document, const AttentionShape& shape, int64_t query, int64_t key) {
  if (key > query || (shape.sliding_window > 0 && key <= query - shape.sliding_window))
    return false;
  const int64_t passage = passage_of(document, query);
  return passage == 0 || passage_of(document, key) == passage ||
         key < document.passages.front().begin;
}

at::Tensor slow_attention(const at::Tensor& q,
                          const at::Tensor& k,
                          const at::Tensor& v,
                          const AttentionShape& shape,
                          const std::vector<Segment>& documents) {
  std::vector<at::Tensor> parts;
  for (const Segment& document : documents) {
    at::Tensor hidden = at::zeros({document.length, document.length}, at::kBool);
    for (int64_t i = 0; i < document.length; ++i)
      for (int64_t j = 0; j < document.length; ++j)
        if (!sees(document, shape, i, j)) hidden[i][j].fill_(true);
    std::vector<at::Tensor> heads;
    for (int64_t head = 0; head < shape.num_heads; ++head) {
      const auto rows = [&](const at::Tensor& of, int64_t index) {
        return of.narrow(0, document.start, document.length)
            .narrow(1, index * shape.head_dim, shape.head_dim);
      };
      const int64_t kv = head / (shape.num_heads / shape.num_kv_heads);
      at::Tensor scores = at::matmul(rows(q, head), rows(k, kv).t()) * shape.scale;
      if (shape.softcap > 0) scores = shape.softcap * at::tanh(scores / shape.softcap);
      scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
      heads.push_back(at::matmul(at::softmax(scores, 1), rows(v, kv)));
    }
    parts.push_back(at::cat(heads, 1));
  }
  return at::cat(parts, 0);
}

struct Document {
  int64_t length = 0;
  Passages passages;
};

ForwardContext packed(const std::vector<Document>& documents) {
  ForwardContext context;
  int64_t start = 0;
  for (const Document& document : documents) {
    context.segments.push_back(
        {.start = start, .length = document.length, .passages = document.passages});
    start += document.length;
  }
  return context;
}

struct Case {
  const char* name;
  AttentionShape shape;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

const Case kCases[] = {
    {"plain", {4, 4, 16, 0.25}},
    {"grouped_queries", {6, 2, 8, 0.3}},
    {"sliding_window", {4, 2, 8, 0.35, 9}},
    {"wide_window", {2, 1, 8, 0.35, 70}},
    {"soft_capping", {2, 2, 8, 2.0, 0, 3.0}},
    {"capped_and_windowed", {4, 2, 8, 2.0, 20, 3.0}},
};

/// With and without a beginning, shared text between, blocks of queries that hold parts of several
/// passages or lie within one, documents of a few tokens, one without passages.
const std::vector<Document> kDocuments = {
    {30, {{3, 9, 1}, {9, 17, 2}, {20, 26, 3}}}, {90, {}},
    {260, {{0, 70, 2}, {70, 200, 1}}},          {7, {{1, 3, 1}, {3, 5, 2}}},
    {150, {{10, 20, 1}, {64, 128, 4}}},
};

class PassageAttention : public testing::TestWithParam<Case> {
 protected:
  struct Inputs {
    at::Tensor q, k, v;
  };
  static Inputs random(at::ScalarType dtype) {
    at::manual_seed(21);
    int64_t tokens = 0;
    for (const Document& document : kDocuments) tokens += document.length;
    const AttentionShape& s = GetParam().shape;
    const auto make = [&](int64_t heads) {
      return at::randn({tokens, heads * s.head_dim}, at::kDouble).to(dtype);
    };
    return {make(s.num_heads), make(s.num_kv_heads), make(s.num_kv_heads)};
  }
};

TEST_P(PassageAttention, equals_the_slow_reference_in_every_type) {
  for (auto [dtype, allowed] : {std::pair{at::kDouble, 1e-12}, std::pair{at::kFloat, 2e-6},
                                std::pair{at::kBFloat16, 1e-2}}) {
    const Inputs in = random(dtype);
    ForwardContext context = packed(kDocuments);
    const at::Tensor out = attention(in.q, in.k, in.v, GetParam().shape, 0, context);
    const at::Tensor expected =
        slow_attention(in.q.to(at::kDouble), in.k.to(at::kDouble), in.v.to(at::kDouble),
                       GetParam().shape, context.segments);
    EXPECT_LT(relative_error(out, expected), allowed) << dtype;
  }
}

TEST_P(PassageAttention, gradients_equal_autograd_of_the_slow_reference) {
  for (auto [dtype, allowed] : {std::pair{at::kDouble, 1e-11}, std::pair{at::kFloat, 1e-5},
                                std::pair{at::kBFloat16, 3e-2}}) {
    Inputs in = random(dtype), wide;
    for (auto [from, to] : {std::pair{&in.q, &wide.q}, {&in.k, &wide.k}, {&in.v, &wide.v}}) {
      *to = from->to(at::kDouble).detach().clone().set_requires_grad(true);
      from->set_requires_grad(true);
    }
    ForwardContext context = packed(kDocuments);
    const at::Tensor out = attention(in.q, in.k, in.v, GetParam().shape, 0, context);
    const at::Tensor weights = at::randn(out.sizes(), at::kDouble);
    out.backward(weights.to(dtype));
    slow_attention(wide.q, wide.k, wide.v, GetParam().shape, context.segments).backward(weights);
    EXPECT_LT(relative_error(in.q.grad(), wide.q.grad()), allowed) << dtype;
    EXPECT_LT(relative_error(in.k.grad(), wide.k.grad()), allowed) << dtype;
    EXPECT_LT(relative_error(in.v.grad(), wide.v.grad()), allowed) << dtype;
  }
}

TEST_P(PassageAttention, with_a_cache_equals_without_one) {
  c10::NoGradGuard no_grad;
  const Inputs in = random(at::kFloat);
  const AttentionShape& shape = GetParam().shape;
  ForwardContext whole = packed(kDocuments);
  const at::Tensor expected = attention(in.q, in.k, in.v, shape, 0, whole);

  // Forwards of all documents together: a first part that ends within passages, one token, the
  // rest.
  KvCache cache(1, shape.num_kv_heads, shape.head_dim, at::kFloat);
  std::vector<int64_t> slots;
  for (size_t i = 0; i < whole.segments.size(); ++i) slots.push_back(cache.open_slot());
  at::Tensor out = at::full_like(expected, std::nan(""));
  for (int part = 0; part < 3; ++part) {
    ForwardContext context;
    context.kv_cache = &cache;
    std::vector<int64_t> rows;
    for (size_t i = 0; i < whole.segments.size(); ++i) {
      const Segment& document = whole.segments[i];
      const int64_t past = cache.length(slots[i]);
      const int64_t end = part == 0 ? document.length / 2 : part == 1 ? past + 1 : document.length;
      context.segments.push_back({.start = static_cast<int64_t>(rows.size()),
                                  .length = end - past,
                                  .past = past,
                                  .slot = slots[i],
                                  .passages = document.passages});
      for (int64_t t = past; t < end; ++t) rows.push_back(document.start + t);
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

TEST_P(PassageAttention, other_passages_change_no_bit) {
  Inputs in = random(at::kFloat);
  ForwardContext context = packed(kDocuments);
  const at::Tensor before = attention(in.q, in.k, in.v, GetParam().shape, 0, context);
  // Passage 1 of the first document, and what stands between the last two.
  for (const auto& [first, count] : {std::pair{3, 6}, std::pair{17, 3}})
    for (const at::Tensor& part : {in.q, in.k, in.v}) part.narrow(0, first, count).mul_(-50);
  const at::Tensor after = attention(in.q, in.k, in.v, GetParam().shape, 0, context);
  const auto same = [&](int64_t first, int64_t count) {
    return at::equal(before.narrow(0, first, count), after.narrow(0, first, count));
  };
  EXPECT_TRUE(same(0, 3)) << "the beginning";
  EXPECT_TRUE(same(9, 8)) << "passage 2";
  EXPECT_TRUE(same(20, 6)) << "passage 3";
  EXPECT_TRUE(same(30, before.size(0) - 30)) << "other documents";
  EXPECT_FALSE(same(3, 6));
  EXPECT_FALSE(same(26, 4)) << "what is behind all passages sees them";
}

TEST_P(PassageAttention, one_passage_and_none_are_ordinary_attention) {
  const Inputs in = random(at::kFloat);
  std::vector<Document> documents = kDocuments;
  for (Document& document : documents) document.passages.clear();
  ForwardContext ordinary = packed(documents);
  const at::Tensor expected = attention(in.q, in.k, in.v, GetParam().shape, 0, ordinary);
  for (const int64_t begin : {0, 2}) {
    for (Document& document : documents)
      document.passages = {{begin, document.length - (begin == 2 ? 1 : 0), 3}};
    ForwardContext one = packed(documents);
    EXPECT_TRUE(at::equal(attention(in.q, in.k, in.v, GetParam().shape, 0, one), expected));
  }
}

INSTANTIATE_TEST_SUITE_P(shapes, PassageAttention, testing::ValuesIn(kCases), [](const auto& test) {
  return std::string(test.param.name);
});

TEST(PassageAttentionGradients, equal_central_differences) {
  at::manual_seed(22);
  const AttentionShape shape{4, 2, 6, 0.7, 9, 2.0};
  ForwardContext context =
      packed({{12, {{2, 5, 1}, {5, 9, 2}}}, {5, {}}, {4, {{0, 2, 1}, {2, 3, 2}}}});
  EXPECT_LT(gradient_error(
                [&](const auto& in) { return attention(in[0], in[1], in[2], shape, 0, context); },
                {at::randn({21, 24}), at::randn({21, 12}), at::randn({21, 12})}, 60),
            1e-8);
}

}  // namespace
}  // namespace lmoe::nn
