// What must hold for any decoder: packing, the KV cache, sockets, gradients, bad input.
#include "models/decoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <set>

#include "base/error.h"
#include "nn/document_cache.h"
#include "nn/kv_cache.h"
#include "nn/loss.h"
#include "support/gradient_check.h"
#include "support/nudge.h"
#include "support/tiny_decoder.h"

namespace lmoe::models {
namespace {

using test::busy_config;
using test::Nudge;
using test::packed_documents;
using test::relative_error;
using test::tiny_config;
using test::tiny_decoder;

at::Tensor random_ids(int64_t count) {
  at::manual_seed(3);
  return at::randint(tiny_config().vocab_size, {count}, at::kLong);
}

class AnyDecoder : public testing::TestWithParam<bool> {
 protected:
  arch::ModelConfig config() const { return GetParam() ? busy_config() : tiny_config(); }
};
INSTANTIATE_TEST_SUITE_P(configs, AnyDecoder, testing::Bool(), [](const auto& test) {
  return test.param ? "everything" : "plain";
});

TEST_P(AnyDecoder, packed_documents_equal_documents_alone) {
  const c10::NoGradGuard no_grad;
  const auto decoder = tiny_decoder(config());
  const at::Tensor ids = random_ids(60);
  nn::ForwardContext together = packed_documents({7, 1, 40, 12});
  const at::Tensor packed = decoder->forward(ids, together);
  for (const nn::Segment& segment : together.segments) {
    nn::ForwardContext alone = packed_documents({segment.length});
    const at::Tensor one = decoder->forward(ids.narrow(0, segment.start, segment.length), alone);
    EXPECT_LT(relative_error(packed.narrow(0, segment.start, segment.length), one), 1e-5);
  }
}

TEST_P(AnyDecoder, steps_with_a_cache_equal_the_whole_forward) {
  const c10::NoGradGuard no_grad;
  const auto decoder = tiny_decoder(config());
  const at::Tensor ids = random_ids(30);
  nn::ForwardContext whole = packed_documents({18, 12});
  const at::Tensor expected = decoder->forward(ids, whole);

  const arch::ModelConfig& c = decoder->config();
  nn::KvCache cache(c.num_hidden_layers, c.num_key_value_heads, c.head_dim, at::kFloat);
  const int64_t a = cache.open_slot(), b = cache.open_slot();
  const auto feed = [&](std::vector<nn::Segment> segments, const std::vector<int64_t>& rows) {
    nn::ForwardContext context;
    context.kv_cache = &cache;
    context.segments = std::move(segments);
    const at::Tensor index = at::tensor(rows, at::kLong);
    const at::Tensor out = decoder->forward(ids.index_select(0, index), context);
    EXPECT_LT(relative_error(out, expected.index_select(0, index)), 1e-5);
  };
  std::vector<int64_t> prompt;
  for (int64_t t = 0; t < 15; ++t) prompt.push_back(t);
  for (int64_t t = 18; t < 27; ++t) prompt.push_back(t);
  feed({{0, 15, 0, a}, {15, 9, 0, b}}, prompt);
  for (int64_t step = 0; step < 3; ++step)
    feed({{0, 1, 9 + step, b}, {1, 1, 15 + step, a}}, {27 + step, 15 + step});
  cache.truncate(a, 4);
  feed({{0, 14, 4, a}}, {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17});
}

TEST_P(AnyDecoder, computes_the_same_in_double_and_nearly_the_same_in_bfloat16) {
  const c10::NoGradGuard no_grad;
  const at::Tensor ids = random_ids(25);
  nn::ForwardContext context = packed_documents({20, 5});
  const auto logits = [&](at::ScalarType dtype) {
    const auto decoder = tiny_decoder(config(), dtype);
    return decoder->logits(decoder->forward(ids, context));
  };
  const at::Tensor expected = logits(at::kDouble);
  EXPECT_LT(relative_error(logits(at::kFloat), expected), 1e-5);
  EXPECT_LT(relative_error(logits(at::kBFloat16), expected), 0.1);
}

TEST_P(AnyDecoder, gradients_through_every_socket_equal_central_differences) {
  const auto decoder = tiny_decoder(config(), at::kDouble);
  const at::Tensor ids = random_ids(14), labels = random_ids(14).roll(1);
  std::vector<at::Tensor> inputs;
  at::manual_seed(9);
  for (const nn::ProjectionGroup* group : decoder->projection_groups())
    for (const nn::FrozenLinear& linear : group->linears())
      inputs.push_back(0.1 * at::randn(linear.weight.sizes(), at::kDouble));
  const auto loss = [&](const std::vector<at::Tensor>& matrices) {
    size_t next = 0;
    for (nn::ProjectionGroup* group : decoder->projection_groups()) {
      std::vector<at::Tensor> own;
      for (size_t i = 0; i < group->linears().size(); ++i) own.push_back(matrices[next++]);
      group->unplug();
      group->plug(std::make_shared<Nudge>(std::move(own)));
    }
    nn::ForwardContext context = packed_documents({9, 5});
    return nn::labelled_cross_entropy_sum(decoder->forward(ids, context), labels,
                                          decoder->lm_head(),
                                          decoder->config().final_logit_softcapping);
  };
  EXPECT_LT(test::gradient_error(loss, inputs, 6), 1e-7);
}

TEST(Decoder, lists_its_sockets_in_order_of_computation) {
  const auto decoder = tiny_decoder();
  std::string names;
  for (const nn::ProjectionGroup* group : decoder->projection_groups()) {
    names += std::to_string(group->layer()) + " " + group->block() + ":";
    for (const nn::FrozenLinear& linear : group->linears()) names += " " + linear.name;
    names += "; ";
  }
  EXPECT_EQ(names.substr(0, names.size() / 2),
            "0 self_attn: q_proj k_proj v_proj; 0 self_attn: o_proj; "
            "0 mlp: gate_proj up_proj; 0 mlp: down_proj; ");
  EXPECT_EQ(decoder->projection_groups()[4]->linears()[1].module_path,
            "model.layers.1.self_attn.k_proj");
}

/// A trained matrix beside o_proj of the second layer.
at::Tensor nudge_second_layer(const Decoder& decoder) {
  nn::ProjectionGroup* group = decoder.projection_groups()[5];
  at::Tensor matrix = (0.1 * at::randn(group->linears()[0].weight.sizes())).set_requires_grad(true);
  group->plug(std::make_shared<Nudge>(std::vector{matrix}));
  return matrix;
}

/// How many nodes of the graph of `tensor` have a name with `part` in it.
int64_t count_nodes(const at::Tensor& tensor, const std::string& part) {
  std::set<const torch::autograd::Node*> seen;
  std::vector<const torch::autograd::Node*> open = {tensor.grad_fn().get()};
  int64_t count = 0;
  while (!open.empty()) {
    const torch::autograd::Node* node = open.back();
    open.pop_back();
    if (node == nullptr || !seen.insert(node).second) continue;
    count += node->name().find(part) != std::string::npos;
    for (const torch::autograd::Edge& edge : node->next_edges())
      open.push_back(edge.function.get());
  }
  return count;
}

TEST(Decoder, builds_no_graph_below_the_lowest_adapted_layer) {
  const auto decoder = tiny_decoder();
  nn::ForwardContext context = packed_documents({6});
  EXPECT_FALSE(decoder->forward(random_ids(6), context).requires_grad());
  nudge_second_layer(*decoder);
  const at::Tensor above = decoder->forward(random_ids(6), context);
  EXPECT_TRUE(above.requires_grad());
  // Its norms are the one before its MLP and the last one; attention comes before what is trained.
  EXPECT_EQ(count_nodes(above, "RmsNorm"), 2);
  EXPECT_EQ(count_nodes(above, "Attention"), 0);

  nn::ProjectionGroup* lowest = decoder->projection_groups()[0];
  std::vector<at::Tensor> matrices;
  for (const nn::FrozenLinear& linear : lowest->linears())
    matrices.push_back(at::zeros(linear.weight.sizes()).set_requires_grad(true));
  lowest->plug(std::make_shared<Nudge>(matrices));
  EXPECT_EQ(count_nodes(decoder->forward(random_ids(6), context), "Attention"), 2);
}

TEST_P(AnyDecoder, what_enters_the_adapted_layers_is_computed_once_per_document) {
  const auto decoder = tiny_decoder(config());
  const at::Tensor matrix = nudge_second_layer(*decoder);
  const std::vector<int64_t> lengths = {40, 33, 1, 50, 41};
  std::vector<at::Tensor> documents;
  for (const int64_t length : lengths) documents.push_back(random_ids(length).roll(length));
  struct Result {
    at::Tensor hidden, gradient;
  };
  const auto run = [&](const std::vector<size_t>& order, nn::DocumentCache* cache) {
    std::vector<at::Tensor> ids;
    std::vector<int64_t> own;
    for (const size_t i : order) {
      ids.push_back(documents[i]);
      own.push_back(lengths[i]);
    }
    nn::ForwardContext context = packed_documents(own);
    context.frozen_prefix_cache = cache;
    const at::Tensor hidden = decoder->forward(at::cat(ids), context);
    return Result{hidden, torch::autograd::grad({hidden.square().sum()}, {matrix})[0]};
  };
  nn::DocumentCache cache(1 << 20), small(6'000);
  // Other neighbours each time; some documents known and some not.
  const std::vector<std::vector<size_t>> packings = {{0, 1}, {3, 0}, {2, 1, 4, 0}, {4, 3, 2}};
  for (const std::vector<size_t>& packing : packings) {
    const Result plain = run(packing, nullptr);
    for (nn::DocumentCache* kept : {&cache, &small}) {
      const Result result = run(packing, kept);
      EXPECT_TRUE(at::equal(result.hidden, plain.hidden));
      EXPECT_TRUE(at::equal(result.gradient, plain.gradient));
    }
  }
  EXPECT_EQ(cache.documents(), 5);
  EXPECT_FALSE(cache.is_full());
  EXPECT_TRUE(small.is_full());
  EXPECT_LE(small.bytes(), 6'000);
}

TEST_P(AnyDecoder, recomputed_layers_have_the_same_gradients) {
  const auto decoder = tiny_decoder(config());
  std::vector<at::Tensor> trained;
  at::manual_seed(9);
  for (nn::ProjectionGroup* group : decoder->projection_groups()) {
    std::vector<at::Tensor> own;
    for (const nn::FrozenLinear& linear : group->linears())
      own.push_back((0.1 * at::randn(linear.weight.sizes())).set_requires_grad(true));
    trained.insert(trained.end(), own.begin(), own.end());
    group->plug(std::make_shared<Nudge>(own));
  }
  const auto gradients = [&](bool recomputes) {
    nn::ForwardContext context = packed_documents({9, 5});
    if (recomputes) context.recompute_for = &trained;
    const at::Tensor hidden = decoder->forward(random_ids(14), context);
    EXPECT_EQ(count_nodes(hidden, "Attention"), recomputes ? 0 : 2);
    return torch::autograd::grad({hidden.square().sum()}, trained);
  };
  const auto expected = gradients(false), recomputed = gradients(true);
  for (size_t i = 0; i < trained.size(); ++i) EXPECT_TRUE(at::equal(recomputed[i], expected[i]));
}

TEST(Decoder, refuses_ids_and_segments_that_do_not_fit) {
  const c10::NoGradGuard no_grad;
  const auto decoder = tiny_decoder();
  const auto refuses = [&](const at::Tensor& ids, std::vector<nn::Segment> segments) {
    nn::ForwardContext context;
    context.segments = std::move(segments);
    EXPECT_THROW(decoder->forward(ids, context), Error);
  };
  refuses(at::full({3}, 50, at::kLong), {{0, 3}});
  refuses(at::full({3}, -1, at::kLong), {{0, 3}});
  refuses(random_ids(3), {{0, 2}});
  refuses(random_ids(3), {{0, 2}, {1, 2}});
  refuses(random_ids(3), {{0, 3, 5}});
  refuses(random_ids(3), {{0, 3}, {3, 0}});
  refuses(at::empty({0}, at::kLong), {});
}

}  // namespace
}  // namespace lmoe::models
