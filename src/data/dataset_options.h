// What a recipe says about data: the entries of `datasets` and the keys that decide how records
// become rows.
//
// A recipe's own struct lists these fields flat among its own by calling
// `data.for_each_field(visit)`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/options.h"

namespace lmoe::data {

/// Shapes of records; the names axolotl, LLaMA-Factory and TRL use.
enum class RecordType {
  kAuto,              ///< found from the keys of the first 100 records
  kAlpaca,            ///< instruction, input, output[, system, history]
  kShareGpt,          ///< conversations: [{from, value}][, system, tools]
  kMessages,          ///< messages: [{role, content[, tool_calls]}][, tools]
  kPromptCompletion,  ///< prompt and completion or response
  kText,              ///< text
  kChoice,            ///< prompt, choices, label: evaluation by log-likelihood
  kPreference,        ///< prompt or messages, chosen, rejected: for reward models
};
std::span<const EnumName<RecordType>> enum_names(RecordType);

/// One entry of `datasets`.
struct DatasetOptions {
  std::string path;
  RecordType type = RecordType::kAuto;
  std::string name;
  std::string task;  ///< entries with the same text are one task; empty: the entry is its own
  std::string split = "train";
  double weight = 1.0;
  int64_t max_samples = 0;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("path", path,
                "JSON lines, a JSON list, or a folder with train.jsonl, valid.jsonl, test.jsonl; "
                "\"path#500\" takes 500 records"));
    visit(field("type", type, "shape of the records; auto finds it"));
    visit(field("name", name, "name in reports; default: the folder's or the file's name"));
    visit(field("task", task,
                "task of its records, for mixtures that need to know it; entries may share one; "
                "default: each entry is its own"));
    visit(field("split", split,
                "which file of a folder, or a part of one: train[:60%], train[60%:]"));
    visit(
        field("weight", weight, "how often each record is seen per epoch; fractions rotate through")
            .range(0.0, 1000.0));
    visit(field("max_samples", max_samples, "take the first n records; 0 takes all").range(0));
  }
  /// Throws kInvalidArgument for a missing path or a weight that leaves nothing.
  void check_options(const SourcePosition& where) const;
};

/// What happens to an example longer than `sequence_len`.
enum class ExcessLength {
  kTruncate,  ///< the end is cut; an example whose labels are all cut is an error
  kDrop,      ///< left out, and counted
  kRaise,     ///< an error naming the line
};
std::span<const EnumName<ExcessLength>> enum_names(ExcessLength);

struct DataOptions {
  std::vector<DatasetOptions> datasets;
  double val_set_size = 0.0;
  int64_t sequence_len = 512;
  ExcessLength excess_length_strategy = ExcessLength::kTruncate;
  bool sample_packing = true;
  bool train_on_inputs = false;
  std::vector<std::string> roles_to_train = {"assistant"};
  std::string prompt_separator = " ";

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    const char* section = "data";
    visit(field("datasets", datasets, "data to train on, several are mixed by weight")
              .section(section)
              .alias("dataset")
              .alias("data")
              .alias("dataset_dir"));
    visit(field("val_set_size", val_set_size,
                "held out for validation: a fraction below 1, or a count of records")
              .section(section)
              .range(0.0)
              .alias("val_size"));
    visit(field("sequence_len", sequence_len, "tokens per row")
              .section(section)
              .range(8, 1 << 20)
              .alias("cutoff_len")
              .alias("max_length")
              .alias("max_seq_length")
              .alias("max_seq_len"));
    visit(field("excess_length_strategy", excess_length_strategy,
                "what happens to an example longer than sequence_len")
              .section(section));
    visit(field("sample_packing", sample_packing,
                "put several examples into one row; attention never crosses them")
              .section(section)
              .alias("packing")
              .alias("packed"));
    visit(field("train_on_inputs", train_on_inputs, "false: the loss counts answers only")
              .section(section)
              .alias("train_on_input")
              .alias("train_on_prompt"));
    visit(field("roles_to_train", roles_to_train, "roles whose turns carry loss").section(section));
    visit(field("prompt_separator", prompt_separator,
                "put between prompt and completion when the prompt does not end in white space")
              .section(section));
  }
};

}  // namespace lmoe::data
