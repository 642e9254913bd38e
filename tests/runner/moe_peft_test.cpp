// Mixtures of the real moe-peft package (tests/fixtures/moe_peft/generate.py): outputs, gates,
// losses and every gradient.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "arch/base_model.h"
#include "base/error.h"
#include "base/files.h"
#include "mixture/expert_bank.h"
#include "mixture/gate.h"
#include "mixture/moe_peft_folder.h"
#include "models/decoder.h"
#include "nn/tensor_bytes.h"
#include "support/expected_tensors.h"
#include "support/gradient_check.h"
#include "support/temp_folder.h"

namespace lmoe::runner {
namespace {

using test::ExpectedTensors;
using ::testing::HasSubstr;

fs::path fixture(const std::string& name) { return fs::path(LMOE_FIXTURES) / "moe_peft" / name; }

struct Model {
  explicit Model(const fs::path& folder)
      : base(arch::open_base_model((fs::path(LMOE_FIXTURES) / "models" / "llama2").string())),
        decoder(models::Decoder::load(*base, {})),
        mixture(mixture::load_moe_peft_folder(folder, decoder->sockets())) {
    mixture->plug(decoder->sockets());
  }

  /// Logits of ids [B, T], each row a document. [B, T, V]
  at::Tensor forward(const at::Tensor& ids, nn::RouterLog& log, bool is_training = false) const {
    Rng rng(1);
    nn::ForwardContext context;
    for (int64_t row = 0; row < ids.size(0); ++row)
      context.segments.push_back({.start = row * ids.size(1), .length = ids.size(1)});
    context.router_log = &log;
    context.is_training = is_training;
    context.dropout_rng = &rng;
    const at::Tensor hidden = decoder->forward(ids.reshape({-1}), context);
    return decoder->logits(hidden).view({ids.size(0), ids.size(1), -1});
  }

