#include "data/json_records.h"

#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace lmoe::data {
namespace {

constexpr int kMaxNesting = 64;
constexpr size_t kMaxListBytes = size_t{1} << 30;
constexpr std::string_view kSpace = " \t\r\n";

std::string at(const fs::path& file, int64_t line) {
  return concat("[data] ", file.string(), ":", line, ": ");
}

/// Whether brackets outside of strings nest deeper than anything a record needs; deeper JSON would
/// overflow the stack of whoever copies it.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxNesting) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

Json parse(std::string_view text, const fs::path& file, int64_t line) {
  LMOE_CHECK_DATA(!too_deep(text), at(file, line), "too deep: given brackets in more than ",
                  kMaxNesting, " levels, expected a record");
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    std::string_view what = error.what();
    if (const size_t column = what.find("column "); column != std::string_view::npos)
      what.remove_prefix(column);
    // What was read last may be no text at all.
    what = what.substr(0, what.find("; last read"));
    fail(ErrorCode::kCorruptData, at(file, line), "no valid JSON at ", what.substr(0, 200),
         "; expected one object per line");
  }
}

void check_object(const Json& value, const fs::path& file, int64_t line) {
  LMOE_CHECK_DATA(value.is_object(), at(file, line), "given ", value.type_name(),
                  ", expected an object with the fields of a record");
}

}  // namespace

void read_json_records(const fs::path& file,
                       const std::function<bool(const Json& object, int64_t line)>& take) {
  const MappedFile mapped(file);
  std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()),
                        mapped.bytes().size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(kSpace);
  if (first != std::string_view::npos && text[first] == '[') {
    LMOE_CHECK_DATA(text.size() <= kMaxListBytes, "[data] ", file.string(),
                    ": the JSON list is too long: given ", text.size(), " bytes, expected at most ",
                    kMaxListBytes, "; hint: write it as JSON lines");
    const Json list = parse(text, file, 1);
    int64_t item = 0;
    for (const Json& object : list) {
      check_object(object, file, ++item);
      if (!take(object, item)) return;
    }
    return;
  }
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view current = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    LMOE_CHECK_DATA(current.size() <= kMaxLineBytes, at(file, line), "the line has ",
                    current.size(), " bytes, expected at most ", kMaxLineBytes);
    if (current.find_first_not_of(kSpace) == std::string_view::npos) continue;
    mapped.check_not_truncated();
    const Json object = parse(current, file, line);
    check_object(object, file, line);
    if (!take(object, line)) return;
  }
}

}  // namespace lmoe::data
