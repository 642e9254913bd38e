#include "data/passage_fields.h"

#include <algorithm>
#include <set>

namespace lmoe::data {
namespace {

constexpr const char* kKey = "passage";

/// Reads the passages of a record in their order.
class PassageReader {
 public:
  explicit PassageReader(const RecordFields& fields) : fields_(fields) {}

  /// 0 without one.
  int64_t next(const Json& object) {
    int64_t number = 0;
    if (const auto found = object.find(kKey); found != object.end() && !found->is_null()) {
      if (!found->is_number_integer() || found->get<int64_t>() < 1)
        fields_.refuse("\"passage\": given ", found->dump(),
                       ", expected a whole number from 1 on; hint: leave it out for text that "
                       "belongs to no passage");
      number = found->get<int64_t>();
    }
    if (number != current_ && number > 0 && !seen_.insert(number).second)
      fields_.refuse("\"passage\": given ", number,
                     " again after other text, expected one consecutive run of text for each "
                     "passage; hint: another number");
    current_ = number;
    return number;
  }

 private:
  const RecordFields& fields_;
  std::set<int64_t> seen_;
  int64_t current_ = 0;
};

PromptPart read_part(const RecordFields& fields, const Json& item, PassageReader& passages) {
  if (item.is_string()) return {item.get<std::string>(), passages.next(Json::object())};
  const bool fits = item.is_object() && item.contains("text") && item["text"].is_string() &&
                    item.size() == 1 + item.count(kKey);
  if (!fits)
    fields.refuse(
        "\"prompt\": expected a text, or a list of texts and objects with \"text\" and "
        "\"passage\"");
  return {item["text"].get<std::string>(), passages.next(item)};
}

}  // namespace

void take_message_passages(const RecordFields& fields, Record& record) {
  PassageReader passages(fields);
  std::vector<int64_t> numbers;
  for (Json& message : record.messages) {
    numbers.push_back(passages.next(message));
    if (numbers.back() > 0 && message["role"] == "assistant")
      fields.refuse("\"passage\" of a turn of assistant: given ", numbers.back(),
                    ", expected none: an answer sees all passages");
    message.erase(kKey);
  }
  const bool has_any = std::any_of(numbers.begin(), numbers.end(), [](int64_t n) { return n > 0; });
  if (has_any) record.message_passages = std::move(numbers);
}

void read_prompt(const RecordFields& fields, Record& record) {
  if (!fields.has("prompt") || !fields.raw("prompt").is_array()) {
    record.prompt = fields.text("prompt");
    return;
  }
  PassageReader passages(fields);
  std::vector<PromptPart> parts;
  for (const Json& item : fields.list("prompt")) {
    PromptPart part = read_part(fields, item, passages);
    if (part.text.empty()) fields.refuse("\"prompt\": a part is empty, expected text");
    record.prompt += part.text;
    if (!parts.empty() && parts.back().passage == part.passage)
      parts.back().text += part.text;
    else
      parts.push_back(std::move(part));
  }
  if (parts.size() > 1 || parts.front().passage > 0) record.prompt_parts = std::move(parts);
}

}  // namespace lmoe::data
