// Where results go and what happens along the way: checkpoints, validation, log lines, when to
// stop.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/options.h"

namespace lmoe::recipe {

/// lmoe sends nothing anywhere; curves are in log.jsonl and report.html.
enum class ReportTo { kNone };
std::span<const EnumName<ReportTo>> enum_names(ReportTo);

struct RunOptions {
  std::string output_dir;  ///< once a recipe is read never empty: default runs/<name of the file>
  bool overwrite_output_dir = false;
  std::optional<int64_t> save_steps;
  std::optional<int64_t> saves_per_epoch = 1;  ///< empty when save_steps is given
  int64_t save_total_limit = 2;
  std::optional<int64_t> eval_steps;
  std::optional<int64_t> evals_per_epoch = 1;  ///< empty when eval_steps is given
  int64_t logging_steps = 1;
  std::optional<std::string> resume_from_checkpoint;
  std::optional<std::string> init_from;
  bool auto_resume_from_checkpoints = false;
  bool plot_loss = true;
  int64_t first_pass_cache_mb = 1024;
  int64_t frozen_prefix_cache_mb = 1024;
  int64_t document_cache_file_mb = 0;
  std::optional<std::string> document_cache_dir;
  int64_t first_look_records = 16;  ///< per task; `lmoe eval` scores all
  std::optional<double> loss_watchdog_threshold;
  int64_t loss_watchdog_patience = 3;
  ReportTo report_to = ReportTo::kNone;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    const char* section = "run";
    visit(field("output_dir", output_dir, "where results go; default runs/<name of the recipe>")
              .section(section)
              .alias("adapter_path"));
    visit(
        field("overwrite_output_dir", overwrite_output_dir, "remove the run that is in output_dir")
            .section(section));
    visit(field("save_steps", save_steps, "a checkpoint after every n steps")
              .section(section)
              .range(1)
              .alias("save_every"));
    visit(field("saves_per_epoch", saves_per_epoch, "checkpoints per epoch, instead of save_steps")
              .section(section)
              .range(1));
    visit(field("save_total_limit", save_total_limit, "checkpoints kept, the newest")
              .section(section)
              .range(1));
    visit(field("eval_steps", eval_steps, "validation after every n steps")
              .section(section)
              .range(1)
              .alias("steps_per_eval"));
    visit(field("evals_per_epoch", evals_per_epoch, "validations per epoch, instead of eval_steps")
              .section(section)
              .range(1));
    visit(field("logging_steps", logging_steps, "a line of log.jsonl after every n steps")
              .section(section)
              .range(1)
              .alias("steps_per_report"));
    visit(field("resume_from_checkpoint", resume_from_checkpoint,
                "folder of a checkpoint to go on from, bit for bit")
              .section(section));
    visit(field("init_from", init_from,
                "run whose experts and gates training begins with; same mixture, new optimizer")
              .section(section));
    visit(field("auto_resume_from_checkpoints", auto_resume_from_checkpoints,
                "go on from the newest complete checkpoint of output_dir, if there is one")
              .section(section));
    visit(field("plot_loss", plot_loss, "write report.html with the curves").section(section));
    visit(field("first_pass_cache_mb", first_pass_cache_mb,
                "with mixture.gate.source last_hidden: memory for what first passes of documents "
                "ended with; 0: computed each time")
              .section(section)
              .range(0, int64_t{1} << 30));
    visit(
        field("frozen_prefix_cache_mb", frozen_prefix_cache_mb,
              "with adapters in upper layers only (layers_to_transform): memory for what documents "
              "enter the lowest of these with, where later epochs begin; 0: computed each time")
            .section(section)
            .range(0, int64_t{1} << 30));
    visit(field("document_cache_file_mb", document_cache_file_mb,
                "disk for what of these two does not fit in their memory, in a temporary file of "
                "each worker; 0: none")
              .section(section)
              .range(0, int64_t{1} << 30));
    visit(field("document_cache_dir", document_cache_dir,
                "folder of that file, which has no name there; default output_dir")
              .section(section));
    visit(field("first_look_records", first_look_records,
                "records per task scored right after training; 0: none")
              .section(section)
              .range(0));
    visit(field("loss_watchdog_threshold", loss_watchdog_threshold,
                "stop when the loss stays above this")
              .section(section)
              .range(0.0));
    visit(field("loss_watchdog_patience", loss_watchdog_patience, "for this many steps in a row")
              .section(section)
              .range(1));
    visit(field("report_to", report_to, "none: curves stay local").section(section));
  }
};

}  // namespace lmoe::recipe
