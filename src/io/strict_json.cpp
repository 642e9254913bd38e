#include "io/strict_json.h"

#include <limits>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/files.h"

namespace lmoe::io {
namespace {

/// Reads the text without keeping it and throws at the first thing that is not allowed. The
/// library's own callback would do, but after each object it searches all that stand before it.
class Guard : public nlohmann::json_sax<nlohmann::json> {
 public:
  Guard(const std::string& file, const JsonLimits& limits) : file_(file), limits_(limits) {}

  bool start_object(size_t) override {
    enter();
    keys_.emplace_back();
    return true;
  }
  bool end_object() override {
    keys_.pop_back();
    return leave();
  }
  bool start_array(size_t) override {
    enter();
    return true;
  }
  bool end_array() override { return leave(); }
  bool key(std::string& name) override {
    LMOE_CHECK_DATA(keys_.back().insert(name).second, "[json] ", file_, ": key \"", name,
                    "\" appears twice");
    LMOE_CHECK_DATA(keys_.back().size() <= limits_.max_keys, "[json] ", file_,
                    ": an object has more than ", limits_.max_keys, " keys");
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(nlohmann::json::binary_t&) override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) override {
    fail(ErrorCode::kCorruptData, "[json] ", file_,
         " is not valid JSON: ", without_operation(error.what()));
  }

 private:
  void enter() {
    LMOE_CHECK_DATA(depth_ < limits_.max_depth, "[json] ", file_, " is nested deeper than ",
                    limits_.max_depth, " levels");
    ++depth_;
  }
  bool leave() {
    --depth_;
    return true;
  }

  const std::string& file_;
  const JsonLimits& limits_;
  int depth_ = 0;
  std::vector<std::unordered_set<std::string>> keys_;
};

void check_json(std::string_view text, const std::string& file, const JsonLimits& limits) {
  LMOE_CHECK_DATA(text.size() <= limits.max_bytes, "[json] ", file, " is too long: given ",
                  text.size(), " bytes, expected at most ", limits.max_bytes);
  check_json_bytes(text, file);
  Guard guard(file, limits);
  nlohmann::json::sax_parse(text, &guard);
}

}  // namespace

void check_json_bytes(std::string_view text, const std::string& file) {
  LMOE_CHECK_DATA(text.find('\0') == std::string_view::npos, "[json] ", file,
                  ": NUL byte in JSON text");
  LMOE_CHECK_DATA(text.substr(0, 3) != "\xef\xbb\xbf", "[json] ", file,
                  ": byte-order mark before JSON text");
}

Json parse_json(std::string_view text, const std::string& file, const JsonLimits& limits) {
  check_json(text, file, limits);
  return Json::parse(text);
}

nlohmann::json parse_large_json(std::string_view text, const std::string& file) {
  JsonLimits limits;
  limits.max_keys = std::numeric_limits<size_t>::max();
  check_json(text, file, limits);
  return nlohmann::json::parse(text);
}

Json read_json_file(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_file(path), path.string(), limits);
}

}  // namespace lmoe::io
