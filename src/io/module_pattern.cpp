#include "io/module_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

namespace lmoe::io {
namespace {

constexpr uint32_t kMaxSteps = 100'000;
constexpr uint32_t kMaxHeapKilobytes = 4096;
constexpr size_t kMaxPatternBytes = 4096;

template <auto free_function>
struct Free {
  template <class T>
  void operator()(T* pointer) const {
    free_function(pointer);
  }
};

}  // namespace

struct ModulePattern::Compiled {
  std::unique_ptr<pcre2_code, Free<pcre2_code_free>> code;
  std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>> match;
  std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>> limits;
};

ModulePattern::ModulePattern(const std::string& key)
    : key_(key), compiled_(std::make_unique<Compiled>()) {
  LMOE_CHECK_DATA(key.size() <= kMaxPatternBytes, "[peft] a pattern of ", key.size(),
                  " bytes is too long");
  const std::string pattern = "(.*\\.)?(" + key + ")$";
  int error = 0;
  PCRE2_SIZE position = 0;
  compiled_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                      PCRE2_ANCHORED | PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error,
                                      &position, nullptr));
  LMOE_CHECK_DATA(compiled_->code, "[peft] pattern \"", key, "\" is not a regular expression");
  compiled_->match.reset(pcre2_match_data_create_from_pattern(compiled_->code.get(), nullptr));
  compiled_->limits.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(compiled_->limits.get(), kMaxSteps);
  pcre2_set_heap_limit(compiled_->limits.get(), kMaxHeapKilobytes);
}

ModulePattern::~ModulePattern() = default;
ModulePattern::ModulePattern(ModulePattern&&) noexcept = default;
ModulePattern& ModulePattern::operator=(ModulePattern&&) noexcept = default;

bool ModulePattern::matches(const std::string& module) const {
  const int result =
      pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(module.data()), module.size(),
                  0, 0, compiled_->match.get(), compiled_->limits.get());
  LMOE_CHECK_DATA(result >= 0 || result == PCRE2_ERROR_NOMATCH, "[peft] pattern \"", key_,
                  "\" cannot be matched against module \"", module, "\" (PCRE2 error ", result,
                  ")");
  return result >= 0;
}

}  // namespace lmoe::io
