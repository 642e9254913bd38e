// What a step computes, against counts by hand for SmolLM2-135M.
#include "train/step_work.h"

#include <gtest/gtest.h>

#include "spec/method_info.h"
#include "support/smollm2_shape.h"

namespace lmoe::train {
namespace {

/// Documents one after another, all of the labels on or off.
data::PackedRow row(const std::vector<int32_t>& lengths, bool labelled) {
  data::PackedRow row;
  for (const int32_t length : lengths) {
    row.segments.push_back({static_cast<int32_t>(row.ids.size()), length, 0, 0});
    for (int32_t i = 0; i < length; ++i) {
      row.ids.push_back(1);
      row.labels.push_back(labelled ? 1 : data::kIgnoreLabel);
    }
  }
  return row;
}

spec::MixtureSpec lora(int64_t rank) {
  spec::MixtureSpec spec = spec::find_method("lora").preset();
  spec.experts.rank = rank;
  return spec;
}

constexpr double kMega = 1e6;
// Per token: 30 layers of 3 538 944 weights forward and back; rank x 10 176 per layer three times.
constexpr double kFrozen = 2 * 2 * 30 * 3538944.0;
constexpr double lora_flops(double rank) { return 3 * 2 * 30 * rank * 10176; }

TEST(StepFlops, OfLora) {
  const std::vector<data::PackedRow> rows(4, row({512}, true));
  const double lm_head = 2 * 2 * 49152.0 * 576;
  const double attention = 7 * 2 * 30 * 9 * 64.0 * (513.0 / 2);
  const double per_token = kFrozen + lora_flops(64) + lm_head + attention;
  EXPECT_NEAR(step_flops(lora(64), test::with_smollm2_shape(), rows) / kMega,
              4 * 512 * per_token / kMega, 1.0);
  EXPECT_NEAR(per_token / kMega, 717, 1) << "212 + 212 + 117 + 57 + 57 + 18 + 44";
}

TEST(StepFlops, CountsLabelledTokensAndDocumentsAlone) {
  const std::vector<data::PackedRow> whole = {row({64}, false)}, halves = {row({32, 32}, false)};
  const double pairs = 64 * 65 / 2.0 - 2 * (32 * 33 / 2.0);
  EXPECT_NEAR(step_flops(lora(8), test::with_smollm2_shape(), whole) -
                  step_flops(lora(8), test::with_smollm2_shape(), halves),
              7 * 2 * 30 * 9 * 64 * pairs, 1.0);
  arch::ModelConfig windowed = test::with_smollm2_shape();
  windowed.sliding_window.assign(30, 32);  // queries 33 to 64 see 32 keys and no more
  const double unseen = 32 * 33 / 2.0;
  EXPECT_NEAR(
      step_flops(lora(8), test::with_smollm2_shape(), whole) - step_flops(lora(8), windowed, whole),
      7 * 2 * 30 * 9 * 64 * unseen, 1.0);
}

TEST(StepFlops, CountExpertsThatTakePart) {
  const std::vector<data::PackedRow> rows = {row({64}, false)};
  spec::MixtureSpec mixture = spec::find_method("l-moe").preset();
  mixture.experts.count = 4;
  mixture.experts.rank = 16;
  mixture.select = {spec::SelectKind::kTopK, 2};
  mixture.normalize = spec::Normalize::kRenormalize;
  const double routers = 64 * 3 * 2 * 30 * 4 * (6 * 576.0 + 1536);
  EXPECT_NEAR(step_flops(mixture, test::with_smollm2_shape(), rows),
              step_flops(lora(32), test::with_smollm2_shape(), rows) + routers, 1.0);
}

TEST(GemmRate, IsAPositiveNumberOnceMeasured) {
  GemmRate rate(test::with_smollm2_shape(), 16, at::kFloat);
  EXPECT_EQ(rate.gflops(), 0.0);
  rate.measure();
  EXPECT_GT(rate.gflops(), 0.0);
}

}  // namespace
}  // namespace lmoe::train
