#include "data/record_shapes.h"

#include "data/chat_records.h"
#include "data/passage_fields.h"
#include "data/record_fields.h"

namespace lmoe::data {
namespace {

void read_pair(const RecordFields& fields, Record& record) {
  read_prompt(fields, record);
  const bool completion = fields.has("completion"), response = fields.has("response");
  if (!completion && !response)
    fields.refuse("the field \"completion\" (or \"response\") is missing or null, expected text");
  record.response = fields.text(completion ? "completion" : "response");
  if (completion && response && fields.text("response") != record.response)
    fields.refuse("\"completion\" and \"response\" are both there and differ");
}

void read_choice(const RecordFields& fields, Record& record) {
  read_prompt(fields, record);
  for (const Json& choice : fields.list("choices")) {
    if (!choice.is_string() || choice.empty() || choice.get_ref<const std::string&>().empty())
      fields.refuse("\"choices\": expected texts that are not empty");
    record.choices.push_back(choice.get<std::string>());
  }
  if (record.choices.size() < 2) fields.refuse("\"choices\": expected at least two");
  const bool whole = fields.has("label") && fields.raw("label").is_number_integer();
  const int64_t label = whole ? fields.raw("label").get<int64_t>() : -1;
  if (label < 0 || label >= static_cast<int64_t>(record.choices.size()))
    fields.refuse("\"label\": expected a whole number from 0 to ", record.choices.size() - 1);
  record.label = label;
  record.response = record.choices[static_cast<size_t>(label)];
}

/// What both answers follow is a prompt, or a conversation that is not answered yet.
void read_question(const RecordFields& fields, Record& record) {
  if (!fields.has("messages")) {
    read_prompt(fields, record);
    return;
  }
  if (fields.has("prompt")) fields.refuse("\"prompt\" and \"messages\" are both there");
  read_messages(fields, record);
  if (record.messages.back()["role"] == "assistant")
    fields.refuse(
        "\"messages\": the last turn is one of assistant, expected the turn that both "
        "answers follow");
}

void read_preference(const RecordFields& fields, Record& record) {
  read_question(fields, record);
  record.response = fields.text("chosen");
  record.rejected = fields.text("rejected");
  for (const char* side : {"chosen", "rejected"})
    if (fields.text(side).empty()) fields.refuse("\"", side, "\" is empty, expected an answer");
  if (record.response == record.rejected)
    fields.refuse("\"chosen\" and \"rejected\" are the same, expected answers that differ");
}

}  // namespace

Record read_record(RecordType type, const Json& object, const std::string& file, int64_t line) {
  const RecordFields fields(object, file, line);
  Record record;
  record.line = line;
  switch (type) {
    case RecordType::kAlpaca:
      read_alpaca(fields, record);
      break;
    case RecordType::kShareGpt:
      read_sharegpt(fields, record);
      break;
    case RecordType::kMessages:
      read_messages(fields, record);
      break;
    case RecordType::kPromptCompletion:
      read_pair(fields, record);
      break;
    case RecordType::kText:
      record.text = fields.text("text");
      break;
    case RecordType::kChoice:
      read_choice(fields, record);
      break;
    case RecordType::kPreference:
      read_preference(fields, record);
      break;
    case RecordType::kAuto:
      fields.refuse("the shape of the record is not known");
  }
  return record;
}

std::span<const std::string_view> known_keys(RecordType type) {
  static constexpr std::string_view kAlpaca[] = {"instruction", "input", "output", "system",
                                                 "history"};
  static constexpr std::string_view kShareGpt[] = {"conversations", "system", "tools"};
  static constexpr std::string_view kMessages[] = {"messages", "tools"};
  static constexpr std::string_view kPair[] = {"prompt", "completion", "response"};
  static constexpr std::string_view kText[] = {"text"};
  static constexpr std::string_view kChoice[] = {"prompt", "choices", "label", "response"};
  static constexpr std::string_view kPreference[] = {"prompt", "messages", "tools", "chosen",
                                                     "rejected"};
  switch (type) {
    case RecordType::kAlpaca:
      return kAlpaca;
    case RecordType::kShareGpt:
      return kShareGpt;
    case RecordType::kMessages:
      return kMessages;
    case RecordType::kPromptCompletion:
      return kPair;
    case RecordType::kText:
      return kText;
    case RecordType::kChoice:
      return kChoice;
    case RecordType::kPreference:
      return kPreference;
    case RecordType::kAuto:
      break;
  }
  return {};
}

RecordType detect_type(const Json& object, Purpose purpose) {
  const auto has = [&](const char* key) { return object.contains(key); };
  if (has("chosen") && has("rejected")) return RecordType::kPreference;
  if (has("messages")) return RecordType::kMessages;
  if (has("conversations")) return RecordType::kShareGpt;
  if (has("instruction")) return RecordType::kAlpaca;
  const bool answered = has("completion") || has("response");
  const bool choice = has("prompt") && has("choices") && has("label");
  if (choice && (purpose == Purpose::kEvaluation || !answered)) return RecordType::kChoice;
  if (has("prompt") && answered) return RecordType::kPromptCompletion;
  if (has("text")) return RecordType::kText;
  return RecordType::kAuto;
}

std::string shapes_text() {
  return "messages (messages), sharegpt (conversations), alpaca (instruction, output), "
         "prompt_completion (prompt and completion or response), preference (prompt or messages, "
         "chosen, rejected), choice (prompt, choices, label), "
         "text (text)";
}

}  // namespace lmoe::data
