// Outputs and every gradient against the `peft` package, in float32; the fixtures' generator lies
// beside them.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "mixture/site_bank.h"
#include "nn/tensor_bytes.h"
#include "sections.h"
#include "support/temp_folder.h"

namespace lmoe::test {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(LMOE_FIXTURES) / "mixture" / "peft";
const std::string kLayer = "model.layers.0.mlp.";

at::Tensor read_tensor(const io::WeightSource& file, const std::string& name) {
  const io::TensorView* view = file.find(name);
  LMOE_CHECK_ARG(view != nullptr, "the fixture lacks ", name);
  at::Tensor tensor = at::empty(view->shape, at::kFloat);
  nn::copy_from_view(*view, tensor);
  return tensor;
}

struct Case {
  const char* folder;
  const char* experts;  ///< of the `mixture:` section
};

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.folder; }

class PeftParity : public ::testing::TestWithParam<Case> {
 protected:
  PeftParity()
      : base_(io::SafetensorsFile::open(kFolder / "base.safetensors")),
        expected_(io::SafetensorsFile::open(kFolder / GetParam().folder / "expected.safetensors")),
        gate_up_(0, "mlp", {linear("gate_proj"), linear("up_proj")}),
        down_(0, "mlp", {linear("down_proj")}) {}

  nn::FrozenLinear linear(const std::string& name) const {
    const bool has_bias = base_->find(name + ".bias") != nullptr;
    return {name, kLayer + name, read_tensor(*base_, name + ".weight"),
            has_bias ? read_tensor(*base_, name + ".bias") : at::Tensor()};
  }

  /// The adapter PEFT wrote, as the only expert of a run.
  std::unique_ptr<mixture::Mixture> load(const fs::path& run) {
    const std::string section = std::string("{method: lora, experts: {") + GetParam().experts +
                                "}, target_modules: [gate_proj, up_proj, down_proj]}";
    const spec::MixtureSpec spec = read_section(section);
    write_file_atomically(run / "mixture.yaml", yaml_from_json(spec::write_mixture(spec)));
    const fs::path expert = run / "experts" / "expert0";
    fs::create_directories(expert);
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
      fs::copy_file(kFolder / GetParam().folder / file, expert / file);
    auto mixture = mixture::Mixture::load(run, std::vector{&gate_up_, &down_});
    mixture->plug(std::vector{&gate_up_, &down_});
    return mixture;
  }

  at::Tensor forward(const at::Tensor& x) const {
    nn::ForwardContext context;
    const auto gate_up = gate_up_.forward({x, x}, context);
    return down_.forward({at::silu(gate_up[0]) * gate_up[1], x}, context)[0];
  }

  /// Sums of a few products of numbers near 1 in float32.
  void expect_equal(const at::Tensor& actual, const std::string& name) const {
    const at::Tensor expected = read_tensor(*expected_, name);
    ASSERT_EQ(actual.sizes(), expected.sizes()) << name;
    const double scale = std::max(1.0, expected.abs().max().item<double>());
    EXPECT_LT((actual - expected).abs().max().item<double>(), 2e-6 * scale) << name;
    ++compared_;
  }

  std::shared_ptr<io::WeightSource> base_, expected_;
  nn::ProjectionGroup gate_up_, down_;
  mutable size_t compared_ = 0;
};

TEST_P(PeftParity, OutputsAndEveryGradient) {
  const TempFolder run;
  const auto mixture = load(run.path());
  const at::Tensor x = read_tensor(*base_, "x").requires_grad_(true);
  const at::Tensor y = forward(x);
  (y * read_tensor(*base_, "direction")).sum().backward();
  expect_equal(y.detach(), "y");
  expect_equal(x.grad(), "gradient.x");
  for (const auto& site : mixture->banks()) {
    const mixture::ExpertBank& bank = site->bank();
    const auto count = static_cast<int64_t>(bank.targets().size());
    for (size_t t = 0; t < bank.targets().size(); ++t) {
      const std::string name =
          "gradient.base_model.model." + bank.targets()[t].module_path + ".lora_";
      expect_equal(bank.a().grad().chunk(count)[t], name + "A.weight");
      expect_equal(bank.b_rows(t).grad().t(), name + "B.weight");
    }
    for (const nn::NamedTensor& parameter : bank.parameters()) {
      if (!parameter.name.ends_with("lora_magnitude_vector")) continue;
      const std::string site_name = parameter.name.substr(std::string("layers.0.mlp.").size());
      expect_equal(parameter.tensor.grad()[0],
                   std::string("gradient.base_model.model.").append(kLayer).append(site_name));
    }
  }
  EXPECT_EQ(compared_, expected_->names().size()) << "every tensor of the fixture is compared";
}

TEST_P(PeftParity, WhatIsSavedIsWhatPeftSaved) {
  const TempFolder run, again;
  const auto mixture = load(run.path());
  mixture->save(again.path(), "tiny");
  const char* file = "adapter_model.safetensors";
  const auto theirs = io::SafetensorsFile::open(kFolder / GetParam().folder / file);
  const auto ours = io::SafetensorsFile::open(again.path() / "experts" / "expert0" / file);
  ASSERT_EQ(ours->names().size(), theirs->names().size());
  for (const std::string& name : theirs->names())
    EXPECT_TRUE(at::equal(read_tensor(*ours, name), read_tensor(*theirs, name))) << name;
}

INSTANTIATE_TEST_SUITE_P(Kinds,
                         PeftParity,
                         ::testing::Values(Case{"lora", "rank: 2, alpha: 3"},
                                           Case{"rslora", "rank: 3, alpha: 2, use_rslora: true"},
                                           Case{"dora", "rank: 2, alpha: 3, use_dora: true"}),
                         case_name);

}  // namespace
}  // namespace lmoe::test
