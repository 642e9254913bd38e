#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

namespace lmoe {

spdlog::logger& log() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made =
        std::make_shared<spdlog::logger>("lmoe", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    return made;
  }();
  return *logger;
}

}  // namespace lmoe
