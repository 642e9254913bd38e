#include <cmath>

#include "text/jinja/library.h"
#include "text/jinja/print.h"

namespace lmoe::text::jinja {
namespace {

[[noreturn]] void unsupported(std::string_view op, const Value& left, const Value& right) {
  throw TemplateError("unsupported operand type(s) for " + std::string(op) + ": '" +
                      left.type_name() + "' and '" + right.type_name() + "'");
}

[[noreturn]] void too_large() { throw TemplateError("a number is too large"); }

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == 0) throw TemplateError("division by zero");
  if (a == INT64_MIN && b == -1) too_large();
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t modulo(int64_t a, int64_t b) {
  if (b == 0) throw TemplateError("division by zero");
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

int64_t power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  if (base == -1) return exponent % 2 == 0 ? 1 : -1;
  for (int64_t i = 0; i < exponent; ++i)
    if (__builtin_mul_overflow(result, base, &result)) too_large();
  return result;
}

Value calculate_integers(std::string_view op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (op == "//") {
    result = floor_divide(a, b);
  } else if (op == "%") {
    result = modulo(a, b);
  } else if (op == "/") {
    if (b == 0) throw TemplateError("division by zero");
    return Value(static_cast<double>(a) / static_cast<double>(b));
  } else if (b < 0) {
    if (a == 0) throw TemplateError("0.0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
  } else {
    result = power(a, b);
  }
  if (overflow) too_large();
  return Value(result);
}

Value calculate_floats(std::string_view op, double a, double b) {
  if (op == "+") return Value(a + b);
  if (op == "-") return Value(a - b);
  if (op == "*") return Value(a * b);
  if (op == "**") {
    if (a == 0.0 && b < 0.0) throw TemplateError("0.0 cannot be raised to a negative power");
    const double result = std::pow(a, b);
    if (std::isnan(result) && !std::isnan(a) && !std::isnan(b))
      throw TemplateError("a power is no real number");
    if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) too_large();
    return Value(result);
  }
  if (b == 0.0) throw TemplateError("float division by zero");
  if (op == "/") return Value(a / b);
  double rest = std::fmod(a, b);
  if (rest != 0.0 && (rest < 0.0) != (b < 0.0)) rest += b;
  if (op == "%") return Value(rest);
  const double quotient = (a - rest) / b;
  double floored = std::floor(quotient);
  if (quotient - floored > 0.5) floored += 1.0;
  return Value(floored);
}

Value repeat(const Value& value, int64_t times, Budget& budget) {
  const uint64_t count = times > 0 ? static_cast<uint64_t>(times) : 0;
  const auto total = [&](size_t size) {
    uint64_t product = 0;
    return __builtin_mul_overflow(static_cast<uint64_t>(size), count, &product) ? UINT64_MAX
                                                                                : product;
  };
  if (value.is_string()) {
    budget.spend_bytes(total(value.as_string().size()));
    std::string out;
    for (uint64_t i = 0; i < count && !value.as_string().empty(); ++i) out += value.as_string();
    return Value(std::move(out));
  }
  const Sequence& sequence = value.as_sequence();
  budget.spend(
      static_cast<int64_t>(std::min<uint64_t>(total(sequence.items.size()), INT64_MAX / 2)));
  std::vector<Value> items;
  for (uint64_t i = 0; i < count && !sequence.items.empty(); ++i)
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  return Value::sequence(sequence.kind, std::move(items));
}

Value join_sequences(const Value& left, const Value& right, Budget& budget) {
  std::vector<Value> items = left.as_sequence().items;
  const auto& more = right.as_sequence().items;
  budget.spend(static_cast<int64_t>(items.size() + more.size()));
  items.insert(items.end(), more.begin(), more.end());
  return Value::sequence(left.as_sequence().kind, std::move(items));
}

}  // namespace

Value calculate(std::string_view op, const Value& left, const Value& right, Budget& budget) {
  if (op == "%" && left.is_string()) return Value(percent_format(left.as_string(), right, budget));
  require_defined(left);
  require_defined(right);
  if (left.is_integral() && right.is_integral())
    return calculate_integers(op, left.as_integer(), right.as_integer());
  if (left.is_number() && right.is_number())
    return calculate_floats(op, left.as_double(), right.as_double());
  if (op == "+" && left.is_string() && right.is_string()) {
    budget.spend_bytes(left.as_string().size() + right.as_string().size());
    return Value(left.as_string() + right.as_string());
  }
  if (op == "+" && left.is_list_or_tuple() && right.is_list_or_tuple() &&
      left.as_sequence().kind == right.as_sequence().kind)
    return join_sequences(left, right, budget);
  const auto repeatable = [](const Value& v) { return v.is_string() || v.is_list_or_tuple(); };
  if (op == "*" && repeatable(left) && right.is_integral())
    return repeat(left, right.as_integer(), budget);
  if (op == "*" && repeatable(right) && left.is_integral())
    return repeat(right, left.as_integer(), budget);
  unsupported(op, left, right);
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (container.is_string()) {
    if (!item.is_string())
      throw TemplateError("'in <string>' requires string as left operand, not " + item.type_name());
    budget.spend_bytes(container.as_string().size());
    return container.as_string().find(item.as_string()) != std::string::npos;
  }
  if (container.is_dict()) {
    if (!is_hashable(item)) throw TemplateError("unhashable type: '" + item.type_name() + "'");
    return find(container.as_dict(), item, budget) != nullptr;
  }
  const auto items = iterate(container, budget);
  for (const Value& candidate : items)
    if (equal(candidate, item, budget)) return true;
  return false;
}

}  // namespace lmoe::text::jinja
