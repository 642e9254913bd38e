// Several workers against one that does all their micro-batches, in double.
#include "train/gather_over_workers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <stdexcept>

#include "distributed/all_or_none.h"
#include "support/thread_workers.h"
#include "train/gradients.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

constexpr int64_t kMicroBatches = 5;

/// One worker's model; the same in all of them.
struct Model {
  explicit Model(const recipe::Recipe& recipe)
      : decoder(one_at_a_time()), mixture(recipe.mixture, decoder->sockets(), 7, at::kDouble) {
    mixture.plug(decoder->sockets());
    double phase = 0.0;  // away from B = 0, where only B has a gradient
    for (const nn::NamedTensor& parameter : mixture.parameters()) {
      at::Tensor value = parameter.tensor.detach();
      value.copy_(at::sin(at::arange(value.numel(), at::kDouble) * 1.7 + ++phase)
                      .mul(0.1)
                      .view(value.sizes()));
    }
  }

  /// Its weights come from the one generator that all threads share.
  static std::unique_ptr<models::Decoder> one_at_a_time() {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    return test::tiny_decoder(test::tiny_config(), at::kDouble);
  }

  std::unique_ptr<models::Decoder> decoder;
  mixture::Mixture mixture;
};

struct Outcome {
  GradientResult result;
  std::vector<at::Tensor> gradients, biases;
};

Outcome gather(distributed::ProcessGroup& group,
               const recipe::Recipe& recipe,
               const std::vector<data::PackedRow>& rows) {
  Model model(recipe);
  Outcome outcome;
  const auto parameters = model.mixture.parameters();
  outcome.result = gather_over_workers(group,
                                       {.decoder = *model.decoder,
                                        .mixture = model.mixture,
                                        .rows = rows,
                                        .micro_batch_size = 1,
                                        .step = 3,
                                        .seed = 11,
                                        .want_statistics = true},
                                       parameters);
  for (const nn::NamedTensor& parameter : parameters)
    outcome.gradients.push_back(parameter.tensor.grad());
  model.mixture.update_biases(outcome.result.selections);
  for (const nn::NamedTensor& bias : model.mixture.buffers()) outcome.biases.push_back(bias.tensor);
  return outcome;
}

void expect_equal(const Outcome& many, const Outcome& one) {
  EXPECT_NEAR(many.result.loss, one.result.loss, 1e-12);
  EXPECT_EQ(many.result.tokens, one.result.tokens);
  EXPECT_EQ(many.result.labelled_tokens, one.result.labelled_tokens);
  ASSERT_EQ(many.result.balance.size(), one.result.balance.size());
  for (const auto& [name, value] : one.result.balance)
    EXPECT_NEAR(many.result.balance.at(name), value, 1e-12) << name;
  ASSERT_EQ(many.result.router.load().size(), one.result.router.load().size());
  for (size_t layer = 0; layer < one.result.router.load().size(); ++layer) {
    EXPECT_NEAR(many.result.router.entropy()[layer], one.result.router.entropy()[layer], 1e-12);
    for (size_t e = 0; e < one.result.router.load()[layer].size(); ++e)
      EXPECT_NEAR(many.result.router.load()[layer][e], one.result.router.load()[layer][e], 1e-12);
  }
  EXPECT_TRUE(same_bits(many.biases, one.biases));
  for (size_t i = 0; i < one.gradients.size(); ++i) {
    ASSERT_EQ(many.gradients[i].defined(), one.gradients[i].defined()) << i;
    if (!one.gradients[i].defined()) continue;
    const double scale = one.gradients[i].abs().max().item<double>();
    EXPECT_LE((many.gradients[i] - one.gradients[i]).abs().max().item<double>(), 1e-12 * scale);
  }
}

class OverWorkers : public ::testing::TestWithParam<const char*> {
 protected:
  OverWorkers() : recipe_(make_recipe(GetParam())) {
    TinyRun run(recipe_);
    for (int64_t i = 0; i < kMicroBatches; ++i) rows_.push_back(run.rows->next());
  }

  static recipe::Recipe make_recipe(const std::string& method) {
    recipe::Recipe recipe = method == "top-k" || method == "mixlora-switch" || method == "remix"
                                ? variant_recipe("unused", method)
                                : tiny_recipe("unused", method);
    if (method == "l-moe") recipe.mixture.losses = {{spec::BalanceLoss::kImportance, 0.1}};
    if (method == "top-k") recipe.mixture.losses = {{spec::BalanceLoss::kTopKSwitch, 0.1}};
    if (method == "smora") {
      recipe.mixture.experts.count = 8;
      recipe.mixture.experts.rank = 1;
      recipe.mixture.select.k = 2;
      recipe.mixture.bias.rate = 0.01;
    }
    return recipe;
  }