  std::unique_ptr<arch::BaseModel> base;
  std::unique_ptr<models::Decoder> decoder;
  std::unique_ptr<mixture::Mixture> mixture;
};

at::Tensor next_token_loss(const at::Tensor& logits, const at::Tensor& ids) {
  const int64_t count = ids.size(1) - 1;
  return at::cross_entropy_loss(logits.narrow(1, 0, count).reshape({-1, logits.size(2)}),
                                ids.narrow(1, 1, count).reshape({-1}));
}

/// The package lists the projections of a layer as q, k, v, o, gate, down, up.
at::Tensor records_in_its_order(const nn::RouterLog& log) {
  std::vector<at::Tensor> all;
  for (const nn::GateRecord& record : log.records) all.push_back(record.probabilities);
  for (size_t i = 0; i + 1 < all.size(); ++i) {
    const bool is_up = log.records[i].site.ends_with("up_proj");
    if (is_up && log.records[i + 1].site.ends_with("down_proj")) std::swap(all[i], all[i + 1]);
  }
  return at::cat(all);
}

/// Those of the tensors the fixture has under `prefix`, by their names in the package's file.
void compare_gradients(const mixture::Mixture& mixture,
                       const at::Tensor& loss,
                       const ExpectedTensors& expected,
                       const std::string& prefix) {
  loss.backward();
  for (const nn::NamedTensor& parameter : mixture.parameters())
    if (parameter.tensor.grad().defined()) parameter.tensor.detach().copy_(parameter.tensor.grad());
  const test::TempFolder folder;
  mixture::save_moe_peft_folder(mixture, folder.path(), "llama2");
  const ExpectedTensors gradients(folder.path() / "adapter_model.safetensors");
  int compared = 0;
  for (const std::string& name : gradients.names()) {
    if (!expected.has(prefix + name)) continue;
    ++compared;
    EXPECT_LT(test::relative_error(gradients.get(name), expected.get(prefix + name)), 1e-4) << name;
  }
  EXPECT_GE(compared, 2);
}

class MoePeft : public ::testing::TestWithParam<const char*> {};

TEST_P(MoePeft, outputs_gates_losses_and_gradients_are_those_of_the_package) {
  const Model model(fixture(GetParam()));
  const ExpectedTensors expected(fixture(GetParam()) / "expected.safetensors");
  const at::Tensor ids = expected.get("ids");
  nn::RouterLog log;
  const at::Tensor logits = model.forward(ids, log);
  EXPECT_LT(test::relative_error(logits, expected.get("logits")), 1e-5);
  EXPECT_LT(test::relative_error(records_in_its_order(log),
                                 at::softmax(expected.get("router_logits"), /*dim=*/-1)),
            1e-5);

  const at::Tensor loss = next_token_loss(logits, ids);
  EXPECT_NEAR(loss.item<double>(), expected.get("loss").item<double>(), 1e-5);
  compare_gradients(*model.mixture, loss, expected, "grad.");
}

TEST_P(MoePeft, the_balance_loss_is_that_of_the_package) {
  const Model model(fixture(GetParam()));
  const ExpectedTensors expected(fixture(GetParam()) / "expected.safetensors");
  nn::RouterLog log;
  model.forward(expected.get("ids"), log);
  const at::Tensor balance = model.mixture->auxiliary_loss(log);
  ASSERT_EQ(balance.defined(), expected.has("aux_loss"));
  if (!balance.defined()) return;
  EXPECT_NEAR(balance.item<double>(), expected.get("aux_loss").item<double>(), 1e-5);
  compare_gradients(*model.mixture, balance, expected, "aux_grad.");
}

TEST_P(MoePeft, what_is_written_is_what_was_read) {
  const Model model(fixture(GetParam()));
  const test::TempFolder folder;
  mixture::save_moe_peft_folder(*model.mixture, folder.path(), "llama2");
  EXPECT_TRUE(mixture::is_moe_peft_folder(folder.path()));
  const auto given = io::SafetensorsFile::open(fixture(GetParam()) / "adapter_model.safetensors");
  const auto written = io::SafetensorsFile::open(folder.path() / "adapter_model.safetensors");
  ASSERT_EQ(written->names().size(), given->names().size());
  for (const std::string& name : given->names()) {
    ASSERT_NE(written->find(name), nullptr) << name;
    EXPECT_TRUE(std::equal(given->find(name)->bytes.begin(), given->find(name)->bytes.end(),
                           written->find(name)->bytes.begin()))
        << name;
  }
  const auto again = mixture::load_moe_peft_folder(folder.path(), model.decoder->sockets());
  nn::RouterLog log;
  const at::Tensor ids = at::arange(3, 15).view({1, 12});
  const at::Tensor before = model.forward(ids, log);
  model.mixture->unplug(model.decoder->sockets());
  again->plug(model.decoder->sockets());
  EXPECT_TRUE(at::equal(model.forward(ids, log), before));
}

INSTANTIATE_TEST_SUITE_P(
    Methods,
    MoePeft,
    ::testing::Values("mixlora", "mixlora-dynamic", "mixlora-switch", "loramoe", "mola"));

class Damaged : public ::testing::Test {
 protected:
  Damaged() { fs::copy(fixture("mixlora"), path()); }

  fs::path path() const { return folder_.path() / "copy"; }
  void change(const std::string& key, const Json& value) const {
    Json config = Json::parse(read_file(path() / "adapter_config.json"));
    config[key] = value;
    write_file_atomically(path() / "adapter_config.json", config.dump());
  }
  std::string refusal() const {
    try {
      Model model(path());
    } catch (const Error& error) {
      return error.what();
    }
    return "loaded";
  }

  test::TempFolder folder_;
};

TEST_F(Damaged, what_cannot_be_used_is_refused_by_name) {
  EXPECT_EQ(refusal(), "loaded");
  change("use_dora", true);
  EXPECT_THAT(refusal(), HasSubstr("\"use_dora\" is set to true, which is not supported"));
  change("use_dora", false);
  change("act_fn", "gelu_new");
  EXPECT_THAT(refusal(), HasSubstr("act_fn: given \"gelu_new\", expected that of the base model"));
  change("act_fn", nullptr);
  change("num_experts", 3);
  EXPECT_THAT(refusal(), HasSubstr("moe_gate.weight"));
  change("num_experts", 4);
  change("target_modules", {"gate_proj", "up_proj"});
  EXPECT_THAT(refusal(), HasSubstr("down_proj.experts.0"));
  change("routing_strategy", "mola");
  EXPECT_THAT(refusal(), HasSubstr("routing_strategy: given \"mola\" with peft_type \"MIXLORA\""));
}

TEST_F(Damaged, a_pickle_is_not_read) {
  fs::rename(path() / "adapter_model.safetensors", path() / "adapter_model.bin");
  EXPECT_THAT(refusal(), HasSubstr("adapter_model.bin is a pickle"));
}

}  // namespace
}  // namespace lmoe::runner
