#include "cli/compare/study_runs.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "base/config_node.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/compare/child_program.h"
#include "cli/compare/run_facts.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "cli/torch_program.h"

namespace lmoe::cli {
namespace {

using Command = std::function<std::vector<std::string>(const PlannedRun&)>;

/// Works through `runs`, `plan.jobs` at once.
class Workers {
 public:
  Workers(const StudyPlan& plan, const std::string& phase, Failures& failures)
      : plan_(plan), failures_(failures), progress_(phase), log_name_(phase) {}

  void work(const std::vector<const PlannedRun*>& runs, const Command& command) {
    fs::create_directories(plan_.out / "logs");
    std::vector<std::thread> threads;
    for (int64_t i = 0; i < std::min<int64_t>(plan_.jobs, std::ssize(runs)); ++i)
      threads.emplace_back([&] { take_turns(runs, command); });
    for (std::thread& thread : threads) thread.join();
    if (!interrupted()) progress_.update(std::ssize(runs), std::ssize(runs));
    progress_.finish();
    if (interrupted())
      fail(ErrorCode::kInterrupted, "[compare] interrupted; the same command goes on");
  }

 private:
  void take_turns(const std::vector<const PlannedRun*>& runs, const Command& command) {
    for (size_t i = next_++; i < runs.size() && !interrupted(); i = next_++) {
      const std::string name = runs[i]->name();
      say(name, std::ssize(runs));
      const std::string failure = run_one(*runs[i], command);
      const std::lock_guard lock(mutex_);
      ++done_;
      if (failure.empty() || interrupted()) continue;
      failures_[name] = failure;
      progress_.line(concat(name, ": ", failure));
    }
  }

  std::string run_one(const PlannedRun& run, const Command& command) {
    try {
      const int cores = static_cast<int>(std::thread::hardware_concurrency());
      const int threads = plan_.jobs > 1 ? std::max(1, cores / static_cast<int>(plan_.jobs)) : 0;
      const fs::path log = plan_.out / "logs" / (run.name() + "." + log_name_ + ".txt");
      const ChildResult result = run_child(command(run), log, threads);
      if (result.exit_code == 0) return "";
      return result.error.empty()
                 ? concat("ended with exit code ", result.exit_code, ", see ", log.string())
                 : result.error;
    } catch (const Error& error) {
      return error.what();
    }
  }

  void say(const std::string& name, int64_t total) {
    const std::lock_guard lock(mutex_);
    progress_.update(done_, total, name);
  }

  const StudyPlan& plan_;
  Failures& failures_;
  Progress progress_;
  std::string log_name_;
  std::mutex mutex_;
  std::atomic<size_t> next_{0};
  int64_t done_ = 0;
};

}  // namespace

void train_runs(const StudyPlan& plan, Failures& failures) {
  std::vector<const PlannedRun*> runs;
  for (const PlannedRun& run : plan.runs)
    if (!is_trained(run.folder())) runs.push_back(&run);
  fs::create_directories(plan.out / "recipes");
  Workers(plan, "train", failures).work(runs, [&](const PlannedRun& run) {
    const fs::path recipe = plan.out / "recipes" / (run.name() + ".yaml");
    write_file_atomically(recipe, yaml_from_json(recipe::effective_config(run.recipe)));
    return std::vector<std::string>{torch_program().string(), "train", recipe.string()};
  });
}

void score_runs(const StudyPlan& plan,
                const std::vector<const PlannedRun*>& runs,
                Failures& failures) {
  std::vector<const PlannedRun*> unscored;
  for (const PlannedRun* run : runs)
    if (!is_scored(run->folder())) unscored.push_back(run);
  Workers(plan, "eval", failures).work(unscored, [](const PlannedRun& run) {
    return std::vector<std::string>{torch_program().string(), "eval", run.folder().string(),
                                    "ablation_records=0"};
  });
}

}  // namespace lmoe::cli
