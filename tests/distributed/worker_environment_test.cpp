#include "distributed/worker_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"

namespace lmoe::distributed {
namespace {

using Variables = std::map<std::string, std::string>;

WorkerEnvironment read(const Variables& variables) {
  return read_worker_environment([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

Variables two_workers() {
  return {{"WORLD_SIZE", "2"}, {"RANK", "1"}, {"MASTER_ADDR", "here"}, {"MASTER_PORT", "1234"}};
}

TEST(WorkerEnvironment, IsOneWorkerWithoutVariables) {
  EXPECT_EQ(read({}).size, 1);
  EXPECT_EQ(read({{"WORLD_SIZE", "1"}, {"RANK", "0"}}).size, 1);
  EXPECT_EQ(read({{"WORLD_SIZE", ""}}).size, 1);
}

TEST(WorkerEnvironment, ReadsWhatTorchrunSets) {
  Variables variables = two_workers();
  EXPECT_EQ(read(variables).rank, 1);
  EXPECT_EQ(read(variables).size, 2);
  EXPECT_EQ(read(variables).local_size, 2);
  EXPECT_EQ(read(variables).address, "here");
  EXPECT_EQ(read(variables).port, 1234);
  EXPECT_FALSE(read(variables).agent_listens);
  variables["LOCAL_WORLD_SIZE"] = "1";
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  variables["TORCHELASTIC_RESTART_COUNT"] = "3";
  EXPECT_EQ(read(variables).local_size, 1);
  EXPECT_TRUE(read(variables).agent_listens);
  EXPECT_EQ(read(variables).restarts, 3);
}

TEST(WorkerEnvironment, NamesWhatIsMissingOrWrong) {
  for (const char* name : {"RANK", "MASTER_ADDR", "MASTER_PORT"}) {
    Variables variables = two_workers();
    variables.erase(name);
    try {
      read(variables);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(name));
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    }
  }
  for (const auto& [name, text] : Variables{{"WORLD_SIZE", "0"},
                                            {"WORLD_SIZE", "two"},
                                            {"RANK", "2"},
                                            {"RANK", "-1"},
                                            {"MASTER_PORT", "70000"},
                                            {"LOCAL_WORLD_SIZE", "3"},
                                            {"TORCHELASTIC_RESTART_COUNT", "x"}}) {
    Variables variables = two_workers();
    variables[name] = text;
    EXPECT_THROW(read(variables), Error) << name << "=" << text;
  }
}

}  // namespace
}  // namespace lmoe::distributed
