#include "data/chat_records.h"

#include "data/passage_fields.h"

namespace lmoe::data {
namespace {

Json turn(const char* role, const std::string& content) {
  return Json{{"role", role}, {"content", content}};
}

/// LLaMA-Factory's function_call turns hold the call, or a list of calls, as JSON text.
Json call_turn(const RecordFields& fields, const std::string& value) {
  Json calls = Json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (calls.is_object()) calls = Json::array({calls});
  Json tool_calls = Json::array();
  for (const Json& call : calls) {
    if (!call.is_object() || !call.contains("name") || !call["name"].is_string())
      fields.refuse("a function_call turn: expected JSON with \"name\" and \"arguments\"");
    tool_calls.push_back(
        {{"type", "function"},
         {"function",
          {{"name", call["name"]}, {"arguments", call.value("arguments", Json::object())}}}});
  }
  if (!calls.is_array() || calls.empty())
    fields.refuse("a function_call turn: expected JSON with \"name\" and \"arguments\"");
  return Json{{"role", "assistant"}, {"content", ""}, {"tool_calls", tool_calls}};
}

Json sharegpt_turn(const RecordFields& fields, const Json& item) {
  const bool fits = item.is_object() && item.contains("from") && item["from"].is_string() &&
                    item.contains("value") && item["value"].is_string();
  if (!fits)
    fields.refuse("\"conversations\": expected objects with the texts \"from\" and \"value\"");
  if (item.contains("passage"))
    fields.refuse(
        "\"passage\" cannot act in \"conversations\"; hint: write the record as messages");
  const std::string from = item["from"], value = item["value"];
  if (from == "human" || from == "user") return turn("user", value);
  if (from == "gpt" || from == "assistant" || from == "model") return turn("assistant", value);
  if (from == "system") return turn("system", value);
  if (from == "observation" || from == "tool") return turn("tool", value);
  if (from == "function_call") return call_turn(fields, value);
  fields.refuse("\"from\": given \"", from,
                "\", expected human, gpt, system, function_call or observation");
}

}  // namespace

void read_messages(const RecordFields& fields, Record& record) {
  record.messages = fields.list("messages");
  for (const Json& message : record.messages) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
      fields.refuse("\"messages\": expected objects with \"role\" and \"content\"");
    const bool has_content = message.contains("content") && !message["content"].is_null();
    if (has_content && !message["content"].is_string() && !message["content"].is_array())
      fields.refuse("\"content\" of a message: given ", message["content"].type_name(),
                    ", expected text or a list of parts");
    if (!has_content && !message.contains("tool_calls"))
      fields.refuse("a message has neither \"content\" nor \"tool_calls\"");
  }
  take_message_passages(fields, record);
  record.tools = fields.tools();
}

void read_sharegpt(const RecordFields& fields, Record& record) {
  record.messages = Json::array();
  const Json& turns = fields.list("conversations");
  const std::string system = fields.optional_text("system");
  if (!system.empty()) record.messages.push_back(turn("system", system));
  for (const Json& item : turns) {
    Json message = sharegpt_turn(fields, item);
    if (!system.empty() && message["role"] == "system")
      fields.refuse("\"system\" and a system turn are both there");
    record.messages.push_back(std::move(message));
  }
  record.tools = fields.tools();
}

void read_alpaca(const RecordFields& fields, Record& record) {
  record.messages = Json::array();
  const std::string system = fields.optional_text("system");
  if (!system.empty()) record.messages.push_back(turn("system", system));
  if (fields.has("history")) {
    const Json& history = fields.raw("history");
    if (!history.is_array()) fields.refuse("\"history\": expected a list of [question, answer]");
    for (const Json& pair : history) {
      const bool fits =
          pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string();
      if (!fits) fields.refuse("\"history\": expected a list of [question, answer]");
      record.messages.push_back(turn("user", pair[0]));
      record.messages.push_back(turn("assistant", pair[1]));
    }
  }
  std::string question = fields.text("instruction");
  const std::string input = fields.optional_text("input");
  if (!input.empty()) question += "\n" + input;
  record.messages.push_back(turn("user", question));
  record.messages.push_back(turn("assistant", fields.text("output")));
}

}  // namespace lmoe::data
