#include "text/jinja/expression_parser.h"

#include <algorithm>
#include <charconv>

#include "text/jinja/library.h"

namespace lmoe::text::jinja {
namespace {

constexpr int kMaxExpressionDepth = 200;
constexpr int kMaxExpressionHeight = 500;

class DepthGuard {
 public:
  DepthGuard(int& depth, int line) : depth_(depth) {
    if (++depth_ > kMaxExpressionDepth) {
      --depth_;
      throw SyntaxError{"expressions are nested too deeply", line};
    }
  }
  ~DepthGuard() { --depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  int& depth_;
};

std::vector<ExprPtr> operands_of(ExprPtr a, ExprPtr b = nullptr, ExprPtr c = nullptr) {
  std::vector<ExprPtr> operands;
  operands.push_back(std::move(a));
  if (b) operands.push_back(std::move(b));
  if (c) operands.push_back(std::move(c));
  return operands;
}

}  // namespace

const Token& ExpressionParser::ahead() const {
  return tokens_[std::min(position_ + 1, tokens_.size() - 1)];
}

Token ExpressionParser::take() {
  Token token = tokens_[position_];
  if (token.kind != TokenKind::kEnd) ++position_;
  return token;
}

bool ExpressionParser::skip_operator(std::string_view text) {
  if (!is_operator(text)) return false;
  ++position_;
  return true;
}

bool ExpressionParser::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  ++position_;
  return true;
}

Token ExpressionParser::expect(TokenKind kind, std::string_view text) {
  if (current().kind == kind && (text.empty() || current().text == text)) return take();
  static constexpr const char* kNames[] = {
      "text",           "{{", "}}", "{%", "%}", "name", "string", "integer", "float", "operator",
      "end of template"};
  const auto name = [&](TokenKind k) { return std::string(kNames[static_cast<int>(k)]); };
  fail("expected " + (text.empty() ? name(kind) : "'" + std::string(text) + "'") + ", got " +
       (current().text.empty() ? name(current().kind) : "'" + current().text + "'"));
}

void ExpressionParser::fail(const std::string& message) const {
  throw SyntaxError{message, current().line};
}

void ExpressionParser::note_unknown(const std::string& message) {
  if (!lenient_names_ && !unknown_) unknown_ = SyntaxError{message, current().line};
}

void ExpressionParser::refuse_unknown() const {
  if (unknown_) throw SyntaxError(*unknown_);
}

ExprPtr ExpressionParser::make(ExprKind kind, int line, std::vector<ExprPtr> operands) {
  auto expression = std::make_unique<Expr>();
  expression->kind = kind;
  expression->line = line;
  expression->operands = std::move(operands);
  return sealed(std::move(expression));
}

ExprPtr ExpressionParser::sealed(ExprPtr expression) {
  int below = 0;
  const auto include = [&](const ExprPtr& child) {
    if (child) below = std::max(below, child->height);
  };
  for (const ExprPtr& operand : expression->operands) include(operand);
  const Arguments& arguments = expression->arguments;
  for (const ExprPtr& argument : arguments.positional) include(argument);
  for (const auto& [name, argument] : arguments.keyword) include(argument);
  include(arguments.star);
  include(arguments.double_star);
  expression->height = below + 1;
  if (expression->height > kMaxExpressionHeight)
    throw SyntaxError{"expressions are nested too deeply", expression->line};
  return expression;
}

ExprPtr ExpressionParser::parse_expression(bool with_conditional) {
  const DepthGuard guard(depth_, current().line);
  return with_conditional ? parse_conditional() : parse_or();
}

ExprPtr ExpressionParser::parse_conditional() {
  const bool lenient_before = lenient_names_;
  const auto unknown_before = unknown_;
  ExprPtr result = parse_or();
  while (is_name("if")) {
    const int line = take().line;
    unknown_ = unknown_before;
    lenient_names_ = true;
    ExprPtr condition = parse_or();
    ExprPtr otherwise;
    if (skip_name("else")) otherwise = parse_expression();
    lenient_names_ = lenient_before;
    result = make(ExprKind::kConditional, line,
                  operands_of(std::move(condition), std::move(result), std::move(otherwise)));
  }
  return result;
}

ExprPtr ExpressionParser::parse_or() {
  ExprPtr left = parse_and();
  while (is_name("or")) {
    const int line = take().line;
    ExprPtr right = parse_and();
    left = make(ExprKind::kOr, line, operands_of(std::move(left), std::move(right)));
  }
  return left;
}

ExprPtr ExpressionParser::parse_and() {
  ExprPtr left = parse_not();
  while (is_name("and")) {
    const int line = take().line;
    ExprPtr right = parse_not();
    left = make(ExprKind::kAnd, line, operands_of(std::move(left), std::move(right)));
  }
  return left;
}

ExprPtr ExpressionParser::parse_not() {
  if (!is_name("not")) return parse_compare();
  const DepthGuard guard(depth_, current().line);
  const int line = take().line;
  return make(ExprKind::kNot, line, operands_of(parse_not()));
}

ExprPtr ExpressionParser::parse_compare() {
  ExprPtr first = parse_sum();
  ExprPtr comparison;
  while (true) {
    std::string op;
    if (current().kind == TokenKind::kOperator) {
      for (const char* known : {"==", "!=", "<", "<=", ">", ">="})
        if (current().text == known) op = known;
    } else if (is_name("in")) {
      op = "in";
    } else if (is_name("not") && is(ahead(), TokenKind::kName, "in")) {
      op = "not in";
      take();
    }
    if (op.empty()) break;
    const int line = take().line;
    if (!comparison) comparison = make(ExprKind::kCompare, line, operands_of(std::move(first)));
    comparison->operators.push_back(op);
    comparison->operands.push_back(parse_sum());
  }
  return comparison ? sealed(std::move(comparison)) : std::move(first);
}

ExprPtr ExpressionParser::parse_sum() {
  ExprPtr left = parse_concat();
  while (is_operator("+") || is_operator("-")) {
    const Token token = take();
    ExprPtr right = parse_concat();
    left = make(ExprKind::kArithmetic, token.line, operands_of(std::move(left), std::move(right)));
    left->name = token.text;
  }
  return left;
}

ExprPtr ExpressionParser::parse_concat() {
  ExprPtr first = parse_product();
  if (!is_operator("~")) return first;
  ExprPtr concat = make(ExprKind::kConcat, current().line, operands_of(std::move(first)));
  while (skip_operator("~")) concat->operands.push_back(parse_product());
  return sealed(std::move(concat));
}

ExprPtr ExpressionParser::parse_product() {
  ExprPtr left = parse_power();
  while (is_operator("*") || is_operator("/") || is_operator("//") || is_operator("%")) {
    const Token token = take();
    ExprPtr right = parse_power();
    left = make(ExprKind::kArithmetic, token.line, operands_of(std::move(left), std::move(right)));
    left->name = token.text;
  }
  return left;
}

ExprPtr ExpressionParser::parse_power() {
  ExprPtr left = parse_unary(true);
  while (is_operator("**")) {
    const int line = take().line;
    ExprPtr right = parse_unary(true);
    left = make(ExprKind::kArithmetic, line, operands_of(std::move(left), std::move(right)));
    left->name = "**";
  }
  return left;
}

ExprPtr ExpressionParser::parse_unary(bool with_filter) {
  const DepthGuard guard(depth_, current().line);
  ExprPtr operand;
  if (is_operator("-") || is_operator("+")) {
    const Token sign = take();
    operand = make(sign.text == "-" ? ExprKind::kNegative : ExprKind::kPositive, sign.line,
                   operands_of(parse_unary(false)));
  } else {
    operand = parse_primary(false);
  }
  operand = parse_postfix(std::move(operand));
  return with_filter ? parse_filters_and_tests(std::move(operand)) : std::move(operand);
}

bool ExpressionParser::at_tuple_end(const TupleRules& rules) const {
  return current().kind == TokenKind::kPrintEnd || current().kind == TokenKind::kBlockEnd ||
         is_operator(")") || (!rules.end_name.empty() && is_name(rules.end_name));
}

ExprPtr ExpressionParser::parse_tuple(const TupleRules& rules) {
  const int line = current().line;
  std::vector<ExprPtr> items;
  bool has_comma = false;
  while (!at_tuple_end(rules)) {
    items.push_back(rules.targets_only ? parse_primary(rules.with_namespace)
                                       : parse_expression(rules.with_conditional));
    if (!is_operator(",")) break;
    take();
    has_comma = true;
  }
  if (!has_comma && items.size() == 1) return std::move(items[0]);
  if (items.empty() && !rules.parenthesised) fail("expected an expression");
  return make(ExprKind::kTuple, line, std::move(items));
}

ExprPtr ExpressionParser::parse_target(std::string_view end_name, bool with_namespace) {
  TupleRules rules;
  rules.targets_only = true;
  rules.end_name = end_name;
  rules.with_namespace = with_namespace;
  ExprPtr target = parse_tuple(rules);
  check_assignable(*target);
  return target;
}

std::string ExpressionParser::parse_name_target() {
  const Token token = expect(TokenKind::kName);
  for (const char* reserved : {"true", "false", "none", "True", "False", "None"})
    if (token.text == reserved) fail("can't assign to '" + token.text + "'");
  return token.text;
}

void ExpressionParser::check_assignable(const Expr& target) const {
  if (target.kind == ExprKind::kName || target.kind == ExprKind::kNamespaceTarget) return;
  if (target.kind != ExprKind::kTuple) throw SyntaxError{"can't assign to this", target.line};
  for (const ExprPtr& item : target.operands) check_assignable(*item);
}

Value ExpressionParser::number(const Token& token) const {
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  if (token.kind == TokenKind::kFloat) {
    double value = 0.0;
    std::from_chars(begin, end, value);
    return Value(value);
  }
  int64_t value = 0;
  if (std::from_chars(begin, end, value).ec != std::errc{})
    throw SyntaxError{"number too large: " + token.text, token.line};
  return Value(value);
}

}  // namespace lmoe::text::jinja
