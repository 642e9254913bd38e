#include "spec/fit_parameters.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "spec/method_info.h"

namespace lmoe::spec {
namespace {

constexpr DecoderShape kShape = {.layers = 30,
                                 .hidden_size = 576,
                                 .query_size = 576,
                                 .key_size = 192,
                                 .intermediate_size = 1536};

TEST(FitParameters, GivesBackTheRankAMixtureHas) {
  for (const MethodInfo& method : all_methods()) {
    const MixtureSpec preset = method.preset();
    const MixtureSpec again =
        fit_parameters(preset, kShape, mixture_cost(preset, kShape).parameters);
    EXPECT_EQ(again.experts.rank, preset.experts.rank) << method.name;
    EXPECT_EQ(again.experts.count, preset.experts.count) << method.name;
  }
}

TEST(FitParameters, NoNeighbourComesNearer) {
  constexpr int64_t kWanted = 5'000'000;
  const auto distance = [](const MixtureSpec& spec) {
    return std::abs(mixture_cost(spec, kShape).parameters - kWanted);
  };
  for (const MethodInfo& method : all_methods()) {
    const MixtureSpec fitted = fit_parameters(method.preset(), kShape, kWanted);
    for (const int64_t step : {-1, 1}) {
      MixtureSpec other = fitted;
      int64_t& size =
          other.experts.kind == ExpertKind::kRankOne ? other.experts.count : other.experts.rank;
      size += step;
      if (size < 1) continue;  // MeteoRA's 28 experts are more than was wanted even of rank 1
      EXPECT_LE(distance(fitted), distance(other)) << method.name << " " << step;
    }
  }
}

TEST(FitParameters, StaysWithinTheGrammar) {
  EXPECT_EQ(fit_parameters(find_method("l-moe").preset(), kShape, 1).experts.rank, 1);
  const MixtureSpec smora = fit_parameters(find_method("smora").preset(), kShape, 1);
  EXPECT_EQ(smora.experts.count, 8);  // k of them take part
  EXPECT_EQ(smora.experts.rank, 1);
}

}  // namespace
}  // namespace lmoe::spec
