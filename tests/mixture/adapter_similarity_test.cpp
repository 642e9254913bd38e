// k-shot.md: how alike adapters are, by their deltas.
#include "mixture/adapter_similarity.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "mixture/load_adapter.h"
#include "nn/tensor_bytes.h"
#include "reference.h"
#include "sections.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using ::testing::HasSubstr;

/// The factors of one adapter, by module.
using Factors = std::vector<std::pair<at::Tensor, at::Tensor>>;

class Similarity : public ::testing::Test {
 protected:
  static inline const std::vector<std::string> kModules = {"model.layers.0.self_attn.q_proj",
                                                           "model.layers.1.mlp.up_proj"};
  static inline const std::vector<std::pair<int64_t, int64_t>> kShapes = {{6, 5}, {4, 9}};

  static Factors random_factors(int64_t rank, uint64_t seed) {
    Factors factors;
    for (size_t m = 0; m < kModules.size(); ++m)
      factors.emplace_back(numbers({rank, kShapes[m].second}, seed + 10 * m, at::kFloat),
                           numbers({kShapes[m].first, rank}, seed + 10 * m + 5, at::kFloat));
    return factors;
  }

  /// Reads back what it has written. Module `m` is called `modules[m]`.
  fs::path write(const std::string& name,
                 const Factors& factors,
                 const std::vector<std::string>& modules = kModules,
                 bool use_dora = false) {
    io::LoraConfig config;
    config.rank = factors[0].first.size(0);
    config.alpha = 3;
    config.use_dora = use_dora;
    std::vector<io::LoraPair> pairs;
    std::vector<at::Tensor> magnitudes;
    for (size_t m = 0; m < factors.size(); ++m) {
      pairs.push_back({modules[m], nn::view_of("lora_A", factors[m].first),
                       nn::view_of("lora_B", factors[m].second)});
      if (!use_dora) continue;
      magnitudes.push_back(at::ones({factors[m].second.size(0)}));
      pairs.back().magnitude = nn::view_of("magnitude", magnitudes.back());
    }
    io::write_peft_folder(folder_.path() / name, config, pairs);
    return folder_.path() / name;
  }

  static std::vector<std::vector<double>> cosines(const std::vector<fs::path>& paths) {
    const std::vector<io::LoraFolder> bank = mixture::read_bank(paths);
    std::vector<const io::LoraFolder*> all;
    for (const io::LoraFolder& one : bank) all.push_back(&one);
    return mixture::delta_cosines(all);
  }

  static double dense_cosine(const Factors& one, const Factors& other) {
    double sum = 0.0;
    for (size_t m = 0; m < one.size(); ++m) {
      const auto delta = [&](const Factors& factors) {
        return at::matmul(factors[m].second.to(at::kDouble), factors[m].first.to(at::kDouble));
      };
      const at::Tensor a = delta(one), b = delta(other);
      sum += ((a * b).sum() / (a.norm() * b.norm())).item<double>();
    }
    return sum / static_cast<double>(one.size());
  }

  std::string refusal(const std::vector<fs::path>& paths, ErrorCode code) const {
    try {
      mixture::read_bank(paths);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      return error.what();
    }
    return "no error";
  }

  TempFolder folder_;
};

TEST_F(Similarity, CosinesOfFactorsEqualThoseOfDenseDeltas) {
  const std::vector<Factors> all = {random_factors(2, 1), random_factors(3, 2),
                                    random_factors(1, 3)};
  const auto found = cosines({write("a", all[0]), write("b", all[1]), write("c", all[2])});
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(found[i][i], 1.0);
    for (size_t j = 0; j < all.size(); ++j)
      EXPECT_NEAR(found[i][j], dense_cosine(all[i], all[j]), 1e-12) << i << " " << j;
  }
}

TEST_F(Similarity, OtherFactorsOfOneDeltaAreTheSameAdapterAndItsNegativeTheOpposite) {
  const Factors own = random_factors(2, 1);
  Factors turned, negative, zero;
  const at::Tensor mix = at::tensor({2.0F, 1.0F, 1.0F, 1.0F}).view({2, 2});
  const at::Tensor inverse = at::tensor({1.0F, -1.0F, -1.0F, 2.0F}).view({2, 2});
  for (const auto& [a, b] : own) {
    turned.emplace_back(at::matmul(mix, a), at::matmul(b, inverse));
    negative.emplace_back(a, -b);
    zero.emplace_back(a, at::zeros_like(b));
  }
  const auto found = cosines({write("own", own), write("turned", turned),
                              write("negative", negative), write("zero", zero)});
  EXPECT_NEAR(found[0][1], 1.0, 1e-6);
  EXPECT_NEAR(found[0][2], -1.0, 1e-12);
  EXPECT_EQ(found[0][3], 0.0);
}

