#include "report/training_log.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace lmoe::report {
namespace {

TEST(LogFromJsonl, ReadsNamesOfOtherTools) {
  EXPECT_EQ(
      log_from_jsonl("{\"current_steps\":3,\"throughput\":50,\"learning_rate\":0.1,\"loss\":2}\n"),
      Json::parse(R"([{"step":3,"tokens_per_second":50,"lr":0.1,"loss":2}])"));
}

TEST(LogFromJsonl, JoinsLinesOfOneStepAndSkipsBlankOnes) {
  EXPECT_EQ(
      log_from_jsonl("{\"step\":1,\"loss\":2}\n\n{\"step\":1,\"eval_loss\":3}\r\n{\"step\":2}"),
      Json::parse(R"([{"step":1,"loss":2,"eval_loss":3},{"step":2}])"));
}

TEST(LogFromJsonl, ResumeDropsWhatWasLoggedBeyondTheCheckpoint) {
  const std::string text =
      "{\"step\":1,\"loss\":9}\n{\"step\":2,\"loss\":8}\n{\"step\":3,\"loss\":7}\n"
      "{\"step\":2,\"loss\":6}\n";
  EXPECT_EQ(log_from_jsonl(text), Json::parse(R"([{"step":1,"loss":9},{"step":2,"loss":6}])"));
}

TEST(LogFromJsonl, IgnoresALineCutOffByTheEnd) {
  EXPECT_EQ(log_from_jsonl("{\"step\":1}\n{\"step\":2,\"lo"), Json::parse(R"([{"step":1}])"));
}

TEST(LogFromJsonl, NamesTheLineThatIsWrong) {
  for (const char* wrong : {"{\"step\":2,\"lo\n{\"step\":3}\n", "[1]\n", "{\"loss\":1}\n", "x\n"}) {
    try {
      log_from_jsonl("{\"step\":1}\n" + std::string(wrong));
      FAIL() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorruptData);
      EXPECT_NE(std::string(error.what()).find("log.jsonl:2"), std::string::npos) << error.what();
    }
  }
}

TEST(LogFromJsonl, JoinsNeighboursWhenThereAreTooMany) {
  std::string text;
  for (int step = 0; step < 10; ++step)
    text += Json{{"step", step}, {"loss", step}, {"lr", step}}.dump() + "\n";
  const Json log = log_from_jsonl(text, 4);  // buckets of 3, 3, 3 and 1
  ASSERT_EQ(log.size(), 4u);
  EXPECT_EQ(log[0], (Json{{"step", 2}, {"loss", 1.0}, {"lr", 2}}));
  EXPECT_EQ(log[3], (Json{{"step", 9}, {"loss", 9.0}, {"lr", 9}}));
}

TEST(LogFromJsonl, EmptyLog) { EXPECT_EQ(log_from_jsonl(""), Json::array()); }

}  // namespace
}  // namespace lmoe::report
