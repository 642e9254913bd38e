// What a template may still use up. Everything that walks values or makes text spends from it, so
// no input makes rendering long or large.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace lmoe::text::jinja {

/// A refusal while a template runs; ChatTemplate adds the line and makes an lmoe::Error of it.
class TemplateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Budget {
 public:
  Budget(int64_t steps, int64_t max_bytes) : steps_(steps), max_bytes_(max_bytes) {}

  void spend(int64_t steps) {
    steps_ -= steps;
    if (steps_ < 0) throw TemplateError("the template needs more steps than the limit allows");
  }
  /// For work on text of this size; also the limit of any single text.
  void spend_bytes(uint64_t bytes) {
    if (bytes > static_cast<uint64_t>(max_bytes_))
      throw TemplateError("the template makes a text of more than " + std::to_string(max_bytes_) +
                          " bytes");
    spend(static_cast<int64_t>(bytes / 256));
  }

 private:
  int64_t steps_;
  int64_t max_bytes_;
};

}  // namespace lmoe::text::jinja
