// Items and a context for tests of metrics, without files.
#pragma once

#include <string>
#include <vector>

#include "eval/eval_task.h"
#include "eval/task_score.h"
#include "support/fake_step_model.h"
#include "support/fake_tokenizer.h"

namespace lmoe::eval {

/// Ids 0 to 5: a, b, c, space, line break, end.
inline const test::FakeTokenizer& small_tokenizer() {
  static const test::FakeTokenizer tokenizer({"a", "b", "c", " ", "\n", "<eos>"});
  return tokenizer;
}

inline constexpr int64_t kSmallVocab = 6;

/// Prompt and answer as data::Renderer makes them: a space before the answer, the end after it.
inline EvalItem answer_item(const std::string& prompt, const std::string& answer) {
  const auto& tokenizer = small_tokenizer();
  EvalItem item;
  item.line = 1;
  item.prompt = tokenizer.encode(prompt, {});
  item.expected = answer;
  item.ids = item.prompt;
  for (const text::TokenId id : tokenizer.encode(" " + answer, {})) item.ids.push_back(id);
  item.ids.push_back(tokenizer.id("<eos>"));
  item.labels = item.ids;
  for (size_t i = 0; i < item.prompt.size(); ++i) item.labels[i] = data::kIgnoreLabel;
  return item;
}

inline EvalItem choice_item(const std::string& prompt,
                            const std::vector<std::string>& choices,
                            int64_t label) {
  EvalItem item = answer_item(prompt, choices.at(static_cast<size_t>(label)));
  item.label = label;
  for (const std::string& choice : choices) {
    item.choices.push_back(small_tokenizer().encode(" " + choice, {}));
    item.choice_bytes.push_back(std::ssize(choice));
  }
  return item;
}

inline EvalTask task_of(Metric metric, std::vector<EvalItem> items) {
  return {"small", metric, std::move(items)};
}

/// Says `answer` after any prompt that has no space, letter by letter, then ends.
inline test::FakeStepModel::LogitsOf always_says(const std::string& answer) {
  return [ids = small_tokenizer().encode(answer, {})](test::FakeStepModel::History history) {
    const auto space = std::find(history.begin(), history.end(), small_tokenizer().id(" "));
    const auto said = static_cast<size_t>(history.end() - space);
    const text::TokenId next = said < ids.size() ? ids[said] : small_tokenizer().id("<eos>");
    return test::one_hot_logits(kSmallVocab, next);
  };
}

}  // namespace lmoe::eval
