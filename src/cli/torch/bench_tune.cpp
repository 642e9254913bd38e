#include "cli/torch/bench_tune.h"

#include <ATen/Parallel.h>
#include <torch/headeronly/version.h>

#include <cstdio>
#include <ctime>
#include <vector>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "mixture/top_k_table.h"
#include "mixture/tune_top_k.h"

namespace lmoe::cli {
namespace {

using mixture::TopKShape;
using mixture::TopKTable;
using mixture::TopKTimes;

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

std::vector<std::string> conditions() {
  std::string features;
  for (const std::string& feature : cpu_features()) features += " " + feature;
  return {"From how many experts on top-k products at projections compute the chosen ones alone;",
          "below that all are computed, those that were not chosen with weight 0.",
          concat("Written by `lmoe bench --tune`, ", today(), ": lmoe ", LMOE_VERSION, ", PyTorch ",
                 TORCH_VERSION, ","),
          concat(cpu_name(), ",", features, ", ", at::get_num_threads(), " threads."),
          "One forward and backward of each form; rows: tokens that go through at once."};
}

fs::path file_of(const std::string& output) {
  fs::path file = output.empty() ? mixture::own_top_k_table_path() : fs::path(output);
  LMOE_CHECK_ARG(!file.empty(),
                 "[bench] no folder for the user's own table: neither XDG_CONFIG_HOME nor HOME is "
                 "set; hint: --output FILE");
  LMOE_CHECK_ARG(!fs::is_directory(file), "[bench] --output ", file.string(), " is a folder");
  return file;
}

/// Before there is anything to write.
void make_folder_of(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorCode::kIo, "[bench] cannot make ", folder.string(), ": ", error.message());
}

std::string experts_text(const std::optional<int64_t>& experts) {
  return experts ? concat("from ", *experts, " experts on") : "never";
}

/// "16: 24.1 / 21.0" of the measured numbers of experts that are nearest to the crossover.
std::string times_text(const mixture::TopKCrossover& crossover) {
  std::string text;
  for (const auto& [experts, times] : crossover.measured) {
    char part[64];
    std::snprintf(part, sizeof part, "%s%lld: %.2f / %.2f", text.empty() ? "" : ", ",
                  static_cast<long long>(experts), 1e3 * times.dense, 1e3 * times.selected);
    text += part;
  }
  return text;
}

/// What a new one is compared with: one that cannot be read is what this command is for.
std::shared_ptr<const TopKTable> table_so_far() {
  try {
    return mixture::top_k_table();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorruptData) throw;
    log().warn("{}; compared with the built-in table", error.what());
    return std::make_shared<const TopKTable>(mixture::built_in_top_k_table());
  }
}

}  // namespace

std::string own_table_text() { return mixture::own_top_k_table_path().string(); }

int tune_top_k(const std::string& output) {
  catch_interrupts();
  const fs::path file = file_of(output);
  const auto old_table = table_so_far();
  make_folder_of(file);
  const std::vector<TopKShape> shapes = mixture::tuned_top_k_shapes(bf16_support().is_fast);
  std::vector<TopKTable::Line> lines;
  std::printf(
      "type k rank in out rows: chosen experts alone, old choice -> new one (experts: ms dense / "
      "chosen alone)\n");
  int64_t changed = 0;
  Progress progress("measuring");
  for (const TopKShape& shape : shapes) {
    const auto measure = [&](int64_t experts) {
      if (interrupted())
        fail(ErrorCode::kInterrupted, "[bench] interrupted; the table stays as it was");
      return mixture::measure_top_k(shape, experts);
    };
    const mixture::TopKCrossover crossover = mixture::find_crossover(shape, measure);
    lines.push_back({shape, crossover.experts});
    const auto before = old_table->least_experts(shape);
    if (before != crossover.experts) ++changed;
    std::printf("%s: %s -> %s (%s)\n", shape.text().c_str(), experts_text(before).c_str(),
                experts_text(crossover.experts).c_str(), times_text(crossover).c_str());
    std::fflush(stdout);
    progress.update(static_cast<int64_t>(lines.size()), static_cast<int64_t>(shapes.size()));
  }
  progress.finish();
  if (interrupted())
    fail(ErrorCode::kInterrupted, "[bench] interrupted; the table stays as it was");
  write_file_atomically(file, mixture::top_k_table_text(conditions(), lines));
  std::printf("%lld of %zu choices are others than before; written to %s\n",
              static_cast<long long>(changed), lines.size(), file.c_str());
  return 0;
}

}  // namespace lmoe::cli
