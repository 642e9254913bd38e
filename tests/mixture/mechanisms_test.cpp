// Parts of the grammar that any method can use: private experts, a router that stops, experts that
// are split.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "mixture/gate.h"
#include "mixture/site_bank.h"
#include "mixture/split_experts.h"
#include "sections.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::HasSubstr;

at::Tensor input() { return numbers({9, kHidden}, 1, at::kDouble); }

TEST(PrivateExperts, AreChosenByDocumentsOfTheirTaskAlone) {
  const TinyModel model(1);
  Mixture mixture(
      spec::with_tasks(read_section("{experts: {count: 4, rank: 2}, top_k: 2, losses: [],"
                                    " select: {private_experts: 1}, target_modules: [q_proj]}"),
                       /*tasks=*/2),
      model.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  mixture.plug(model.sockets());
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  context.segments = {{.start = 0, .length = 3, .task = 0},
                      {.start = 3, .length = 3, .task = 1},
                      {.start = 6, .length = 3}};
  model.forward(input(), context);
  const at::Tensor weights = log.records.at(0).weights;
  const auto some = [&](int64_t document, int64_t expert) {
    return weights.narrow(0, 3 * document, 3).select(1, expert).max().item<double>() > 0;
  };
  EXPECT_FALSE(some(1, 0));
  EXPECT_FALSE(some(0, 1));
  EXPECT_FALSE(some(2, 0));
  EXPECT_FALSE(some(2, 1));
  EXPECT_TRUE(some(2, 2) && some(2, 3));
  EXPECT_LT(max_difference(weights.sum(1), at::ones({9}, at::kDouble)), 1e-14);
}

TEST(PrivateExperts, LeaveEnoughForAllOrAreRefused) {
  const spec::MixtureSpec spec =
      read_section("{experts: {count: 4}, losses: [], select: {private_experts: 2}}");
  EXPECT_THAT(refusal([&] { spec::with_tasks(spec, 2); }), HasSubstr("leaves 0 of 4 experts"));
  EXPECT_EQ(refusal([&] { spec::with_tasks(spec, 1); }).find("accepted"), std::string::npos);
  EXPECT_THAT(refusal_of("{select: {groups: 2}}"), HasSubstr("groups cannot act"));
}

TEST(PrivateExperts, StayPrivateWhateverTheirBiases) {
  const TinyModel model(1);
  Mixture mixture(
      spec::with_tasks(read_section("{experts: {count: 4, rank: 2}, losses: [], normalize: sigmoid,"
                                    " select: {kind: top_k, k: 2, private_experts: 1},"
                                    " bias: {use: score}, target_modules: [q_proj]}"),
                       /*tasks=*/2),
      model.sockets(), 3, at::kDouble);
  mixture.gates()[0]->bias().narrow(1, 0, 2).fill_(9);
  mixture.plug(model.sockets());
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  context.segments = {{.start = 0, .length = 9, .task = 0}};
  model.forward(input(), context);
  EXPECT_GT(log.records.at(0).weights.select(1, 0).min().item<double>(), 1.0);
  EXPECT_EQ(log.records.at(0).weights.select(1, 1).abs().max().item<double>(), 0.0);
}

TEST(FixedA, IsTakenOverWithTheRest) {
  const TinyModel model(1);
  const spec::MixtureSpec spec =
      read_section("{method: flylora, experts: {count: 4, a_density: 0.5}, select: {k: 2}}");
  Mixture one(spec, model.sockets(), 3, at::kDouble), two(spec, model.sockets(), 4, at::kDouble);
  randomize(one, 5);
  two.copy_from(one);
  one.plug(model.sockets());
  const at::Tensor expected = model.forward(input());
  one.unplug(model.sockets());
  two.plug(model.sockets());
  EXPECT_TRUE(at::equal(model.forward(input()), expected));
}

TEST(DetachedInput, LeavesTheGateItsGradient) {
  const TinyModel model(1);
  Mixture mixture(read_section("{experts: {count: 3, rank: 2, detach_input: true},"
                               " target_modules: [q_proj]}"),
                  model.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  mixture.plug(model.sockets());
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  const at::Tensor h = input().requires_grad_();
  model.forward(h, context);
  log.records.at(0).weights.square().sum().backward();
  ASSERT_TRUE(h.grad().defined());
  EXPECT_GT(h.grad().abs().max().item<double>(), 0.0);
}

TEST(Mechanisms, RefuseWhatNoGateMixesAndADrawThatStops) {
  EXPECT_THAT(refusal_of("{method: lora, experts: {kind: core}}"),
              HasSubstr("is what a gate mixes"));
  EXPECT_THAT(refusal_of("{method: remix, schedule: {freeze_gates_from: 0.5}}"),
              HasSubstr("cannot act with select.kind sample"));
  EXPECT_THAT(refusal_of("{method: ept, experts: {train_a: false}}"),
              HasSubstr("train_a cannot act"));
}

TEST(StoppedRouter, LearnsUntilItsTimeAndThenTheExpertsAlone) {
  const TinyModel model(1);
  Mixture mixture(
      read_section("{experts: {count: 3, rank: 2}, schedule: {freeze_gates_from: 0.5}}"),
      model.sockets(), 3, at::kDouble);
  mixture.plug(model.sockets());
  randomize(mixture, 5);
  for (const double progress : {0.0, 0.5}) {
    mixture.advance_to(progress);
    for (const nn::NamedTensor& parameter : mixture.parameters())
      parameter.tensor.mutable_grad() = at::Tensor();
    model.forward(input()).square().sum().backward();
    for (const nn::NamedTensor& parameter : mixture.parameters()) {
      const bool is_gate = parameter.name.find(".gate.") != std::string::npos;
      EXPECT_EQ(parameter.tensor.grad().defined(), progress < 0.5 || !is_gate) << parameter.name;
    }
  }
}

TEST(StoppedRouter, NeedsTimeToLearnAndSomebodyWhoDoes) {
  EXPECT_THAT(refusal_of("{schedule: {freeze_gates_from: 0}}"),
              HasSubstr("expected more than hard_until"));
  EXPECT_THAT(refusal_of("{schedule: {freeze_gates_from: 0.5, freeze_experts: true}}"),
              HasSubstr("nothing would learn"));
}

class Split : public ::testing::TestWithParam<const char*> {};

TEST_P(Split, LeavesTheOutputsAsTheyAre) {
  const TinyModel model(2);
  Mixture mixture(read_section(GetParam()), model.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  const auto forward = [&](Mixture& some) {
    some.plug(model.sockets());
    at::Tensor out = model.forward(input());
    some.unplug(model.sockets());
    return out;
  };
  const auto split = with_experts_split(mixture, model.sockets(), 2);
  EXPECT_EQ(split->spec().experts.count, 6);
  EXPECT_EQ(split->spec().experts.rank, 2);
  EXPECT_EQ(split->spec().expert_names()[3], "expert1.1");
  const at::Tensor before = forward(mixture);
  EXPECT_LT(max_difference(forward(*split), before), 1e-13 * before.abs().max().item<double>());
  const int64_t gates = mixture.trained_parameter_count() - split->trained_parameter_count();
  EXPECT_LT(gates, 0);  // the same experts, twice the rows of the gates
}

INSTANTIATE_TEST_SUITE_P(
    Ways,
    Split,
    ::testing::Values(
        "{experts: {count: 3, rank: 4}}",
        "{experts: {count: 3, rank: 4, alpha: 5}, top_k: 2}",
        "{experts: {count: 3, rank: 4}, top_k: 2, normalize: softmax_selected}",
        "{experts: {count: 3, rank: 4}, normalize: sigmoid, losses: []}",
        "{experts: {count: 3, rank: 4, scale_by: none}, top_k: 1, normalize: sum_to_k,"
        " losses: [], bias: {use: selection}}",
        "{experts: {count: 3, rank: 4}, target_modules: [up_proj],"
        " plain: {target_modules: [q_proj]}}"));

TEST(Split, IsRefusedWhereItWouldChangeSomething) {
  const TinyModel model(1);
  const auto split = [&](const std::string& section, int64_t parts) {
    const Mixture mixture(read_section(section), model.sockets(), 3);
    return refusal([&] { with_experts_split(mixture, model.sockets(), parts); });
  };
  EXPECT_THAT(split("{experts: {count: 3, rank: 4}}", 3), HasSubstr("a divisor of the rank, 4"));
  EXPECT_THAT(split("{experts: {count: 3, rank: 4}, apply: factors}", 2),
              HasSubstr("apply factors"));
  EXPECT_THAT(split("{method: hydra, experts: {count: 3, rank: 4}}", 2), HasSubstr("shared_a"));
}

}  // namespace
}  // namespace lmoe::test
