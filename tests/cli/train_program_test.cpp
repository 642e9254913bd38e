// `lmoe-torch train` and `resume` as programs: what they refuse early, and how a run ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/files.h"
#include "base/json.h"
#include "support/temp_folder.h"

namespace lmoe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
  int exit_code = -1;
  std::string text;  ///< stdout and stderr
};

/// Runs the program; `watch` sees the text so far and may send a signal.
Outcome run_program(const std::vector<std::string>& arguments,
                    const std::function<void(pid_t, const std::string&)>& watch = {}) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    std::vector<std::string> all = {LMOE_TORCH};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> raw;
    for (std::string& argument : all) raw.push_back(argument.data());
    raw.push_back(nullptr);
    ::execv(LMOE_TORCH, raw.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  Outcome outcome;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    outcome.text.append(buffer, static_cast<size_t>(size));
    if (watch) watch(child, outcome.text);
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

class TrainProgram : public ::testing::Test {
 protected:
  TrainProgram() {
    std::string lines;
    for (int i = 0; i < 8; ++i)
      lines += R"({"prompt": "hello there", "completion": "the thing"})"
               "\n";
    write_file_atomically(data(), lines);
  }
  fs::path data() const { return folder_.path() / "d.jsonl"; }
  fs::path run() const { return folder_.path() / "run"; }

  /// A recipe of two steps with `keys` besides; returns its path.
  std::string recipe(const std::string& keys = "") const {
    const std::string base = (fs::path(LMOE_FIXTURES) / "arch" / "models" / "qwen2").string();
    write_file_atomically(folder_.path() / "r.yaml",
                          "base_model: " + base + "\ndatasets: [{path: " + data().string() +
                              "}]\noutput_dir: " + run().string() +
                              "\nmax_steps: 2\nmicro_batch_size: 1\nsequence_len: 32\nbf16: false\n"
                              "mixture: {num_experts: 2, experts: {rank: 2}}\n" +
                              keys);
    return (folder_.path() / "r.yaml").string();
  }
  Json evaluation() const { return Json::parse(read_file(run() / "eval.json")); }

  test::TempFolder folder_;
};

TEST_F(TrainProgram, MissingEvaluationDataFailsBeforeTraining) {
  const std::string path =
      recipe("eval_datasets: [{path: " + folder_.path().string() + "/no.jsonl}]\n");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"train", path, "--dry-run"}, {"train", path}}) {
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("no.jsonl"));
  }
  EXPECT_FALSE(fs::exists(run() / "log.jsonl"));
}

TEST_F(TrainProgram, TooMuchMemoryIsAWarningAndThenARefusal) {
  const std::string path = recipe();
  const std::string too_large = "micro_batch_size=1000000";
  Outcome outcome = run_program({"train", path, too_large, "--dry-run"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("training would be refused: it needs"));
  EXPECT_THAT(outcome.text, HasSubstr("hint: micro_batch_size="));
  outcome = run_program({"train", path, too_large});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("hint: micro_batch_size="));
}

TEST_F(TrainProgram, AFinishedRunStaysAsItIs) {
  const Outcome first = run_program({"train", recipe()});
  ASSERT_EQ(first.exit_code, 0) << first.text;
  EXPECT_EQ(evaluation()["first_look"], true);
  write_file_atomically(run() / "eval.json", R"({"results": []})");
  const Outcome again = run_program({"resume", run().string()});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.text, HasSubstr("already complete"));
  EXPECT_THAT(again.text, Not(HasSubstr("first look")));

  // As if killed while the results were written: they are completed, fuller scores are kept.
  fs::remove(run() / "manifest.json");
  const Outcome completed = run_program({"resume", run().string()});
  EXPECT_EQ(completed.exit_code, 0) << completed.text;
  EXPECT_THAT(completed.text, HasSubstr("is kept as it is"));
  EXPECT_TRUE(fs::exists(run() / "manifest.json"));
  EXPECT_FALSE(evaluation().contains("first_look"));
}

TEST_F(TrainProgram, ScoresSayWhetherTheirRecordsWereTrainedOn) {
  const Outcome seen = run_program({"train", recipe()});
  ASSERT_EQ(seen.exit_code, 0) << seen.text;
  EXPECT_THAT(seen.text, HasSubstr("of the training data, not held out: d"));
  EXPECT_EQ(evaluation()["results"][0]["tasks"][0]["source"], data().string());
  EXPECT_EQ(evaluation()["results"][0]["tasks"][0]["training_data"], true);

  const fs::path other = folder_.path() / "other.jsonl";
  fs::copy_file(data(), other);
  const Outcome held_out = run_program({"eval", run().string(), "--data", other.string()});
  ASSERT_EQ(held_out.exit_code, 0) << held_out.text;
  EXPECT_THAT(held_out.text, Not(HasSubstr("not held out")));
  EXPECT_EQ(evaluation()["results"][0]["tasks"][0]["training_data"], false);
}

