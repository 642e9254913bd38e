// Expressions.
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/print.h"

namespace lmoe::text::jinja {

Value Interpreter::evaluate(const Expr& expression, const ScopePtr& scope) {
  budget().spend(1);
  const auto operand = [&](size_t i) { return evaluate(*expression.operands[i], scope); };
  switch (expression.kind) {
    case ExprKind::kConstant:
      return expression.value;
    case ExprKind::kName:
      return look_up(expression.name, *scope);
    case ExprKind::kList:
    case ExprKind::kTuple:
    case ExprKind::kDict:
      return evaluate_container(expression, scope);
    case ExprKind::kAttribute:
      return get_attribute(operand(0), expression.name, budget());
    case ExprKind::kItem: {
      const Value container = operand(0);
      return get_item(container, operand(1), budget());
    }
    case ExprKind::kSlice:
      return evaluate_slice(expression, scope);
    case ExprKind::kCall:
      return evaluate_call(expression, scope, nullptr);
    case ExprKind::kFilter:
      return evaluate_filter(expression, scope, nullptr);
    case ExprKind::kTest: {
      const Value value = operand(0);
      CallArguments arguments = evaluate_arguments(expression.arguments, scope);
      return Value(apply_test(*this, expression.name, value, arguments));
    }
    case ExprKind::kNot:
      return Value(!truthy(operand(0)));
    case ExprKind::kNegative:
    case ExprKind::kPositive:
      return evaluate_sign(expression, scope);
    case ExprKind::kArithmetic: {
      const Value left = operand(0);
      return calculate(expression.name, left, operand(1), budget());
    }
    case ExprKind::kConcat:
      return evaluate_concat(expression, scope);
    case ExprKind::kCompare:
      return evaluate_compare(expression, scope);
    case ExprKind::kAnd: {
      Value left = operand(0);
      return truthy(left) ? operand(1) : left;
    }
    case ExprKind::kOr: {
      Value left = operand(0);
      return truthy(left) ? left : operand(1);
    }
    case ExprKind::kConditional:
      return evaluate_conditional(expression, scope);
    case ExprKind::kNamespaceTarget:
      break;
  }
  throw TemplateError("a namespace attribute can only be assigned");
}

Value Interpreter::look_up(const std::string& name, const Scope& scope) const {
  if (const Value* value = scope.find(name)) return *value;
  Value function = global_function(name);
  return function.is_undefined() ? Value::undefined("'" + name + "' is undefined") : function;
}

Value Interpreter::evaluate_container(const Expr& expression, const ScopePtr& scope) {
  if (expression.kind == ExprKind::kDict) {
    std::vector<std::pair<Value, Value>> entries;
    for (size_t i = 0; i < expression.operands.size(); i += 2) {
      Value key = evaluate(*expression.operands[i], scope);
      insert(entries, std::move(key), evaluate(*expression.operands[i + 1], scope), budget());
    }
    return Value::dict(std::move(entries));
  }
  std::vector<Value> items;
  items.reserve(expression.operands.size());
  for (const ExprPtr& item : expression.operands) items.push_back(evaluate(*item, scope));
  return expression.kind == ExprKind::kList ? Value::list(std::move(items))
                                            : Value::tuple(std::move(items));
}

Value Interpreter::evaluate_slice(const Expr& expression, const ScopePtr& scope) {
  const Value container = evaluate(*expression.operands[0], scope);
  Value bounds[3] = {Value(None{}), Value(None{}), Value(None{})};
  for (size_t i = 0; i < 3; ++i)
    if (expression.operands[i + 1]) bounds[i] = evaluate(*expression.operands[i + 1], scope);
  return get_slice(container, bounds[0], bounds[1], bounds[2], budget());
}

Value Interpreter::evaluate_compare(const Expr& expression, const ScopePtr& scope) {
  Value left = evaluate(*expression.operands[0], scope);
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = evaluate(*expression.operands[i + 1], scope);
    const std::string& op = expression.operators[i];
    bool holds = false;
    if (op == "==") {
      holds = equal(left, right, budget());
    } else if (op == "!=") {
      holds = !equal(left, right, budget());
    } else if (op == "in") {
      holds = contains(right, left, budget());
    } else if (op == "not in") {
      holds = !contains(right, left, budget());
    } else {
      const int order = compare(left, right, budget());  // 2 when not comparable: NaN
      holds = op == "<"    ? order == -1
              : op == "<=" ? order == -1 || order == 0
              : op == ">"  ? order == 1
                           : order == 1 || order == 0;
    }
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::evaluate_concat(const Expr& expression, const ScopePtr& scope) {
  std::string text;
  for (const ExprPtr& part : expression.operands) {
    text += to_text(evaluate(*part, scope), budget());
    budget().spend_bytes(text.size());
  }
  return Value(std::move(text));
}

Value Interpreter::evaluate_conditional(const Expr& expression, const ScopePtr& scope) {
  if (truthy(evaluate(*expression.operands[0], scope)))
    return evaluate(*expression.operands[1], scope);
  if (expression.operands.size() > 2) return evaluate(*expression.operands[2], scope);
  return Value::undefined(
      "the inline if-expression evaluated to false and no else section was defined");
}

Value Interpreter::evaluate_sign(const Expr& expression, const ScopePtr& scope) {
  const Value value = evaluate(*expression.operands[0], scope);
  require_defined(value);
  if (!value.is_number())
    throw TemplateError("bad operand type for unary sign: '" + value.type_name() + "'");
  const bool negative = expression.kind == ExprKind::kNegative;
  if (value.is<double>()) return Value(negative ? -value.as_double() : value.as_double());
  return calculate("*", Value(value.as_integer()), Value(int64_t{negative ? -1 : 1}), budget());
}

Value Interpreter::evaluate_filter(const Expr& filter,
                                   const ScopePtr& scope,
                                   const Value* block_text) {
  const ExprPtr& inner = filter.operands[0];
  const Value operand = !inner ? *block_text
                        : block_text != nullptr && inner->kind == ExprKind::kFilter
                            ? evaluate_filter(*inner, scope, block_text)
                            : evaluate(*inner, scope);
  CallArguments arguments = evaluate_arguments(filter.arguments, scope);
  line_ = filter.line;
  return apply_filter(*this, filter.name, operand, arguments);
}

}  // namespace lmoe::text::jinja
