// What knows the task of a document: the gate that reads it and the loss of MeteoRA's gates.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "mixture/balance_loss.h"
#include "reference.h"
#include "routing.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using ::testing::HasSubstr;

std::vector<nn::Segment> two_documents(int64_t first_task, int64_t second_task) {
  return {{.start = 0, .length = 2, .task = first_task},
          {.start = 2, .length = 3, .task = second_task}};
}

class TaskGate : public ::testing::Test {
 protected:
  TaskGate()
      : model_(1),
        mixture_(read_section("{experts: {count: 3, rank: 2}, normalize: constant, losses: [],"
                              " gate: {source: task_id, net: self, default_task: 0},"
                              " select: {kind: top_k, k: 1}}"),
                 model_.groups(),
                 3,
                 at::kDouble) {
    randomize(mixture_, 5);
    mixture_.plug(model_.groups());
  }

  nn::RouterLog log_of(std::vector<nn::Segment> segments) const {
    nn::RouterLog log;
    nn::ForwardContext context;
    context.segments = std::move(segments);
    context.router_log = &log;
    const at::Tensor x = numbers({5, kHidden}, 1, at::kDouble);
    model_.groups()[0]->forward({x, x}, context);
    return log;
  }

  TinyModel model_;
  mixture::Mixture mixture_;
};

TEST_F(TaskGate, EachDocumentGoesToTheExpertOfItsTask) {
  const nn::RouterLog log = log_of(two_documents(2, 1));
  ASSERT_EQ(log.records.size(), 3U);  // q, k, v
  for (const nn::GateRecord& record : log.records) {
    EXPECT_TRUE(at::equal(record.weights.argmax(1), at::tensor({2, 2, 1, 1, 1}, at::kLong)));
    EXPECT_TRUE(at::equal(record.weights.sum(1), at::ones({5}, at::kDouble)));
  }
}

TEST_F(TaskGate, OnlyTheExpertOfTheTaskLearns) {
  nn::ForwardContext context;
  context.segments = two_documents(2, 2);
  model_.forward(numbers({5, kHidden}, 1, at::kDouble), context).sum().backward();
  for (const auto& bank : mixture_.banks()) {
    const at::Tensor gradient = bank->bank().b_rows(0).grad().t();
    EXPECT_EQ(gradient.slice(1, 0, 4).abs().max().item<double>(), 0.0);
    EXPECT_GT(gradient.slice(1, 4, 6).abs().max().item<double>(), 0.0);
  }
}

TEST_F(TaskGate, WithoutALabelItIsTheDefaultTask) {
  EXPECT_TRUE(at::equal(log_of(two_documents(-1, 1)).records[0].weights.argmax(1),
                        at::tensor({0, 0, 1, 1, 1}, at::kLong)));
  EXPECT_THROW(log_of(two_documents(0, 3)), Error);
}

spec::LossSpec cross_entropy() { return {.kind = spec::BalanceLoss::kTaskCrossEntropy}; }

nn::RouterLog log_with(const at::Tensor& logits, std::vector<nn::Segment> segments) {
  const at::Tensor p = at::softmax(logits, 1);
  nn::RouterLog log;
  log.records.push_back({"gate", 0, p, p, {}, logits});
  log.segments = std::move(segments);
  return log;
}

TEST(TaskCrossEntropy, EqualsThePlainLoop) {
  const at::Tensor logits = numbers({5, 4}, 1, at::kDouble) * 2;
  const std::vector<size_t> tasks = {3, 3, 1, 1, 1};
  double expected = 0;
  for (int64_t t = 0; t < 5; ++t)
    expected -= std::log(softmax(row(logits, t))[tasks[static_cast<size_t>(t)]]) / 5;
  const auto value = [&](const at::Tensor& z) {
    return mixture::balance_loss(cross_entropy(), log_with(z, two_documents(3, 1))).item<double>();
  };
  EXPECT_NEAR(value(logits), expected, 1e-13);
  EXPECT_NEAR(value(at::zeros({5, 4}, at::kDouble)), std::log(4), 1e-13);
  EXPECT_NEAR(value(logits + 7), expected, 1e-13);
}

TEST(TaskLosses, NeedDocumentsWithTasks) {
  const at::Tensor logits = numbers({5, 4}, 1, at::kDouble);
  const auto refusal = [&](const spec::LossSpec& loss, std::vector<nn::Segment> segments) {
    try {
      mixture::balance_loss(loss, log_with(logits, std::move(segments)));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  spec::LossSpec localized = {.kind = spec::BalanceLoss::kLocalized};
  EXPECT_THAT(refusal(localized, two_documents(0, 1)), HasSubstr("the number of tasks"));
  localized.tasks = 2;
  EXPECT_EQ(refusal(localized, two_documents(0, 1)), "accepted");
  EXPECT_THAT(refusal(localized, two_documents(0, 2)), HasSubstr("given task 2, expected 0 to 1"));
  EXPECT_THAT(refusal(cross_entropy(), two_documents(0, -1)), HasSubstr("given task -1"));
  EXPECT_THAT(refusal(cross_entropy(), {}), HasSubstr("given 0 tokens in 0 segments, expected 5"));
}

TEST(TaskLosses, ValuesWithUndecidedGates) {
  const TinyModel model(1);
  const mixture::Mixture mixture(
      read_section("{experts: {count: 4, rank: 2}, losses: [{kind: task_cross_entropy},"
                   " {kind: localized, tasks: 2, delta: 0.2, over: gates_sum}]}"),
      model.groups(), 1, at::kDouble);
  const auto values = mixture.losses_if_uniform();
  EXPECT_NEAR(values.at("task_cross_entropy"), std::log(4), 1e-12);
  // Z is 1.2 / 4 for half of 16 numbers and 0.8 / 4 for the others, at each of 7 gates.
  EXPECT_NEAR(values.at("localized"), 7 * 0.2 * 0.2 * 16 / 15, 1e-7);
}

}  // namespace
}  // namespace lmoe::test
