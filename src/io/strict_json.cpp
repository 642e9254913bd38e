#include "io/strict_json.h"

#include <functional>
#include <limits>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/files.h"

namespace lmoe::io {
namespace {

/// Called by the parser for every token; throws at the first thing that is not allowed.
template <class J>
class Guard {
 public:
  Guard(const std::string& file, const JsonLimits& limits) : file_(file), limits_(limits) {}

  bool operator()(int depth, typename J::parse_event_t event, J& parsed) {
    using Event = typename J::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      LMOE_CHECK_DATA(depth < limits_.max_depth, "[json] ", file_, " is nested deeper than ",
                      limits_.max_depth, " levels");
      if (event == Event::object_start) keys_.emplace_back();
    } else if (event == Event::object_end) {
      keys_.pop_back();
    } else if (event == Event::key) {
      const auto& name = parsed.template get_ref<const std::string&>();
      LMOE_CHECK_DATA(keys_.back().insert(name).second, "[json] ", file_, ": key \"", name,
                      "\" appears twice");
      LMOE_CHECK_DATA(keys_.back().size() <= limits_.max_keys, "[json] ", file_,
                      ": an object has more than ", limits_.max_keys, " keys");
    }
    return true;
  }

 private:
  const std::string& file_;
  const JsonLimits& limits_;
  std::vector<std::unordered_set<std::string>> keys_;
};

template <class J>
J parse_guarded(std::string_view text, const std::string& file, const JsonLimits& limits) {
  LMOE_CHECK_DATA(text.size() <= limits.max_bytes, "[json] ", file, " is too long: given ",
                  text.size(), " bytes, expected at most ", limits.max_bytes);
  check_json_bytes(text, file);
  try {
    return J::parse(
        text, std::function<bool(int, typename J::parse_event_t, J&)>(Guard<J>(file, limits)));
  } catch (const typename J::exception& error) {
    const std::string what = error.what();
    fail(ErrorCode::kCorruptData, "[json] ", file,
         " is not valid JSON: ", what.substr(what.find("] ") + 2));
  }
}

}  // namespace

void check_json_bytes(std::string_view text, const std::string& file) {
  LMOE_CHECK_DATA(text.find('\0') == std::string_view::npos, "[json] ", file,
                  ": NUL byte in JSON text");
  LMOE_CHECK_DATA(text.substr(0, 3) != "\xef\xbb\xbf", "[json] ", file,
                  ": byte-order mark before JSON text");
}

Json parse_json(std::string_view text, const std::string& file, const JsonLimits& limits) {
  return parse_guarded<Json>(text, file, limits);
}

nlohmann::json parse_large_json(std::string_view text, const std::string& file) {
  JsonLimits limits;
  limits.max_keys = std::numeric_limits<size_t>::max();
  return parse_guarded<nlohmann::json>(text, file, limits);
}

Json read_json_file(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_file(path), path.string(), limits);
}

}  // namespace lmoe::io
