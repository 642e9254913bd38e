#include "train/run_entries.h"

#include <algorithm>
#include <array>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files.h"

namespace lmoe::train {
namespace {

constexpr std::array<std::string_view, 19> kRunEntries = {"mixture.yaml",
                                                          "router.safetensors",
                                                          "experts.safetensors",
                                                          "experts",
                                                          "tokenizer.json",
                                                          "chat_template.jinja",
                                                          "base.json",
                                                          "config_effective.json",
                                                          "log.jsonl",
                                                          "report.html",
                                                          "manifest.json",
                                                          "checkpoints",
                                                          "loss.svg",
                                                          "eval.json",
                                                          "report.json",
                                                          "samples.json",
                                                          "prompts.safetensors",
                                                          "reward_head.safetensors",
                                                          "top_k_table.txt"};
/// Present before the first checkpoint; a folder with nothing else holds no run.
constexpr std::array<std::string_view, 3> kBeginnings = {"checkpoints", "config_effective.json",
                                                         "log.jsonl"};
constexpr std::array<std::string_view, 2> kAdapterFiles = {"adapter_config.json",
                                                           "adapter_model.safetensors"};
constexpr std::string_view kLock = ".lock";

/// io::checkpoint_name: six digits, or more without a zero before them.
constexpr const char* kCheckpoint = R"(step-(?:\d{6}|[1-9]\d{6,}))";

bool is_one_of(const auto& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// "log.jsonl" of "log.jsonl.partial-77"; empty when the name has no such end.
std::string name_of_partial(const fs::path& path) {
  static const std::regex kForm(R"((.+)\.partial-\d+)");
  std::smatch match;
  const std::string name = path.filename().string();
  return std::regex_match(name, match, kForm) ? match[1].str() : std::string();
}

/// "step-000200" of "step-000200.old-77"; empty when the name has no such form.
std::string name_of_replaced(const fs::path& path) {
  static const std::regex kForm(concat("(", kCheckpoint, R"()\.old-\d+)"));
  std::smatch match;
  const std::string name = path.filename().string();
  return std::regex_match(name, match, kForm) ? match[1].str() : std::string();
}

bool is_checkpoint(const fs::path& path) {
  static const std::regex kForm(kCheckpoint);
  return std::regex_match(path.filename().string(), kForm);
}

bool is_left_of_checkpoint(const fs::path& path) {
  static const std::regex kForm(concat(kCheckpoint, R"((\.partial-\d+|\.old|\.old-\d+))"));
  return std::regex_match(path.filename().string(), kForm);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  if (!fs::is_directory(folder)) return entries;
  for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::vector<fs::path> adapter_files_of(const fs::path& run) {
  std::vector<fs::path> files;
  for (const fs::path& adapter : entries_of(run / "experts"))
    for (const fs::path& file : entries_of(adapter)) files.push_back(file);
  return files;
}

void refuse(const fs::path& run, const fs::path& entry) {
  fail(ErrorCode::kInvalidArgument, "[train] output_dir ", run.string(), " holds ",
       entry.lexically_relative(run).string(),
       ", which is not of a run; hint: choose another output_dir");
}

}  // namespace

bool is_occupied(const fs::path& run) {
  for (const fs::path& path : entries_of(run)) {
    if (!is_one_of(kBeginnings, path.filename()) && !is_one_of(kRunEntries, name_of_partial(path)))
      return true;
  }
  for (const fs::path& path : entries_of(run / "checkpoints")) {
    if (path.filename() != kLock && !is_left_of_checkpoint(path)) return true;
  }
  return false;
}

void refuse_foreign_entries(const fs::path& run) {
  for (const fs::path& path : entries_of(run)) {
    if (!is_one_of(kRunEntries, path.filename()) && !is_one_of(kRunEntries, name_of_partial(path)))
      refuse(run, path);
  }
  for (const fs::path& path : entries_of(run / "experts")) {
    if (!fs::is_directory(path)) refuse(run, path);
  }
  for (const fs::path& path : adapter_files_of(run)) {
    if (!is_one_of(kAdapterFiles, path.filename()) &&
        !is_one_of(kAdapterFiles, name_of_partial(path)))
      refuse(run, path);
  }
  for (const fs::path& path : entries_of(run / "checkpoints")) {
    if (path.filename() != kLock && !is_checkpoint(path) && !is_left_of_checkpoint(path))
      refuse(run, path);
  }
}

void remove_run(const fs::path& run) {
  refuse_foreign_entries(run);
  for (const fs::path& path : entries_of(run)) {
    if (path.filename() != "checkpoints") fs::remove_all(path);
  }
  for (const fs::path& path : entries_of(run / "checkpoints")) {
    if (path.filename() != kLock) fs::remove_all(path);
  }
}

void remove_leftovers(const fs::path& run) {
  for (const fs::path& path : entries_of(run)) {
    if (is_one_of(kRunEntries, name_of_partial(path))) fs::remove_all(path);
  }
  for (const fs::path& path : adapter_files_of(run)) {
    if (is_one_of(kAdapterFiles, name_of_partial(path))) fs::remove_all(path);
  }
  for (const fs::path& path : entries_of(run / "checkpoints")) {
    if (is_left_of_checkpoint(path)) fs::remove_all(path);
  }
}

void restore_replaced_checkpoints(const fs::path& checkpoints) {
  for (const fs::path& path : entries_of(checkpoints)) {
    const std::string name = name_of_replaced(path);
    if (!name.empty() && !fs::exists(checkpoints / name)) fs::rename(path, checkpoints / name);
  }
}

}  // namespace lmoe::train
