// A LoRA out of a whole model: what flexmore promises of the factors (arXiv 2602.08818).
#include "runner/extract_adapter.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "io/peft_folder.h"
#include "io/safetensors.h"
#include "nn/tensor_bytes.h"
#include "support/temp_folder.h"

namespace lmoe::runner {
namespace {

using ::testing::HasSubstr;

fs::path fixture(const std::string& name) { return fs::path(LMOE_FIXTURES) / "models" / name; }

at::Tensor values_of(const io::TensorView& view) {
  at::Tensor values = at::empty(view.shape, at::kFloat);
  nn::copy_from_view(view, values);
  return values;
}

/// A copy of the model with numbers added to the tensors whose names contain `part`.
std::string tuned_model(const fs::path& folder, const std::string& part) {
  fs::copy(fixture("llama3"), folder, fs::copy_options::recursive);
  const auto base = arch::open_base_model(fixture("llama3").string());
  at::manual_seed(3);
  std::vector<at::Tensor> storage;
  std::vector<io::TensorView> views;
  for (const std::string& name : base->source->names()) {
    storage.push_back(values_of(*base->source->find(name)));
    if (name.find(part) != std::string::npos)
      storage.back().add_(0.1 * at::randn(storage.back().sizes()));
    views.push_back(nn::view_of(name, storage.back()));
  }
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") fs::remove(entry.path());
  io::write_safetensors(folder / "model.safetensors", views, {{"format", "pt"}});
  return folder.string();
}

class Extract : public ::testing::Test {
 protected:
  Extract() : tuned_(tuned_model(folder_.path() / "tuned", "mlp.")) {}

  ExtractReport extract(const std::string& name, const ExtractOptions& options) const {
    const auto base = arch::open_base_model(fixture("llama3").string());
    const auto tuned = arch::open_base_model(tuned_);
    return extract_adapter(*base, *tuned, options, folder_.path() / name);
  }
  std::string refusal(const ExtractOptions& options) const {
    try {
      extract("never", options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_FALSE(fs::exists(folder_.path() / "never"));
      return error.what();
    }
    return "no error";
  }
  at::Tensor difference(const std::string& module) const {
    const auto base = arch::open_base_model(fixture("llama3").string());
    const auto tuned = arch::open_base_model(tuned_);
    return values_of(*tuned->source->find(module + ".weight")).to(at::kDouble) -
           values_of(*base->source->find(module + ".weight")).to(at::kDouble);
  }
  int64_t full_rank() const {
    const auto config = arch::open_base_model(tuned_)->config;
    return std::min(config.hidden_size, config.intermediate_size);
  }

  test::TempFolder folder_;
  std::string tuned_;
};

TEST_F(Extract, AllRanksGiveTheTunedWeightsBack) {
  extract("all", {.rank = full_rank()});
  const io::LoraFolder adapter = io::read_peft_folder(folder_.path() / "all");
  EXPECT_FALSE(adapter.pairs.empty());
  for (const io::LoraPair& pair : adapter.pairs) {
    EXPECT_EQ(pair.scaling, 1.0);
    const at::Tensor product = at::matmul(values_of(pair.b), values_of(pair.a)).to(at::kDouble);
    EXPECT_LT((product - difference(pair.module)).abs().max().item<double>(), 1e-6) << pair.module;
  }
}

TEST_F(Extract, TheErrorIsTheRootOfTheSquaredSingularValuesLeft) {
  for (const int64_t rank : {1, 3, 7}) {
    const ExtractReport report = extract(std::to_string(rank), {.rank = rank});
    const auto base = arch::open_base_model(fixture("llama3").string());
    EXPECT_EQ(std::ssize(report.matrices), 3 * base->config.num_hidden_layers);
    EXPECT_TRUE(report.left_out.empty());
    for (const ExtractedMatrix& matrix : report.matrices) {
      const at::Tensor delta = difference(matrix.module);
      // Squared singular values, rising, by another way: eigenvalues of a Gram matrix.
      const at::Tensor gram = delta.size(0) < delta.size(1) ? at::matmul(delta, delta.t())
                                                            : at::matmul(delta.t(), delta);
      const at::Tensor squares = at::linalg_eigvalsh(gram);
      const double left = squares.narrow(0, 0, squares.size(0) - rank).sum().item<double>();
      EXPECT_NEAR(matrix.error, std::sqrt(left), 1e-6 * matrix.norm) << matrix.module;
      EXPECT_NEAR(matrix.norm, std::sqrt(squares.sum().item<double>()), 1e-9);
    }
  }
}

TEST_F(Extract, FactorsOfASmallerRankAreTheFirstOfThoseOfALarger) {
  extract("two", {.rank = 2});
  extract("five", {.rank = 5});
  const io::LoraFolder two = io::read_peft_folder(folder_.path() / "two");
  const io::LoraFolder five = io::read_peft_folder(folder_.path() / "five");
  ASSERT_EQ(two.pairs.size(), five.pairs.size());
  for (size_t i = 0; i < two.pairs.size(); ++i) {
    EXPECT_TRUE(at::equal(values_of(two.pairs[i].a), values_of(five.pairs[i].a).narrow(0, 0, 2)));
    EXPECT_TRUE(at::equal(values_of(two.pairs[i].b), values_of(five.pairs[i].b).narrow(1, 0, 2)));
  }
}

TEST_F(Extract, WhatItCannotHoldIsNamed) {
  const ExtractReport report = extract("up", {.rank = 2, .projections = {"up"}});
  EXPECT_THAT(report.left_out, ::testing::Contains(HasSubstr("mlp.gate_proj.weight")));
  EXPECT_THAT(report.left_out, ::testing::Each(HasSubstr("mlp.")));
  EXPECT_EQ(io::read_peft_folder(folder_.path() / "up").config.target_modules,
            std::vector<std::string>{"up_proj"});
}

TEST_F(Extract, WhatCannotBeIsRefusedAndNothingIsWritten) {
  EXPECT_THAT(refusal({.rank = full_rank() + 1}), HasSubstr("gate_proj.weight has shape ["));
  EXPECT_THAT(refusal({.rank = 2, .projections = {"gates"}}), HasSubstr("given \"gates\""));
  EXPECT_THAT(refusal({.rank = 2, .projections = {}}), HasSubstr("given none"));
  EXPECT_THAT(refusal({.rank = 2, .projections = {"q", "o"}}), HasSubstr("does not differ"));
  tuned_ = fixture("qwen3").string();
  EXPECT_THAT(refusal({.rank = 2}), HasSubstr(".weight"));
}

}  // namespace
}  // namespace lmoe::runner
