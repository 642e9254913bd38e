// X-LoRAs of the real PEFT package (tests/fixtures/x_lora/generate.py): outputs, scalings, loss and
// every gradient of the classifier; folders that are written are read again.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "arch/base_model.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "mixture/gate.h"
#include "mixture/x_lora_folder.h"
#include "models/decoder.h"
#include "support/expected_tensors.h"
#include "support/gradient_check.h"
#include "support/temp_folder.h"

namespace lmoe::runner {
namespace {

using test::ExpectedTensors;
using ::testing::HasSubstr;

fs::path fixture(const std::string& name) { return fs::path(LMOE_FIXTURES) / "x_lora" / name; }

struct Model {
  explicit Model(const fs::path& folder)
      : base(arch::open_base_model((fs::path(LMOE_FIXTURES) / "models" / "llama2").string())),
        decoder(models::Decoder::load(*base, {})),
        mixture(mixture::load_x_lora_folder(folder, decoder->sockets())) {
    mixture->plug(decoder->sockets());
  }

  /// Logits of ids [B, T], each row a document. [B, T, V]
  at::Tensor forward(const at::Tensor& ids, nn::RouterLog* log = nullptr) const {
    nn::ForwardContext context;
    for (int64_t row = 0; row < ids.size(0); ++row)
      context.segments.push_back({.start = row * ids.size(1), .length = ids.size(1)});
    context.router_log = log;
    const at::Tensor hidden = decoder->forward(ids.reshape({-1}), context);
    return decoder->logits(hidden).view({ids.size(0), ids.size(1), -1});
  }

  std::unique_ptr<arch::BaseModel> base;
  std::unique_ptr<models::Decoder> decoder;
  std::unique_ptr<mixture::Mixture> mixture;
};

/// [B, T, L, N] as the package's classifier gives them: before top-k and a second softmax.
at::Tensor scalings_of(const nn::RouterLog& log, const at::Tensor& like, bool are_logits) {
  std::vector<at::Tensor> all;
  for (const nn::GateRecord& record : log.records)
    all.push_back(are_logits ? record.logits : record.probabilities);
  return at::stack(all, /*dim=*/1).view({like.size(0), like.size(1), -1, like.size(3)});
}

class XLora : public ::testing::TestWithParam<const char*> {};

TEST_P(XLora, outputs_scalings_loss_and_gradients_are_those_of_peft) {
  const Model model(fixture(GetParam()));
  const ExpectedTensors expected(fixture(GetParam()) / "expected.safetensors");
  const at::Tensor ids = expected.get("ids");
  nn::RouterLog log;
  const at::Tensor logits = model.forward(ids, &log);
  EXPECT_LT(test::relative_error(logits, expected.get("logits")), 1e-5);
  const spec::MixtureSpec& spec = model.mixture->spec();
  const at::Tensor scalings = expected.get("scalings");
  const at::Tensor own = scalings_of(log, scalings, spec.normalize == spec::Normalize::kLogits);
  // Not layerwise: PEFT repeats the same for each projection.
  EXPECT_LT(test::relative_error(own.expand_as(scalings), scalings), 1e-5);

  const int64_t count = ids.size(1) - 1;
  const at::Tensor loss =
      at::cross_entropy_loss(logits.narrow(1, 0, count).reshape({-1, logits.size(2)}),
                             ids.narrow(1, 1, count).reshape({-1}));
  EXPECT_NEAR(loss.item<double>(), expected.get("loss").item<double>(), 1e-5);
  loss.backward();
  const auto tensors = model.mixture->gates()[0]->tensors();
  const int spacing = spec.gate.dropout > 0 ? 3 : 2;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string name =
        concat("grad.layers.", spacing * static_cast<int>(i / 2), i % 2 == 0 ? ".weight" : ".bias");
    EXPECT_LT(test::relative_error(tensors[i].tensor.grad(), expected.get(name)), 1e-4) << name;
  }
}

TEST_P(XLora, what_is_written_is_read_again) {
  const c10::NoGradGuard no_grad;
  const Model model(fixture(GetParam()));
  const test::TempFolder folder;
  mixture::save_x_lora_folder(*model.mixture, folder.path() / "out", "llama2");
  const Model again(folder.path() / "out");
  const at::Tensor ids = ExpectedTensors(fixture(GetParam()) / "expected.safetensors").get("ids");
  EXPECT_LT(test::relative_error(again.forward(ids), model.forward(ids)), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Variants,
                         XLora,
                         ::testing::Values("layerwise",
                                           "deep_top_2",
                                           "softmax_twice",
                                           "one_for_all_layers",
                                           "first_pass_with_adapters"));

/// A copy of a fixture's folder that may be damaged.
class XLoraFolder : public ::testing::Test {
 protected:
  XLoraFolder() : path_(folder_.path() / "x-lora") {
    fs::copy(fixture("layerwise"), path_, fs::copy_options::recursive);
    fs::remove(path_ / "expected.safetensors");
  }

  void change(const std::string& key, const Json& value) const {
    const fs::path file = path_ / "adapter_config.json";
    Json config = Json::parse(read_file(file));
    config[key] = value;
    write_file_atomically(file, config.dump());
  }

  std::string refusal() const {
    try {
      const Model model(path_);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  test::TempFolder folder_;
  fs::path path_;
};

TEST_F(XLoraFolder, is_read_strictly) {
  EXPECT_EQ(refusal(), "accepted");
  change("hidden_size", 4096);
  EXPECT_THAT(refusal(), HasSubstr("hidden_size: given 4096, expected that of the base model, 32"));
  change("hidden_size", 32);
  change("xlora_depth", 2);
  EXPECT_THAT(refusal(), HasSubstr("has 1 linear layers: expected 2"));
  change("xlora_depth", 1);
  change("xlora_deepth", 1);
  EXPECT_THAT(refusal(), HasSubstr("unknown key \"xlora_deepth\""));
}

TEST_F(XLoraFolder, needs_its_adapters) {
  fs::remove_all(path_ / "adapter1");
  EXPECT_THAT(refusal(), HasSubstr("there is no \"adapter1\""));
}

/// The same model in the layout of the original repository.
TEST_F(XLoraFolder, of_the_original_repository_gives_the_same) {
  const c10::NoGradGuard no_grad;
  const ExpectedTensors expected(fixture("layerwise") / "expected.safetensors");
  const ExpectedTensors classifier(path_ / "adapter_model.safetensors");
  const std::string prefix = "base_model.internal_xlora_classifier.layers.0.";
  const at::Tensor weight = classifier.get(prefix + "weight"),
                   bias = classifier.get(prefix + "bias");
  io::write_safetensors(
      path_ / "xlora_classifier.safetensors",
      {{"last.weight",
        io::DType::kF32,
        weight.sizes().vec(),
        {static_cast<const std::byte*>(weight.const_data_ptr()), weight.nbytes()}},
       {"last.bias",
        io::DType::kF32,
        bias.sizes().vec(),
        {static_cast<const std::byte*>(bias.const_data_ptr()), bias.nbytes()}}},
      {});
  fs::remove(path_ / "adapter_model.safetensors");
  fs::remove(path_ / "adapter_config.json");
  const Json config = {{"hidden_size", 32},
                       {"base_model_id", "llama2"},
                       {"adapters", {"adapter0", "adapter1", "adapter2"}},
                       {"layerwise_scalings", true}};
  write_file_atomically(path_ / "xlora_config.json", config.dump());
  const Model model(path_);
  EXPECT_LT(test::relative_error(model.forward(expected.get("ids")), expected.get("logits")), 1e-5);
}

}  // namespace
}  // namespace lmoe::runner
