// Records: what a data file holds, checked and brought to one of three forms.
//
//   Dataset set = read_dataset(options, Purpose::kTraining);
//
// Files are JSON lines (UTF-8, with or without byte order mark, any line ending) or one JSON list.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/dataset_options.h"
#include "data/split_slice.h"

namespace lmoe::data {

/// Decides what a record with prompt, response and choices is: prompt_completion to train on,
/// choice to evaluate.
enum class Purpose { kTraining, kEvaluation };

/// A part of a raw prompt; passage 0: of none.
struct PromptPart {
  std::string text;
  int64_t passage = 0;
};

struct Record {
  int64_t line = 0;  ///< 1-based line of the file; of a JSON list the 1-based item
  /// prompt_completion, choice and preference. `response` of a choice is its right choice, of a
  /// preference the answer that was chosen.
  std::string prompt, response;
  std::string rejected;  ///< preference: the other answer
  std::string text;      ///< text
  std::vector<std::string> choices;
  int64_t label = -1;  ///< index into choices
  /// alpaca, sharegpt and messages: [{"role", "content", …}], as chat templates expect them; of a
  /// preference what both answers follow.
  Json messages;
  Json tools;  ///< null when there are none
  /// Where the record keeps passages apart (base/passage.h), else empty: the passage of each
  /// message, 0 for one of none, or the parts that `prompt` was put together from.
  std::vector<int64_t> message_passages;
  std::vector<PromptPart> prompt_parts;

  bool is_chat() const { return !messages.is_null(); }
  bool is_preference() const { return !rejected.empty(); }
};

struct Dataset {
  std::string name;
  std::string file;                     ///< the file read, for messages
  std::string task;                     ///< as the entry names it
  RecordType type = RecordType::kAuto;  ///< never kAuto once read
  std::vector<Record> records;
  std::vector<std::string> extra_keys;  ///< top-level keys nobody uses, in order of appearance
};

/// The file an entry means and how many records of it are wanted: "dir" → dir/<split>.jsonl,
/// "path#500" → 500, of a split "train[60%:]" those behind 60 %. Throws kNotFound,
/// kInvalidArgument.
struct ResolvedPath {
  std::filesystem::path file;
  SplitSlice slice;
  int64_t max_samples = 0;  ///< 0 = all
  std::string name;
};
ResolvedPath resolve_dataset(const DatasetOptions& options);

/// Reads, detects the shape and checks every record. Throws kNotFound, kCorruptData (file and
/// line), kInvalidArgument (no records, unknown shape with the keys found).
Dataset read_dataset(const DatasetOptions& options, Purpose purpose);

/// The shape that the keys of an object tell; kAuto when none.
RecordType detect_type(const Json& object, Purpose purpose);

}  // namespace lmoe::data
