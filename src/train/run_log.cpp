#include "train/run_log.h"

#include <sstream>

#include "base/files.h"

namespace lmoe::train {

void begin_log(const fs::path& path, int64_t step) {
  std::error_code error;
  if (step == 0) fs::remove(path, error);
  if (!fs::exists(path, error)) return;
  std::istringstream lines(read_file(path));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    // A crash may have cut the last line.
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool is_before = json.is_object() && json.contains("current_steps") &&
                           json["current_steps"].is_number_integer() &&
                           json["current_steps"].get<int64_t>() <= step;
    if (is_before) kept += line + "\n";
  }
  write_file_atomically(path, kept);
}

void append_report(const fs::path& path, const StepReport& report) {
  append_line(path, report.json().dump());
}

}  // namespace lmoe::train