TEST_F(TrainProgram, ValidationAndSavingAreSeen) {
  const Outcome outcome = run_program({"train", recipe("val_set_size: 2\n")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("reading and tokenising the data"));
  EXPECT_THAT(outcome.text, HasSubstr("validating after step 2"));
  EXPECT_THAT(outcome.text, HasSubstr("saving " + run().string()));
}

TEST_F(TrainProgram, ATemplateThatIsMissingIsNamedWithItsKey) {
  const Outcome outcome = run_program({"train", recipe("chat_template: no.jinja\n")});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("chat_template: no such file: given no.jinja"));
}

TEST_F(TrainProgram, ResumingWithoutACheckpointSaysThatItBegins) {
  const Outcome first = run_program({"train", recipe()});
  ASSERT_EQ(first.exit_code, 0) << first.text;
  for (const auto& entry : fs::directory_iterator(run())) {
    if (entry.path().filename() != "config_effective.json") fs::remove_all(entry.path());
  }
  const Outcome again = run_program({"resume", run().string()});
  EXPECT_EQ(again.exit_code, 0) << again.text;
  EXPECT_THAT(again.text, HasSubstr("has no checkpoint: starting from the beginning"));
}

TEST_F(TrainProgram, AnInterruptedFirstLookLeavesACompleteRun) {
  std::string many = "eval_datasets: [";
  for (int i = 0; i < 60; ++i)
    many += "{path: " + data().string() + ", name: t" + std::to_string(i) + "}, ";
  bool sent = false;
  const Outcome outcome =
      run_program({"train", recipe(many + "]\n")}, [&](pid_t child, const std::string& text) {
        if (sent || text.find("a first look at") == std::string::npos) return;
        sent = true;
        ::kill(child, SIGINT);
      });
  ASSERT_TRUE(sent) << outcome.text;
  EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("the run is complete: " + run().string()));
  EXPECT_FALSE(fs::exists(run() / "eval.json"));
  EXPECT_THAT(run_program({"resume", run().string()}).text, HasSubstr("already complete"));
}

/// The later two phases of dmoerm, from pairs to a score for each category.
TEST_F(TrainProgram, RewardModelsAreTrainedAndJoinedAndJudgePairs) {
  std::string lines;
  for (int i = 0; i < 6; ++i)
    lines += R"({"prompt": "hello there", "chosen": "the thing", "rejected": "no"})"
             "\n";
  for (const char* name : {"w", "x", "y", "z", "letters", "words", "held_out"})
    write_file_atomically(folder_.path() / (std::string(name) + ".jsonl"), lines);
  const auto entries = [&](const std::vector<std::string>& tasks) {
    std::string list = "datasets: [";
    for (const std::string& task : tasks)
      list.append("{path: ")
          .append(folder_.path() / (task + ".jsonl"))
          .append(", task: ")
          .append(task)
          .append("}, ");
    return list + "]\n";
  };
  const std::string path = recipe();
  const std::string common =
      "objective: preference\nbase_model: " +
      (fs::path(LMOE_FIXTURES) / "arch" / "models" / "qwen2").string() +
      "\nmax_steps: 2\nmicro_batch_size: 1\nsequence_len: 64\nbf16: false\nval_set_size: 2\n"
      "mixture: {method: dmoerm, experts: {count: 4, rank: 2}}\n";
  write_file_atomically(
      path, common + entries({"w", "x", "y", "z"}) + "output_dir: " + run().string() + "\n");
  Outcome outcome = run_program({"train", path});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("pair accuracy"));
  EXPECT_TRUE(fs::exists(run() / "reward_head.safetensors"));
  EXPECT_EQ(evaluation()["results"][0]["tasks"][0]["metric"], "pair_accuracy");

  const std::string second = (folder_.path() / "second").string();
  write_file_atomically(path, common + entries({"letters", "words"}) +
                                  "reward_passes: 2\ninit_from: " + run().string() +
                                  "\noutput_dir: " + second + "\n");
  outcome = run_program({"train", path, "mixture.schedule.freeze_experts=true"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("the reward head begins anew"));
  for (const char* expert : {"expert0", "expert3"}) {
    const fs::path file = fs::path("experts") / expert / "adapter_model.safetensors";
    EXPECT_EQ(read_file(fs::path(second) / file), read_file(run() / file));
  }

  const std::string pairs = (folder_.path() / "held_out.jsonl").string();
  outcome = run_program({"eval", second, "--data", pairs, "--task", "words"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("pair_accuracy"));
  outcome = run_program({"eval", second, "--data", pairs, "--task", "word"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("no such task"));
  outcome = run_program({"generate", second, "--prompt", "hello"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("is a reward model"));
}

TEST_F(TrainProgram, RecordsAndObjectiveHaveToFit) {
  Outcome outcome = run_program({"train", recipe("objective: preference\n")});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("objective preference cannot learn from these records"));
  write_file_atomically(data(), R"({"prompt": "hello", "chosen": "the", "rejected": "no"})");
  outcome = run_program({"train", recipe()});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("hint: objective: preference trains a reward model"));
}

}  // namespace
}  // namespace lmoe
