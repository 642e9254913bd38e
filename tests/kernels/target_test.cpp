// Which instruction set the kernels run with.
#include "kernels/target.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/error.h"

namespace lmoe::kernels {
namespace {

class Target : public testing::Test {
 protected:
  void TearDown() override {
    unsetenv("LMOE_KERNELS");
    choose_target(runnable_targets().front());
  }
};

TEST_F(Target, the_best_is_used_and_any_other_can_be_chosen) {
  const std::vector<std::string> targets = runnable_targets();
  ASSERT_FALSE(targets.empty());
  EXPECT_EQ(chosen_target(), targets.front());
  for (const std::string& target : targets) {
    choose_target(target);
    EXPECT_EQ(chosen_target(), target);
    EXPECT_EQ(runnable_targets(), targets);
  }
#if defined(__x86_64__)
  EXPECT_EQ(testing::Value(targets, testing::Contains("AVX2")),
            __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ(testing::Value(targets, testing::Contains("AVX3")),
            __builtin_cpu_supports("avx512bw") != 0);
#endif
}

TEST_F(Target, the_environment_chooses) {
  choose_target_from_environment();
  EXPECT_EQ(chosen_target(), runnable_targets().front());
  setenv("LMOE_KERNELS", runnable_targets().back().c_str(), 1);
  choose_target_from_environment();
  EXPECT_EQ(chosen_target(), runnable_targets().back());
}

TEST_F(Target, others_are_refused) {
  for (const char* name : {"AVX9", "avx2", ""}) {
    setenv("LMOE_KERNELS", name, 1);
    try {
      choose_target_from_environment();
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.what(), testing::HasSubstr(std::string("LMOE_KERNELS=") + name));
      EXPECT_THAT(error.what(), testing::HasSubstr(runnable_targets().back()));
    }
    EXPECT_EQ(chosen_target(), runnable_targets().front());
  }
}

}  // namespace
}  // namespace lmoe::kernels
