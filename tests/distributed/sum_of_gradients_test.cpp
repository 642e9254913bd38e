// Gradients that travel during the backward against those that are added up after it.
#include "distributed/sum_of_gradients.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <utility>

#include "distributed/sum_in_buckets.h"
#include "support/thread_workers.h"

namespace lmoe::distributed {
namespace {

using test::run_workers;

const std::vector<std::vector<int64_t>> kShapes = {{3, 5}, {7}, {2, 2, 2}, {100}, {1}, {4, 4}};
constexpr size_t kNobodys = 1;  ///< of this parameter no worker has a gradient
constexpr size_t kOnes = 4;     ///< of this one only the first worker

std::vector<at::Tensor> make_parameters() {
  std::vector<at::Tensor> parameters;
  for (size_t i = 0; i < kShapes.size(); ++i)
    parameters.push_back(
        at::zeros(kShapes[i], i == 2 || i == 3 ? at::kDouble : at::kFloat).set_requires_grad(true));
  return parameters;
}

bool has_gradient(int rank, size_t parameter) {
  return parameter != kNobodys && (parameter != kOnes || rank == 0);
}

/// A loss whose gradient for a parameter is unlike in every worker.
at::Tensor loss_of(int rank, size_t i, const at::Tensor& parameter) {
  const at::Tensor factors = at::sin(at::arange(parameter.numel(), at::kDouble) * 0.37 + rank +
                                     10.0 * static_cast<double>(i));
  return (parameter * factors.to(parameter.scalar_type()).view(parameter.sizes())).sum();
}

/// The backward as a worker comes by the gradients: the first one in order, the others not.
std::vector<size_t> order_of(int rank) {
  std::vector<size_t> order;
  for (size_t i = 0; i < kShapes.size(); ++i)
    if (has_gradient(rank, i)) order.push_back(i);
  if (rank > 0) std::reverse(order.begin(), order.end());
  if (rank > 1) std::swap(order[0], order[2]);
  return order;
}

std::vector<bool> in_any() {
  std::vector<bool> any;
  for (size_t i = 0; i < kShapes.size(); ++i) any.push_back(i != kNobodys);
  return any;
}

/// What every worker has afterwards, by `sum_in_buckets` alone.
std::vector<at::Tensor> after_the_backward(int workers, int64_t bytes) {
  std::vector<at::Tensor> result;
  run_workers(workers, [&](std::unique_ptr<ProcessGroup> group) {
    std::vector<at::Tensor> parameters = make_parameters(), gradients;
    for (const int times : {1, 2})
      for (const size_t i : order_of(group->rank()))
        (loss_of(group->rank(), i, parameters[i]) * times).backward();
    for (const at::Tensor& parameter : parameters)
      gradients.push_back(parameter.grad().defined() ? parameter.grad()
                                                     : at::zeros_like(parameter.detach()));
    sum_in_buckets(*group, gradients, bytes);
    if (group->is_first()) result = gradients;
  });
  return result;
}

void expect_sums(const std::vector<at::Tensor>& parameters,
                 const std::vector<at::Tensor>& expected) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    ASSERT_EQ(parameters[i].grad().defined(), i != kNobodys) << i;
    if (i == kNobodys) continue;
    EXPECT_TRUE(at::equal(parameters[i].grad(), expected[i])) << i;
  }
}

TEST(SumOfGradients, HasTheBitsOfASumAfterTheBackwardWhateverTheOrder) {
  for (const int workers : {2, 3}) {
    for (const int64_t bytes : {1L, 100L, 1L << 20}) {
      const auto expected = after_the_backward(workers, bytes);
      run_workers(workers, [&](std::unique_ptr<ProcessGroup> group) {
        const std::vector<at::Tensor> parameters = make_parameters();
        const int rank = group->rank();
        for (int step = 0; step < 2; ++step) {
          for (const at::Tensor& parameter : parameters)
            at::Tensor(parameter).mutable_grad() = at::Tensor();
          SumOfGradients sum(*group, parameters, bytes);
          for (const size_t i : order_of(rank)) loss_of(rank, i, parameters[i]).backward();
          EXPECT_EQ(sum.started(), 0U) << "not the last one";
          sum.watch();
          for (const size_t i : order_of(rank)) (loss_of(rank, i, parameters[i]) * 2).backward();
          EXPECT_LT(sum.started(), sum.buckets()) << "one gradient never came";
          sum.start_rest();
          EXPECT_EQ(sum.started(), sum.buckets());
          sum.finish(in_any());
          expect_sums(parameters, expected);
        }
      });
    }
  }
}

TEST(SumOfGradients, BeginsWhileTheBackwardRuns) {
  run_workers(2, [&](std::unique_ptr<ProcessGroup> group) {
    std::vector<at::Tensor> parameters;
    for (int i = 0; i < 4; ++i) parameters.push_back(at::ones({8}).set_requires_grad(true));
    SumOfGradients sum(*group, parameters, /*bucket_bytes=*/2 * 8 * 4);
    ASSERT_EQ(sum.buckets(), 2U);
    sum.watch();
    // From the last factor to the first, one after the other.
    std::vector<size_t> started;
    const auto watched = [&](const at::Tensor& x) {
      at::Tensor copy = x * 1.0;
      copy.register_hook([&](const at::Tensor& gradient) {
        started.push_back(sum.started());
        return gradient * 1.0;
      });
      return copy;
    };
    at::Tensor x = at::ones({8});
    for (int i = 3; i >= 0; --i) x = watched(x * parameters[static_cast<size_t>(i)]);
    x.sum().backward();
    EXPECT_EQ(started, (std::vector<size_t>{0, 0, 1, 1})) << "of the first two before the others";
    EXPECT_EQ(sum.started(), 2U);
    sum.start_rest();
    sum.finish({true, true, true, true});
    for (const at::Tensor& parameter : parameters)
      EXPECT_TRUE(at::equal(parameter.grad(), at::full({8}, 2.0)));
  });
}