  recipe::Recipe recipe_;
  std::vector<data::PackedRow> rows_;
};

// Losses of squared means, of counts times means, draws, counts for biases.
INSTANTIATE_TEST_SUITE_P(
    All,
    OverWorkers,
    ::testing::Values("lora", "l-moe", "top-k", "mixlora-switch", "remix", "smora"),
    variant_name);

TEST_P(OverWorkers, GiveTheGradientsOfOneWithAllMicroBatches) {
  const Outcome one = gather(distributed::alone(), recipe_, rows_);
  for (const int workers : {2, 3}) {
    test::run_workers(workers, [&](std::unique_ptr<distributed::ProcessGroup> group) {
      expect_equal(gather(*group, recipe_, rows_), one);
    });
  }
}

TEST(OverWorkersTogether, OneThatIsToldToStopStopsAll) {
  const recipe::Recipe recipe = tiny_recipe("unused");
  TinyRun run(recipe);
  const std::vector<data::PackedRow> rows = {run.rows->next(), run.rows->next()};
  test::run_workers(2, [&](std::unique_ptr<distributed::ProcessGroup> group) {
    Model model(recipe);
    const std::function<bool()> stop = [&] { return group->rank() == 1; };
    const GradientResult result = gather_over_workers(
        *group,
        {.decoder = *model.decoder, .mixture = model.mixture, .rows = rows, .should_stop = &stop},
        model.mixture.parameters());
    EXPECT_TRUE(result.interrupted);
  });
}

/// One micro-batch for each of two workers.
class OneOfTwo : public ::testing::Test {
 protected:
  OneOfTwo() : recipe_(tiny_recipe("unused")) {
    TinyRun run(recipe_);
    rows_ = {run.rows->next(), run.rows->next()};
  }

  GradientResult gather(distributed::ProcessGroup& group, const Model& model) const {
    return gather_over_workers(group,
                               {.decoder = *model.decoder, .mixture = model.mixture, .rows = rows_},
                               model.mixture.parameters());
  }

  recipe::Recipe recipe_;
  std::vector<data::PackedRow> rows_;
};

TEST_F(OneOfTwo, ThatFailsInItsBackwardEndsBothAndNobodyWaits) {
  test::run_workers(2, [&](std::unique_ptr<distributed::ProcessGroup> group) {
    Model model(recipe_);
    const at::Tensor some = model.mixture.parameters()[3].tensor;
    const unsigned hook = group->rank() == 1 ? some.register_hook([](const at::Tensor& gradient) {
      throw std::runtime_error("no gradient today");
      return gradient;
    })
                                             : 0;
    try {
      gather(*group, model);
      ADD_FAILURE() << "worker " << group->rank();
    } catch (const distributed::FailedElsewhere& failure) {
      EXPECT_EQ(group->rank(), 0);
      EXPECT_EQ(failure.exit_code(), 1);
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(group->rank(), 1);
      EXPECT_NE(std::string(error.what()).find("no gradient today"), std::string::npos);
    }
    if (group->rank() == 1) some.remove_hook(hook);
    for (const nn::NamedTensor& parameter : model.mixture.parameters())
      at::Tensor(parameter.tensor).mutable_grad() = at::Tensor();
    EXPECT_FALSE(gather(*group, model).interrupted) << "they still understand each other";
  });
}

TEST_F(OneOfTwo, WhoseLossIsNotFiniteEndsBoth) {
  test::run_workers(2, [&](std::unique_ptr<distributed::ProcessGroup> group) {
    Model model(recipe_);
    if (group->rank() == 1) model.mixture.parameters()[0].tensor.detach().fill_(NAN);
    try {
      gather(*group, model);
      ADD_FAILURE() << "worker " << group->rank();
    } catch (const distributed::FailedElsewhere& failure) {
      EXPECT_EQ(group->rank(), 0);
      EXPECT_EQ(failure.exit_code(), exit_code(ErrorCode::kDiverged));
    } catch (const Error& error) {
      EXPECT_EQ(group->rank(), 1);
      EXPECT_EQ(error.code(), ErrorCode::kDiverged);
    }
  });
}

}  // namespace
}  // namespace lmoe::train
