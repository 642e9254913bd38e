// Recurrent gates: the state of a token goes from gate to gate, never from token to token.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "io/safetensors.h"
#include "mixture/run_folder.h"
#include "routing.h"
#include "spec/adapted_sites.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::HasSubstr;

constexpr int64_t kTokens = 5, kWidth = 4;

/// Gates of attention alone, one per layer, so that `layers` gates follow each other.
spec::MixtureSpec attention_spec(const std::string& more = "") {
  return read_section(
      "{experts: {count: 3, rank: 2}, target_modules: [q_proj, o_proj], losses: []," + more +
      " gate: {net: recurrent, hidden_size: 4, source: block_input, share: block}}");
}

nn::RouterLog log_of(const TinyModel& model, const at::Tensor& h) {
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  model.forward(h, context);
  return log;
}

at::Tensor tensor_named(const Mixture& mixture, const std::string& name) {
  for (const nn::NamedTensor& parameter : mixture.parameters())
    if (parameter.name == name) return parameter.tensor;
  ADD_FAILURE() << "no parameter " << name;
  return {};
}

TEST(RecurrentGate, NoTokenReadsTheStateOfAnother) {
  const TinyModel model(3);
  Mixture mixture(attention_spec(), model.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  mixture.plug(model.sockets());
  const at::Tensor h = numbers({kTokens, kHidden}, 1, at::kDouble);
  at::Tensor other = h.clone();
  other[2] = numbers({kHidden}, 9, at::kDouble);
  const nn::RouterLog before = log_of(model, h), after = log_of(model, other);
  for (size_t i = 0; i < before.records.size(); ++i) {
    const at::Tensor same = (before.records[i].logits - after.records[i].logits).abs().amax(1);
    for (int64_t t = 0; t < kTokens; ++t) EXPECT_EQ(same[t].item<double>() == 0, t != 2) << i;
  }
}

TEST(RecurrentGate, AGruOfZerosDecidesNothing) {
  const TinyModel model(2);
  Mixture mixture(attention_spec(" top_k: 1,"), model.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  {
    const at::NoGradGuard no_grad;
    for (const nn::NamedTensor& common : mixture.common_gate_parameters()) common.tensor.zero_();
  }
  mixture.plug(model.sockets());
  const nn::RouterLog log = log_of(model, numbers({kTokens, kHidden}, 1, at::kDouble));
  for (const nn::GateRecord& record : log.records) {
    EXPECT_EQ(record.logits.abs().max().item<double>(), 0.0);
    EXPECT_TRUE(record.selected.select(1, 0).all().item<bool>()) << "the lowest of equals";
  }
}

TEST(RecurrentGate, LearnsFromWhatLaterGatesMakeOfItsState) {
  const TinyModel model(2);
  // Fresh experts add nothing: the second gate hears of the first through the state alone.
  Mixture mixture(attention_spec(), model.sockets(), 3, at::kDouble);
  mixture.plug(model.sockets());
  const nn::RouterLog log = log_of(model, numbers({kTokens, kHidden}, 1, at::kDouble));
  log.records.at(1).logits.square().sum().backward();
  const at::Tensor down = tensor_named(mixture, "layers.0.self_attn.gate.down.weight");
  ASSERT_TRUE(down.grad().defined());
  EXPECT_GT(down.grad().abs().max().item<double>(), 0.0);
  const at::Tensor output = tensor_named(mixture, "layers.0.self_attn.gate.output.weight");
  EXPECT_EQ(output.grad().abs().max().item<double>(), 0.0);
}

TEST(RecurrentGate, HasTwoMatricesPerGateAndOneGru) {
  constexpr int kLayers = 3;
  const TinyModel model(kLayers);
  const spec::MixtureSpec spec = attention_spec();
  const Mixture mixture(spec, model.sockets(), 3);
  int64_t gates = 0;
  for (const nn::NamedTensor& parameter : mixture.gate_parameters())
    gates += parameter.tensor.numel();
  EXPECT_EQ(gates, kLayers * (kWidth * kHidden + 3 * kWidth) + 6 * kWidth * kWidth + 6 * kWidth);
  const spec::DecoderShape shape = {.layers = kLayers,
                                    .hidden_size = kHidden,
                                    .query_size = kHeads,
                                    .key_size = kKeys,
                                    .intermediate_size = kInner};
  EXPECT_EQ(spec::mixture_cost(spec, shape).parameters, mixture.trained_parameter_count());
}

TEST(RecurrentGate, TheGruIsSavedOnce) {
  const TinyModel model(2);
  const Mixture mixture(attention_spec(), model.sockets(), 3);
  const TempFolder folder;
  mixture.save(folder.path(), "tiny");
  const auto file = io::SafetensorsFile::open(mixture::router_file(folder.path()));
  std::vector<std::string> common;
  for (const std::string& name : file->names())
    if (name.find(".gru.") != std::string::npos) common.push_back(name);
  std::sort(common.begin(), common.end());
  EXPECT_EQ(common,
            (std::vector<std::string>{"model.gate.gru.bias_hh", "model.gate.gru.bias_ih",
                                      "model.gate.gru.weight_hh", "model.gate.gru.weight_ih"}));
}

TEST(RecurrentGate, TheGruStopsWithTheGates) {
  const TinyModel model(1);
  Mixture mixture(attention_spec(" schedule: {freeze_gates_from: 0.5},"), model.sockets(), 3);
  mixture.advance_to(0.5);
  for (const nn::NamedTensor& parameter : mixture.gate_parameters())
    EXPECT_FALSE(parameter.tensor.requires_grad()) << parameter.name;
}

TEST(RecurrentGate, RunsOnceForEachToken) {
  try {
    read_section("{gate: {net: recurrent, uncertainty_passes: 5}}");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("hands on what a single run ended with"));
  }
}

}  // namespace
}  // namespace lmoe::test
