#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "base/quiet.h"

namespace lmoe {
namespace {

spdlog::logger& sink() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made =
        std::make_shared<spdlog::logger>("lmoe", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    return made;
  }();
  return *logger;
}

}  // namespace

std::string fill_in(std::string_view pattern, const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    const size_t place = pattern.find("{}");
    text += pattern.substr(0, place);
    text += place == std::string_view::npos ? " " + part : part;
    pattern.remove_prefix(place == std::string_view::npos ? pattern.size() : place + 2);
  }
  return text += pattern;
}

void Log::write(const char* prefix,
                std::string_view pattern,
                const std::vector<std::string>& parts) const {
  if (is_quiet()) return;
  sink().info("{}", prefix + fill_in(pattern, parts));
}

const Log& log() {
  static const Log kLog;
  return kLog;
}

}  // namespace lmoe
