// A data set made ready for scoring: token ids instead of records, so that metrics know neither
// files nor templates.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "data/record.h"
#include "data/render.h"
#include "eval/metric.h"
#include "text/tokenizer.h"

namespace lmoe::eval {

struct EvalItem {
  int64_t line = 0;
  std::vector<text::TokenId> prompt;  ///< what an answer starts from
  std::string expected;               ///< the right answer
  /// Prompt and right answer (or the plain text) with the scored tokens marked as in data::Example.
  std::vector<text::TokenId> ids, labels;
  Passages prompt_passages, passages;               ///< of `prompt` and of `ids`
  std::vector<std::vector<text::TokenId>> choices;  ///< continuations of the prompt
  std::vector<int64_t> choice_bytes;                ///< UTF-8 bytes of each choice's text
  int64_t label = -1;
  std::vector<text::TokenId> rejected;  ///< of a preference, whose chosen side is `ids`
  Passages rejected_passages;

  /// Of `ids`, how many come before the first that is scored.
  int64_t prompt_length() const {
    return std::find_if(labels.begin(), labels.end(),
                        [](text::TokenId id) { return id != data::kIgnoreLabel; }) -
           labels.begin();
  }
};

struct EvalTask {
  std::string name;
  Metric metric = Metric::kExactMatch;  ///< never kAuto
  std::vector<EvalItem> items;
  bool has_answers = true;  ///< that the model could give; false for plain text and preferences
  int64_t task = -1;        ///< which task of the run its records belong to; -1: nobody knows
  /// False where an expected answer has several lines.
  bool stops_at_line_break = true;
  std::vector<text::TokenId> end_tokens;  ///< end an answer; empty: the tokenizer's EOS
  std::string source;                     ///< the file its records came from
  bool is_training_data = false;          ///< the model evaluated was trained on some of them
};

/// Throws kInvalidArgument: a metric the records do not allow (exact_match of plain text, choice
/// without choices, pair_accuracy without preferences or another one of them), an empty prompt
/// where one is needed; and what rendering throws.
EvalTask make_task(const data::Dataset& dataset, const data::Renderer& renderer, Metric metric);

/// The first `count` items; all when there are fewer.
inline EvalTask first_items(const EvalTask& task, int64_t count) {
  EvalTask part{task.name,        task.metric, {},
                task.has_answers, task.task,   task.stops_at_line_break,
                task.end_tokens,  task.source, task.is_training_data};
  const int64_t size = std::min(std::ssize(task.items), static_cast<ptrdiff_t>(count));
  part.items.assign(task.items.begin(), task.items.begin() + size);
  return part;
}

}  // namespace lmoe::eval
