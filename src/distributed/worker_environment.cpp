#include "distributed/worker_environment.h"

#include <charconv>
#include <limits>

#include "base/error.h"

namespace lmoe::distributed {
namespace {

using Variable = std::function<const char*(const char*)>;

bool is_given(const Variable& variable, const char* name) {
  const char* text = variable(name);
  return text != nullptr && *text != '\0';
}

int64_t number(
    const Variable& variable, const char* name, int64_t otherwise, int64_t low, int64_t high) {
  if (!is_given(variable, name)) return otherwise;
  const std::string text = variable(name);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  LMOE_CHECK_ARG(
      error == std::errc{} && end == text.data() + text.size() && value >= low && value <= high,
      "[distributed] environment variable ", name, ": given \"", text, "\", expected ", low, " to ",
      high);
  return value;
}

}  // namespace

WorkerEnvironment read_worker_environment(const Variable& variable) {
  constexpr int64_t kMaxWorkers = 65536;
  WorkerEnvironment result;
  result.size = static_cast<int>(number(variable, "WORLD_SIZE", 1, 1, kMaxWorkers));
  if (result.size == 1) return result;
  for (const char* name : {"RANK", "MASTER_ADDR", "MASTER_PORT"})
    LMOE_CHECK_ARG(is_given(variable, name), "[distributed] environment variable ", name,
                   " is missing: given WORLD_SIZE=", result.size, ", expected ", name,
                   " with it; hint: torchrun sets them all");
  result.rank = static_cast<int>(number(variable, "RANK", 0, 0, result.size - 1));
  result.local_size =
      static_cast<int>(number(variable, "LOCAL_WORLD_SIZE", result.size, 1, result.size));
  result.address = variable("MASTER_ADDR");
  result.port = static_cast<uint16_t>(
      number(variable, "MASTER_PORT", 0, 1, std::numeric_limits<uint16_t>::max()));
  const char* agent = variable("TORCHELASTIC_USE_AGENT_STORE");
  result.agent_listens = agent != nullptr && std::string(agent) == "True";
  result.restarts =
      number(variable, "TORCHELASTIC_RESTART_COUNT", 0, 0, std::numeric_limits<int64_t>::max());
  return result;
}

}  // namespace lmoe::distributed
