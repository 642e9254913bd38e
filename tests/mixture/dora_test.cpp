// DoRA besides what the conformance suite and peft_parity_test see: first values, dropout, and
// folders that do not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "io/peft_folder.h"
#include "mixture/dropout.h"
#include "mixture/site_bank.h"
#include "sections.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

TEST(Dora, MagnitudesBeginAsTheLengthsOfTheFrozenRows) {
  const TinyModel model(1);
  const mixture::Mixture mixture(read_section("{method: dora, experts: {rank: 2}}"), model.groups(),
                                 3, at::kDouble);
  for (const auto& site : mixture.banks()) {
    for (size_t t = 0; t < site->bank().targets().size(); ++t) {
      const mixture::BankTarget& target = site->bank().targets()[t];
      const at::Tensor lengths = target.weight.expand().norm(/*p=*/2, /*dim=*/1);
      EXPECT_LT(max_difference(site->bank().folder_factors(t, 0).magnitude, lengths), 1e-14);
    }
  }
}

TEST(Dora, RowsOfZerosStayZeroAndFinite) {
  const TinyModel model(1);
  model.groups()[0]->linears()[1].weight.expand()[2].zero_();
  mixture::Mixture mixture(read_section("{method: dora, experts: {rank: 2}}"), model.groups(), 3,
                           at::kDouble);
  mixture.plug(model.groups());
  const at::Tensor out = model.forward(numbers({4, kHidden}, 1, at::kDouble));
  EXPECT_TRUE(at::isfinite(out).all().item<bool>());
}

// As PEFT: both halves read the x that dropout left, and the frozen part is computed again from it.
TEST(Dora, DropoutReachesTheFrozenPart) {
  const TinyModel model(1);
  mixture::Mixture mixture(
      read_section("{method: dora, experts: {rank: 2, dropout: 0.5}, target_modules: [o_proj]}"),
      model.groups(), 3, at::kDouble);
  mixture.plug(model.groups());
  const nn::ProjectionGroup& group = *model.groups()[1];
  const nn::FrozenLinear& linear = group.linears()[0];
  const at::Tensor x = numbers({3, kHeads}, 1, at::kDouble);
  mixture.banks()[0]->bank().folder_factors(0, 0).magnitude.detach().mul_(3);  // B is zero: c = 3
  Rng rng(5);
  nn::ForwardContext context;
  context.is_training = true;
  context.dropout_rng = &rng;
  const at::Tensor y = group.forward({x, x}, context)[0];
  Rng same(5);
  const at::Tensor mask = mixture::dropout(at::ones_like(x), 0.5, same);
  const at::Tensor frozen = at::linear(x, linear.weight.expand(), linear.bias);
  EXPECT_LT(max_difference(y, frozen + 2 * at::linear(x * mask, linear.weight.expand())), 1e-13);
}

TEST(Dora, FoldersOfTheOtherKindAreRefused) {
  const TinyModel model(1);
  for (const char* wanted : {"true", "false"}) {
    const TempFolder run;
    const std::string other = wanted == std::string("true") ? "false" : "true";
    const std::string rest = "}, target_modules: [q_proj]}";
    mixture::Mixture(
        read_section(
            std::string("{method: lora, experts: {rank: 2, use_dora: ").append(other).append(rest)),
        model.groups(), 3)
        .save(run.path(), "tiny");
    const spec::MixtureSpec spec =
        read_section(std::string("{method: lora, experts: {rank: 2, use_dora: ") + wanted + rest);
    write_file_atomically(run.path() / "mixture.yaml", yaml_from_json(spec::write_mixture(spec)));
    try {
      mixture::Mixture::load(run.path(), model.groups());
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorruptData);
      EXPECT_THAT(error.what(), ::testing::HasSubstr("use_dora is " + other));
    }
  }
}

TEST(Dora, PartsThatContradictAreRefused) {
  const auto message = [](const std::string& section) -> std::string {
    try {
      read_section(section);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_THAT(message("{experts: {kind: core, use_dora: true}}"),
              ::testing::HasSubstr("given kind core, expected lora"));
  EXPECT_THAT(message("{experts: {use_dora: true}, apply: factors}"),
              ::testing::HasSubstr("given apply factors, expected deltas"));
}

}  // namespace
}  // namespace lmoe::test
