#include "report/training_log.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace lmoe::report {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kAliases{
    {{"current_steps", "step"}, {"throughput", "tokens_per_second"}, {"learning_rate", "lr"}}};

std::string canonical_key(const std::string& key) {
  for (const auto& [alias, name] : kAliases)
    if (key == alias) return std::string(name);
  return key;
}

Json parse_line(std::string_view line, size_t number) {
  const Json parsed = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  Json entry = Json::object();
  if (parsed.is_object())
    for (const auto& [key, value] : parsed.items()) entry[canonical_key(key)] = value;
  LMOE_CHECK_DATA(entry.contains("step") && entry["step"].is_number(),
                  "[report] log.jsonl:", number, ": given ", line.substr(0, 80),
                  ", expected a JSON object with a step");
  return entry;
}

double step_of(const Json& entry) { return entry["step"].get<double>(); }

void add_entry(std::vector<Json>& entries, Json entry) {
  while (!entries.empty() && step_of(entries.back()) > step_of(entry)) entries.pop_back();
  if (!entries.empty() && step_of(entries.back()) == step_of(entry)) {
    entries.back().update(entry);
  } else {
    entries.push_back(std::move(entry));
  }
}

Json join(const std::vector<Json>& entries, size_t begin, size_t end) {
  Json joined = Json::object();
  double sum = 0;
  size_t count = 0;
  for (size_t i = begin; i < end; ++i) {
    joined.update(entries[i]);
    if (!entries[i].contains("loss") || !entries[i]["loss"].is_number()) continue;
    sum += entries[i]["loss"].get<double>();
    ++count;
  }
  if (count > 0) joined["loss"] = sum / static_cast<double>(count);
  return joined;
}

}  // namespace

Json log_from_jsonl(std::string_view jsonl, size_t max_entries) {
  LMOE_CHECK_ARG(max_entries > 0, "[report] max_entries: given 0, expected at least 1");
  std::vector<Json> entries;
  size_t number = 0;
  while (!jsonl.empty()) {
    ++number;
    const size_t end = jsonl.find('\n');
    const std::string_view line = jsonl.substr(0, end);
    const bool is_unfinished = end == std::string_view::npos && !Json::accept(line);
    jsonl.remove_prefix(end == std::string_view::npos ? jsonl.size() : end + 1);
    if (is_unfinished || line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    add_entry(entries, parse_line(line, number));
  }
  const size_t bucket = (entries.size() + max_entries - 1) / max_entries;
  Json log = Json::array();
  for (size_t i = 0; i < entries.size(); i += bucket)
    log.push_back(join(entries, i, std::min(i + bucket, entries.size())));
  return log;
}

}  // namespace lmoe::report
