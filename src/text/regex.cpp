#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "text/regex_syntax.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace lmoe::text {

namespace {

constexpr uint32_t kHeapLimitKib = 512 * 1024;
constexpr size_t kJitStackStart = 64 * 1024;
constexpr size_t kJitStackMax = 64 * 1024 * 1024;

struct Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_jit_stack* p) const { pcre2_jit_stack_free(p); }
};
using CodePtr = std::unique_ptr<pcre2_code, Free>;

/// What one thread needs to match; made once, since texts are short and many.
struct Workspace {
  std::unique_ptr<pcre2_jit_stack, Free> stack{
      pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr)};
  std::unique_ptr<pcre2_match_context, Free> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_match_data, Free> data{pcre2_match_data_create(1, nullptr)};

  Workspace() {
    LMOE_CHECK_ARG(context && data, "[tokenizer] out of memory for a regular expression");
    if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  }
};

Workspace& workspace() {
  thread_local Workspace instance;
  return instance;
}

std::string message_of(int code) {
  PCRE2_UCHAR8 buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

CodePtr compile(std::string_view pattern, const std::string& where) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  CodePtr code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options,
                             &error, &offset, nullptr));
  LMOE_CHECK_DATA(code, "[tokenizer] ", where, ": bad regular expression '", pattern,
                  "': ", message_of(error), " at offset ", offset);
  // Without machine code PCRE2 interprets, with the same results.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

}  // namespace

struct Regex::Programs {
  CodePtr plain;
  CodePtr with_new_code_points;  ///< slower classes, used only for texts that need them
};

Regex::Regex(std::string_view pattern, std::string where)
    : where_(std::move(where)), programs_(std::make_unique<Programs>()) {
  const std::string plain = to_pcre2_syntax(pattern, /*with_new_code_points=*/false, where_);
  const std::string extended = to_pcre2_syntax(pattern, /*with_new_code_points=*/true, where_);
  programs_->plain = compile(plain, where_);
  if (extended != plain) programs_->with_new_code_points = compile(extended, where_);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;

Regex::Searcher::Searcher(const Regex& regex, std::string_view text)
    : regex_(regex), code_(regex.programs_->plain.get()), text_(text) {
  const auto& extended = regex.programs_->with_new_code_points;
  if (extended && has_new_code_points(text)) code_ = extended.get();
}

std::optional<TextRange> Regex::Searcher::match_from(size_t start) const {
  Workspace& work = workspace();
  const auto* code = static_cast<const pcre2_code*>(code_);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text_.data());
  // Sound patterns need a few steps a byte; only runaway backtracking needs more.
  const uint64_t limit =
      std::min<uint64_t>(64 * static_cast<uint64_t>(text_.size()) + 10'000'000, UINT32_MAX);
  pcre2_set_match_limit(work.context.get(), static_cast<uint32_t>(limit));
  pcre2_set_depth_limit(work.context.get(), static_cast<uint32_t>(limit));
  int result = pcre2_match(code, subject, text_.size(), start, PCRE2_NO_UTF_CHECK, work.data.get(),
                           work.context.get());
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
    result = pcre2_match(code, subject, text_.size(), start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                         work.data.get(), work.context.get());
  }
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  LMOE_CHECK_ARG(result >= 0, "[tokenizer] ", regex_.where_,
                 ": the regular expression cannot be matched against a text of ", text_.size(),
                 " bytes: ", message_of(result));
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(work.data.get());
  return TextRange{range[0], range[1]};
}

std::optional<TextRange> Regex::Searcher::next() {
  while (!done_ && at_ <= text_.size()) {
    const auto match = match_from(at_);
    if (!match) break;
    at_ = match->end;
    if (match->begin != match->end) {
      last_end_ = match->end;
      return match;
    }
    const bool behind_another = last_end_ == match->end;
    last_end_ = match->end;
    if (at_ < text_.size()) {
      at_ += static_cast<size_t>(utf8_step(text_.substr(at_)).length);
    } else {
      done_ = true;
    }
    if (!behind_another) return match;
  }
  done_ = true;
  return std::nullopt;
}

}  // namespace lmoe::text