// A subset with both copies of an adapter against the same with a third one in the copy's place:
// its mean cosine is larger, so the paper's 1 / mean is smaller.
TEST_F(Similarity, ACopyNeverMakesASubsetMoreDiverse) {
  const Factors own = random_factors(2, 1);
  int compared = 0;
  for (uint64_t seed = 4; seed < 12; ++seed) {
    const auto found = cosines({write("own", own), write("copy", own),
                                write(concat("b", seed), random_factors(2, seed)),
                                write(concat("c", seed), random_factors(3, seed + 50))});
    const auto mean = [&](size_t i, size_t j, size_t k) {
      return (found[i][j] + found[i][k] + found[j][k]) / 3;
    };
    EXPECT_NEAR(found[0][1], 1.0, 1e-12);
    EXPECT_NEAR(found[1][2], found[0][2], 1e-12);
    if (found[3][2] > found[1][2])
      continue;  // the invariant is about a third one that is less alike
    EXPECT_GT(mean(0, 1, 2), mean(0, 3, 2));
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST_F(Similarity, BanksOfDifferentModulesShapesOrKindsAreRefused) {
  const fs::path good = write("good", random_factors(2, 1));
  EXPECT_THAT(refusal({good, folder_.path() / "none"}, ErrorCode::kNotFound),
              HasSubstr("no such adapter"));
  const fs::path other =
      write("other", random_factors(2, 1), {kModules[0], "model.layers.1.mlp.gate_proj"});
  EXPECT_THAT(refusal({good, other}, ErrorCode::kInvalidArgument),
              HasSubstr("good adapts model.layers.1.mlp.up_proj, " + other.string() + " does not"));
  Factors more = random_factors(2, 1);
  more.push_back(more[0]);
  const fs::path larger =
      write("larger", more, {kModules[0], kModules[1], "model.layers.3.mlp.up_proj"});
  EXPECT_THAT(refusal({good, larger}, ErrorCode::kInvalidArgument),
              HasSubstr("larger adapts model.layers.3.mlp.up_proj"));
  const fs::path swapped = write("swapped", random_factors(2, 1), {kModules[1], kModules[0]});
  EXPECT_THAT(refusal({good, swapped}, ErrorCode::kInvalidArgument),
              HasSubstr("is [4, 9], expected [6, 5]"));
  const fs::path dora = write("dora", random_factors(2, 1), kModules, /*use_dora=*/true);
  EXPECT_THAT(refusal({good, dora}, ErrorCode::kUnsupported), HasSubstr("is a DoRA"));
}

TEST_F(Similarity, NumbersThatAreNoneAreNamed) {
  Factors broken = random_factors(2, 1);
  broken[1].second[0][0] = std::numeric_limits<float>::quiet_NaN();
  const auto paths = {write("good", random_factors(2, 1)), write("broken", broken)};
  try {
    cosines(paths);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorruptData);
    EXPECT_THAT(error.what(), HasSubstr("model.layers.1.mlp.up_proj"));
  }
}

TEST(MixtureOfAdapter, AddsWhatTheAdapterDoes) {
  const TinyModel model(2);
  TempFolder folder;
  mixture::Mixture lora(read_section("{method: lora, experts: {rank: 2, alpha: 5, names: [only]}, "
                                     "target_modules: [q_proj, o_proj, up_proj]}"),
                        model.sockets(), 3, at::kDouble);
  randomize(lora, 5);
  lora.save(folder.path(), "tiny");
  const at::Tensor input = numbers({4, kHidden}, 1, at::kDouble);
  lora.plug(model.sockets());
  const at::Tensor expected = model.forward(input);
  lora.unplug(model.sockets());
  const auto alone =
      mixture::mixture_of_adapter(folder.path() / "experts" / "only", model.sockets());
  alone->plug(model.sockets());
  const at::Tensor output = model.forward(input);
  alone->unplug(model.sockets());
  EXPECT_TRUE(at::allclose(output, expected, 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(output, model.forward(input), 1e-2, 1e-2));
}

}  // namespace
}  // namespace lmoe::test
