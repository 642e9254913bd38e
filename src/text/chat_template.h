// Chat templates: a Jinja interpreter for what models ship in `chat_template`.
//
// Templates come from strangers: there is no attribute access beyond plain data, no imports, and
// steps and output are limited. Syntax errors are found when the template is made, not when it is
// first used.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"

namespace lmoe::text {

struct TemplateLimits {
  int64_t max_steps = 1'000'000;
  int64_t max_output_bytes = 16 << 20;
  int max_depth = 64;  ///< nesting of calls and of data
};

class ChatTemplate {
 public:
  /// Throws kCorruptData with the line of a syntax error.
  explicit ChatTemplate(std::string_view source, TemplateLimits limits = {});
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// Renders with `variables` as the template's globals (`messages`, `add_generation_prompt`,
  /// `bos_token`, `tools`, …). Throws kInvalidArgument for `raise_exception`, undefined use,
  /// exceeded limits.
  std::string render(const Json& variables) const;
  const std::string& source() const { return source_; }

 private:
  struct Program;
  std::string source_;
  std::unique_ptr<Program> program_;
  TemplateLimits limits_;
};

}  // namespace lmoe::text
