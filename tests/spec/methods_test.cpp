#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "spec/method_info.h"

namespace lmoe::spec {
namespace {

using ::testing::HasSubstr;

TEST(Methods, EachPresetIsWholeAndCarriesItsName) {
  ASSERT_FALSE(all_methods().empty());
  for (const MethodInfo& method : all_methods()) {
    const MixtureSpec spec = method.preset();
    EXPECT_EQ(spec.method, method.name);
    EXPECT_NO_THROW(check_mixture(spec, method.name)) << method.name;
    EXPECT_NE(std::string(method.summary), "");
    EXPECT_NE(std::string(method.reference), "");
  }
}

TEST(Methods, EachPresetIsReadBackFromWhatIsWritten) {
  for (const MethodInfo& method : all_methods()) {
    const Json json = write_mixture(method.preset());
    ReadReport report;
    const MixtureSpec again = read_mixture(parse_config(yaml_from_json(json), "m.yaml"), report);
    EXPECT_EQ(write_mixture(again), json) << method.name;
    EXPECT_TRUE(report.notes.empty()) << report.notes.front();
  }
}

TEST(Methods, UnknownNameGetsTheNearest) {
  try {
    find_method("lmoe");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("nearest is \"l-moe\""));
    EXPECT_THAT(error.what(), HasSubstr("lora, rslora, "));
  }
}

// The defaults of the card: l-moe.md, table "Training and hyperparameters" and "Losses".
TEST(Methods, LMoeHasTheDefaultsOfItsCard) {
  const MixtureSpec spec = find_method("l-moe").preset();
  EXPECT_EQ(spec.target_modules.size(), 7u);
  EXPECT_EQ(spec.gate.source, GateSource::kInput);
  EXPECT_EQ(spec.gate.net, GateNet::kLinear);
  EXPECT_EQ(spec.gate.share, GateShare::kProjection);
  EXPECT_EQ(spec.gate.hidden_size, 64);
  EXPECT_EQ(spec.gate.temperature, 1.0);
  EXPECT_EQ(spec.select.kind, SelectKind::kAll);
  EXPECT_EQ(spec.apply, Apply::kDeltas);
  ASSERT_EQ(spec.losses.size(), 1u);
  EXPECT_EQ(spec.losses[0].kind, BalanceLoss::kCv2);
  EXPECT_EQ(spec.losses[0].coef, 1e-2);
  EXPECT_EQ(spec.experts.effective_alpha(), 2.0 * static_cast<double>(spec.experts.rank));
}

// lorafactory.md: multipliers 4, 2, 0.5, 0.25 of 8 experts, softmax over the selected logits.
TEST(Methods, LoraFactorysMolaIsATriangle) {
  const MixtureSpec spec = find_method("lorafactory-mola").preset();
  const std::vector<int64_t> counts = {spec.experts.count_at(0, 32), spec.experts.count_at(8, 32),
                                       spec.experts.count_at(16, 32),
                                       spec.experts.count_at(31, 32)};
  EXPECT_EQ(counts, (std::vector<int64_t>{32, 16, 4, 2}));
  EXPECT_EQ(spec.normalize, Normalize::kSoftmaxSelected);
  EXPECT_EQ(spec.scaling(), 4.0);
}

TEST(Methods, LoraIsOneExpertWithoutARouter) {
  const MixtureSpec spec = find_method("lora").preset();
  EXPECT_EQ(spec.experts.count, 1);
  EXPECT_FALSE(spec.has_gate());
  EXPECT_TRUE(spec.losses.empty());
}

}  // namespace
}  // namespace lmoe::spec
