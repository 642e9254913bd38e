#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "train/gradient_step.h"
#include "train/gradients.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

std::vector<at::Tensor> gradients(TinyRun& run,
                                  const std::vector<data::PackedRow>& rows,
                                  int64_t micro_batch_size,
                                  double* loss) {
  const auto parameters = run.mixture->parameters();
  clear_gradients(parameters);
  *loss = gather_gradients({*run.decoder, *run.mixture, rows, micro_batch_size}).loss;
  std::vector<at::Tensor> copies;
  for (const nn::NamedTensor& parameter : parameters)
    copies.push_back(parameter.tensor.grad().clone());
  return copies;
}

/// Away from B = 0, where only B has a gradient.
void randomise(TinyRun& run) {
  at::manual_seed(5);
  for (const nn::NamedTensor& parameter : run.mixture->parameters())
    at::Tensor(parameter.tensor).detach().normal_(0.0, 0.1);
}

class Accumulation : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(All,
                         Accumulation,
                         ::testing::Values("lora", "l-moe", "top-k", "factors"),
                         variant_name);

TEST_P(Accumulation, ManyMicroBatchesEqualOneLargeBatch) {
  recipe::Recipe recipe = variant_recipe("unused", GetParam());
  recipe.mixture.experts.dropout = 0.0;
  recipe.mixture.losses.clear();
  TinyRun run(recipe);
  randomise(run);
  std::vector<data::PackedRow> rows;
  for (int i = 0; i < 6; ++i) rows.push_back(run.rows->next());
  rows[2].ids.resize(5);  // rows of unequal length and unequal share of labels
  rows[2].labels.resize(5);
  rows[2].segments = {{0, 5, 0, 1}};

  double whole_loss = 0.0;
  const std::vector<at::Tensor> whole = gradients(run, rows, 6, &whole_loss);
  for (const int64_t size : {1, 2, 3, 4}) {
    double loss = 0.0;
    const std::vector<at::Tensor> parts = gradients(run, rows, size, &loss);
    EXPECT_NEAR(loss, whole_loss, 1e-6);
    for (size_t i = 0; i < whole.size(); ++i) {
      const double scale = whole[i].abs().max().item<double>();
      ASSERT_GT(scale, 0.0);
      EXPECT_LT((parts[i] - whole[i]).abs().max().item<double>(), 1e-5 * scale) << size;
    }
  }
}

TEST(BalanceLosses, AreWeightedByTokens) {
  recipe::Recipe recipe = tiny_recipe("unused");
  recipe.mixture.experts.dropout = 0.0;
  TinyRun run(recipe);
  randomise(run);
  const data::PackedRow row = run.rows->next();
  double loss = 0.0;
  const std::vector<at::Tensor> once = gradients(run, {row}, 1, &loss);
  const std::vector<at::Tensor> thrice = gradients(run, {row, row, row}, 1, &loss);
  for (size_t i = 0; i < once.size(); ++i)
    EXPECT_LT((once[i] - thrice[i]).abs().max().item<double>(),
              1e-5 * once[i].abs().max().item<double>());
}

}  // namespace
}  // namespace lmoe::train