TEST(SumOfGradients, WhatOneWorkerDoesNotComeByStopsNobody) {
  run_workers(2, [&](std::unique_ptr<ProcessGroup> group) {
    const std::vector<at::Tensor> parameters = make_parameters();
    {
      SumOfGradients sum(*group, parameters, 100);
      sum.watch();
      if (group->is_first())  // the other one fails before its backward
        for (const size_t i : order_of(0)) loss_of(0, i, parameters[i]).backward();
      sum.start_rest();
    }  // nobody asks for the sums
    std::vector<double> numbers = {1.0};
    group->sum(numbers);
    EXPECT_EQ(numbers[0], 2.0);
    loss_of(0, 0, parameters[0]).backward();  // its hook is gone
  });
}

TEST(SumOfGradients, RefusesAGradientThatComesTwice) {
  run_workers(2, [&](std::unique_ptr<ProcessGroup> group) {
    const std::vector<at::Tensor> parameters = make_parameters();
    SumOfGradients sum(*group, parameters, 1);
    sum.watch();
    loss_of(0, 0, parameters[0]).backward();
    EXPECT_THROW(loss_of(0, 0, parameters[0]).backward(), Error);
    sum.start_rest();
    sum.finish(in_any());
  });
}

/// Where memory is short when the next sum begins.
class ShortOfMemory : public ProcessGroup {
 public:
  explicit ShortOfMemory(ProcessGroup& group) : ProcessGroup(group.rank(), 2), group_(group) {}

  std::function<void()> start_sum(at::Tensor flat) override {
    if (std::exchange(is_short, false)) throw std::bad_alloc();
    sizes.push_back(flat.numel());
    ++travelling;
    return [this, wait = group_.start_sum(std::move(flat))] {
      --travelling;
      wait();
      if (loses_others) throw WorkerLost("gone");
    };
  }
  void broadcast(at::Tensor flat) override { group_.broadcast(std::move(flat)); }

  bool is_short = false, loses_others = false;
  std::vector<int64_t> sizes;
  int travelling = 0;

 private:
  ProcessGroup& group_;
};

TEST(SumOfGradients, SendsLaterWhatCouldNotBeSentInTheBackward) {
  ShortOfMemory group(alone());
  const std::vector<at::Tensor> parameters = make_parameters();
  SumOfGradients sum(group, parameters, 1);
  sum.watch();
  group.is_short = true;
  EXPECT_THROW(loss_of(0, 0, parameters[0]).backward(), std::bad_alloc);
  EXPECT_EQ(sum.started(), 0U);
  sum.start_rest();
  EXPECT_EQ(group.sizes, (std::vector<int64_t>{15, 7, 8, 100, 1, 16}));
  const at::Tensor gradient = parameters[0].grad().clone();
  sum.finish({true, false, false, false, false, true});
  EXPECT_TRUE(at::equal(parameters[0].grad(), gradient));
  EXPECT_TRUE(at::equal(parameters[5].grad(), at::zeros({4, 4})));
}

TEST(SumOfGradients, OneThatIsShortOfMemoryStopsNobody) {
  run_workers(2, [&](std::unique_ptr<ProcessGroup> worker) {
    ShortOfMemory group(*worker);
    const std::vector<at::Tensor> parameters = make_parameters();
    SumOfGradients sum(group, parameters, 100);
    sum.watch();
    group.is_short = group.rank() == 1;
    loss_of(0, 0, parameters[0]).backward();
    const auto fill_first_bucket = [&] { loss_of(0, 1, parameters[1]).backward(); };
    if (group.rank() == 1) {
      EXPECT_THROW(fill_first_bucket(), std::bad_alloc);
    } else {
      fill_first_bucket();
    }
    sum.start_rest();
    sum.finish(std::vector<bool>(kShapes.size(), true));
    for (const size_t i : {0U, 1U}) {
      const at::Tensor alone = make_parameters()[i];
      loss_of(0, i, alone).backward();
      EXPECT_TRUE(at::equal(parameters[i].grad(), alone.grad() * 2)) << i;
    }
  });
}

TEST(SumOfGradients, NothingTravelsAnyMoreWhenItIsGone) {
  for (const bool loses_others : {false, true}) {
    ShortOfMemory group(alone());
    group.loses_others = loses_others;
    {
      SumOfGradients sum(group, make_parameters(), 100);
      sum.start_rest();
      EXPECT_EQ(group.travelling, static_cast<int>(sum.buckets()));
    }
    EXPECT_EQ(group.travelling, 0);
  }
  ShortOfMemory group(alone());
  {
    SumOfGradients sum(group, make_parameters(), 100);
    sum.start_rest();
    sum.finish(in_any());
  }
  EXPECT_EQ(group.travelling, 0) << "waited for twice";
}

TEST(SumOfGradients, MissesAWorkerThatLeaves) {
  run_workers(2, [&](std::unique_ptr<ProcessGroup> group) {
    const std::vector<at::Tensor> parameters = make_parameters();
    if (group->rank() == 1) return;
    try {
      SumOfGradients sum(*group, parameters, 100);
      sum.watch();
      for (const size_t i : order_of(0)) loss_of(0, i, parameters[i]).backward();
      sum.start_rest();
      sum.finish(in_any());
      ADD_FAILURE();
    } catch (const WorkerLost& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
    }
  });
}

}  // namespace
}  // namespace lmoe::distributed
