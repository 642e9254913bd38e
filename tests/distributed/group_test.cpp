// Also the test of gloo_headers/: every call goes through objects whose layout they lean on.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "distributed/all_or_none.h"
#include "distributed/sum_in_buckets.h"
#include "support/thread_workers.h"

namespace lmoe::distributed {
namespace {

using test::run_workers;

/// Deterministic, unlike in every worker.
at::Tensor numbers_of(int rank, at::IntArrayRef shape, at::ScalarType dtype = at::kFloat) {
  const int64_t count = c10::multiply_integers(shape);
  return at::sin(at::arange(count, at::kDouble) * 0.37 + rank).to(dtype).view(shape);
}

TEST(Alone, GivesBackWhatItGets) {
  EXPECT_EQ(alone().size(), 1);
  EXPECT_TRUE(alone().is_first());
  at::Tensor numbers = numbers_of(0, {5});
  alone().sum(numbers);
  EXPECT_TRUE(at::equal(numbers, numbers_of(0, {5})));
  EXPECT_EQ(alone().broadcast_text("text"), "text");
}

TEST(Gloo, SumsHaveTheSameBitsInEveryWorker) {
  std::mutex mutex;
  std::vector<at::Tensor> results;
  run_workers(3, [&](std::unique_ptr<ProcessGroup> group) {
    at::Tensor numbers = numbers_of(group->rank(), {1001});
    group->sum(numbers);
    std::vector<double> few = {1.0, 10.0 * group->rank()};
    group->sum(few);
    EXPECT_EQ(few, (std::vector<double>{3.0, 30.0}));
    const std::lock_guard lock(mutex);
    results.push_back(numbers);
  });
  ASSERT_EQ(results.size(), 3U);
  const at::Tensor expected = numbers_of(0, {1001}) + numbers_of(1, {1001}) + numbers_of(2, {1001});
  EXPECT_LT((results[0] - expected).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(at::equal(results[0], results[1]));
  EXPECT_TRUE(at::equal(results[0], results[2]));
}

TEST(Gloo, WhatTheFirstHasReachesAll) {
  run_workers(3, [&](std::unique_ptr<ProcessGroup> group) {
    for (const std::string& text : {std::string(), std::string("short"), std::string(70000, 'x')})
      EXPECT_EQ(group->broadcast_text(group->is_first() ? text : "mine"), text);
    at::Tensor numbers = numbers_of(group->rank(), {77}, at::kDouble);
    group->broadcast(numbers);
    EXPECT_TRUE(at::equal(numbers, numbers_of(0, {77}, at::kDouble)));
  });
}

TEST(Gloo, BucketsGiveTheSumsOfSingleTensors) {
  const std::vector<std::vector<int64_t>> shapes = {{3, 5}, {0}, {7}, {2, 2, 2}, {100}, {1}};
  const auto tensors_of = [&](int rank) {
    std::vector<at::Tensor> tensors;
    for (size_t i = 0; i < shapes.size(); ++i)
      tensors.push_back(numbers_of(rank, shapes[i], i == 2 || i == 3 ? at::kDouble : at::kFloat));
    return tensors;
  };
  for (const int64_t bytes : {1L, 64L, 1L << 20}) {
    run_workers(2, [&](std::unique_ptr<ProcessGroup> group) {
      std::vector<at::Tensor> tensors = tensors_of(group->rank());
      sum_in_buckets(*group, tensors, bytes);
      for (size_t i = 0; i < tensors.size(); ++i)
        EXPECT_TRUE(at::equal(tensors[i], tensors_of(0)[i] + tensors_of(1)[i])) << i;
    });
  }
}

TEST(AllOrNone, FailsEverywhereAndIsToldOnce) {
  run_workers(3, [&](std::unique_ptr<ProcessGroup> group) {
    EXPECT_NO_THROW(all_or_none(*group, [] {}));
    const auto fail_in = [&](int first) {
      all_or_none(*group, [&] {
        if (group->rank() >= first) fail(ErrorCode::kDiverged, "worker ", group->rank());
      });
    };
    for (const int first : {0, 1, 2}) {
      try {
        fail_in(first);
        ADD_FAILURE();
      } catch (const Error& error) {
        EXPECT_EQ(error.what(), concat("worker ", first));
        EXPECT_EQ(group->rank(), first);
      } catch (const FailedElsewhere& failure) {
        EXPECT_NE(group->rank(), first);
        EXPECT_EQ(failure.exit_code(), exit_code(ErrorCode::kDiverged));
      }
    }
    int done = 0;
    by_first(*group, [&] { ++done; });
    EXPECT_EQ(done, group->is_first() ? 1 : 0);
  });
}

TEST(Gloo, AWorkerThatLeavesIsMissed) {
  run_workers(3, [&](std::unique_ptr<ProcessGroup> group) {
    if (group->rank() == 1) return;
    at::Tensor numbers = numbers_of(group->rank(), {1000});
    try {
      for (int i = 0; i < 2; ++i) group->sum(numbers);
      ADD_FAILURE() << "worker " << group->rank();
    } catch (const WorkerLost& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_THAT(error.what(), ::testing::HasSubstr(concat("worker ", group->rank(), " of 3")));
    }
  });
}

TEST(Gloo, WaitsForTheOthersOnlySoLong) {
  WorkerEnvironment environment;
  environment.size = 2;
  environment.port = test::free_port();
  try {
    join_gloo_group(environment, std::chrono::seconds(1));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("worker 0 of 2 cannot join the others"));
  }
}

}  // namespace
}  // namespace lmoe::distributed
