// Tokens to expressions, with Jinja's grammar and precedences.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace lmoe::text::jinja {

/// Names seen while parsing a body; what macros and loops need to know of theirs.
struct NamesSeen {
  bool caller = false, varargs = false, kwargs = false, loop = false;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  struct TupleRules {
    bool targets_only = false;       ///< names and literals: what can be assigned
    bool with_conditional = true;    ///< `a if b` is part of it
    bool parenthesised = false;      ///< may be empty
    bool with_namespace = false;     ///< `ns.x` is a target
    std::string_view end_name = {};  ///< a name that ends it, besides the tag's end
  };

  ExprPtr parse_tuple(const TupleRules& rules);
  ExprPtr parse_expression(bool with_conditional = true);
  ExprPtr parse_target(std::string_view end_name, bool with_namespace);
  std::string parse_name_target();
  /// The chain of filters that follows; null when there is none. `operand` may be null.
  ExprPtr parse_filters(ExprPtr operand, bool first_without_pipe);

  const Token& current() const { return tokens_[position_]; }
  const Token& ahead() const;
  Token take();
  bool is_operator(std::string_view text) const {
    return is(current(), TokenKind::kOperator, text);
  }
  bool is_name(std::string_view text) const { return is(current(), TokenKind::kName, text); }
  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view text);
  Token expect(TokenKind kind, std::string_view text = {});
  [[noreturn]] void fail(const std::string& message) const;

  /// A filter or test nobody has. Refused at once, but for what stands inside an if or an inline
  /// if, where it matters only when it is reached.
  void note_unknown(const std::string& message);
  /// Throws what `note_unknown` noted; called at the end of each tag.
  void refuse_unknown() const;

  NamesSeen seen_;
  bool lenient_names_ = false;

 private:
  static bool is(const Token& token, TokenKind kind, std::string_view text) {
    return token.kind == kind && token.text == text;
  }
  static ExprPtr make(ExprKind kind, int line, std::vector<ExprPtr> operands = {});
  /// Sets the height. Throws SyntaxError for a tree too high to evaluate.
  static ExprPtr sealed(ExprPtr expression);
  ExprPtr parse_conditional();
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filter);
  ExprPtr parse_primary(bool with_namespace);
  ExprPtr parse_name(bool with_namespace);
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr operand);
  ExprPtr parse_filters_and_tests(ExprPtr operand);
  ExprPtr parse_subscript(ExprPtr operand);
  ExprPtr parse_slice_part();
  ExprPtr parse_call(ExprPtr operand);
  ExprPtr parse_test(ExprPtr operand);
  std::string parse_dotted_name();
  Arguments parse_arguments();
  bool at_tuple_end(const TupleRules& rules) const;
  void check_assignable(const Expr& target) const;
  Value number(const Token& token) const;

  std::vector<Token> tokens_;
  size_t position_ = 0;
  int depth_ = 0;
  std::optional<SyntaxError> unknown_;
};

}  // namespace lmoe::text::jinja
