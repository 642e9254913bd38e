#include "eval/eval_task.h"

#include <algorithm>

#include "eval/answer_text.h"

namespace lmoe::eval {
namespace {

/// Of a conversation the last turn, which must be an answer.
std::string expected_answer(const data::Dataset& dataset,
                            const data::Record& record,
                            Metric metric) {
  if (!record.is_chat()) return record.response;
  const Json& last = record.messages.back();
  const auto content = last.find("content");
  const bool is_answer =
      last.value("role", "") == "assistant" && content != last.end() && content->is_string();
  if (is_answer) return content->get<std::string>();
  LMOE_CHECK_ARG(
      metric != Metric::kExactMatch, "[eval] ", dataset.file, ":", record.line,
      ": exact_match needs an answer to compare with: given a conversation that does not "
      "end with a turn of assistant, expected one; hint: metric=perplexity");
  return {};
}

/// Plain text is scored as it is, without the end that training appends.
void drop_end(EvalItem& item, const text::Tokenizer& tokenizer) {
  const auto eos = tokenizer.special_tokens().eos;
  if (!eos || item.ids.size() < 2 || item.ids.back() != *eos) return;
  item.ids.pop_back();
  item.labels.pop_back();
}

void check_metric(const data::Dataset& dataset, Metric metric) {
  const bool is_text = dataset.type == data::RecordType::kText;
  LMOE_CHECK_ARG(metric != Metric::kExactMatch || !is_text, "[eval] ", dataset.file,
                 ": exact_match needs answers: given plain text, expected prompt and response; "
                 "hint: metric=perplexity");
  LMOE_CHECK_ARG(metric != Metric::kChoice || dataset.type == data::RecordType::kChoice, "[eval] ",
                 dataset.file, ": metric choice needs records with choices and label: given ",
                 enum_name(dataset.type), ", expected choice");
  const bool is_preference = dataset.type == data::RecordType::kPreference;
  LMOE_CHECK_ARG((metric == Metric::kPairAccuracy) == is_preference, "[eval] ", dataset.file,
                 ": metric pair_accuracy and records with chosen and rejected need each other: "
                 "given metric ",
                 enum_name(metric), " and ", enum_name(dataset.type), " records");
}

/// Both sides whole.
EvalItem make_pair(const data::Dataset& dataset,
                   const data::Record& record,
                   const data::Renderer& renderer) {
  EvalItem item;
  item.line = record.line;
  const data::Example both = renderer.render(record, dataset.file);
  item.ids.assign(both.ids.begin(), both.ids.begin() + both.rejected_at);
  item.rejected.assign(both.ids.begin() + both.rejected_at, both.ids.end());
  item.passages = passages_within(both.passages, 0, both.rejected_at);
  item.rejected_passages =
      passages_within(both.passages, both.rejected_at, both.length() - both.rejected_at);
  return item;
}

EvalItem make_item(const data::Dataset& dataset,
                   const data::Record& record,
                   const data::Renderer& renderer,
                   Metric metric) {
  if (metric == Metric::kPairAccuracy) return make_pair(dataset, record, renderer);
  EvalItem item;
  item.line = record.line;
  data::Example example = renderer.render(record, dataset.file);
  item.ids = std::move(example.ids);
  item.labels = std::move(example.labels);
  item.passages = std::move(example.passages);
  if (dataset.type == data::RecordType::kText) {
    drop_end(item, renderer.tokenizer());
    return item;
  }

  data::Prompt prompt = renderer.prompt(record);
  item.prompt = std::move(prompt.ids);
  item.prompt_passages = std::move(prompt.passages);
  LMOE_CHECK_ARG(!item.prompt.empty() || metric == Metric::kPerplexity, "[eval] ", dataset.file,
                 ":", record.line,
                 ": the prompt has no tokens: given an empty prompt, expected text before the "
                 "answer");
  item.expected = expected_answer(dataset, record, metric);
  item.label = record.label;
  for (const std::string& choice : record.choices) {
    item.choices.push_back(renderer.answer(record, choice));
    item.choice_bytes.push_back(static_cast<int64_t>(choice.size()));
    LMOE_CHECK_ARG(!item.choices.back().empty(), "[eval] ", dataset.file, ":", record.line,
                   ": choice ", item.choices.size() - 1, " has no tokens: given \"", choice,
                   "\", expected text");
  }
  return item;
}

}  // namespace

EvalTask make_task(const data::Dataset& dataset, const data::Renderer& renderer, Metric metric) {
  EvalTask task;
  task.name = dataset.name;
  task.source = dataset.file;
  task.metric = resolve_metric(metric, dataset.type);
  task.has_answers =
      dataset.type != data::RecordType::kText && task.metric != Metric::kPairAccuracy;
  task.end_tokens = renderer.end_tokens();
  check_metric(dataset, task.metric);
  LMOE_CHECK_ARG(!dataset.records.empty(), "[eval] ", dataset.file,
                 ": nothing to score: given no records, expected at least one");
  task.items.reserve(dataset.records.size());
  for (const data::Record& record : dataset.records)
    task.items.push_back(make_item(dataset, record, renderer, task.metric));
  task.stops_at_line_break =
      std::none_of(task.items.begin(), task.items.end(), [](const EvalItem& item) {
        return trim(item.expected).find('\n') != std::string_view::npos;
      });
  return task;
}

}  // namespace lmoe::eval
