#include "arch/config_reader.h"

#include <cmath>

#include "base/error.h"

namespace lmoe::arch {

int64_t check_range(int64_t value, IntegerRange range, const std::string& where) {
  LMOE_CHECK_DATA(range.minimum <= value && value <= range.maximum, where, ": given ", value,
                  ", expected ", range.minimum, " to ", range.maximum);
  return value;
}

double check_range(double value, double minimum, double maximum, const std::string& where) {
  LMOE_CHECK_DATA(std::isfinite(value) && minimum <= value && value <= maximum, where, ": given ",
                  value, ", expected ", minimum, " to ", maximum);
  return value;
}

GgufConfig::GgufConfig(const io::GgufFile& file)
    : file_(file), architecture_(file.require_string("general.architecture")) {}

std::string GgufConfig::where(const std::string& key) const {
  return "[load_base] " + file_.description() + ": " + full(key);
}

int64_t GgufConfig::integer(const std::string& key,
                            IntegerRange range,
                            std::optional<int64_t> fallback) const {
  const std::vector<int64_t> values = file_.get_ints(full(key));
  if (values.empty()) {
    LMOE_CHECK_DATA(fallback, where(key), " is missing");
    return *fallback;
  }
  for (const int64_t value : values) {
    if (value != values.front())
      fail(ErrorCode::kUnsupported, where(key), " differs from layer to layer, which is not built");
  }
  return check_range(values.front(), range, where(key));
}

double GgufConfig::number(const std::string& key,
                          double minimum,
                          double maximum,
                          std::optional<double> fallback) const {
  LMOE_CHECK_DATA(fallback || has(key), where(key), " is missing");
  return has(key) ? check_range(file_.get_double(full(key), 0), minimum, maximum, where(key))
                  : *fallback;
}

std::string GgufConfig::text(const std::string& key, const std::string& fallback) const {
  return file_.get_string(full(key), fallback);
}

}  // namespace lmoe::arch
