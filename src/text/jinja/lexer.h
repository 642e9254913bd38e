// Template source to tokens, with Jinja's white-space control (trim_blocks and lstrip_blocks on, as
// transformers sets them).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lmoe::text::jinja {

enum class TokenKind {
  kData,        ///< text between tags
  kPrintBegin,  ///< {{
  kPrintEnd,    ///< }}
  kBlockBegin,  ///< {%
  kBlockEnd,    ///< %}
  kName,
  kString,  ///< text is the value, unescaped
  kInteger,
  kFloat,
  kOperator,  ///< text is the operator
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;
};

/// A refusal of a template's source.
struct SyntaxError {
  std::string message;
  int line;
};

/// Throws SyntaxError.
std::vector<Token> tokenize(std::string_view source);

}  // namespace lmoe::text::jinja
