// What may stand behind `is`.
#include "text/jinja/filters.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

using Arguments = CallArguments;

template <bool (*kHolds)(const Value&)>
bool simple(Runtime&, const Value& value, Arguments& arguments) {
  const ArgumentReader read("this test", arguments, {});
  return kHolds(value);
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_undefined(const Value& v) { return v.is_undefined(); }
bool is_none(const Value& v) { return v.is_none(); }
bool is_boolean(const Value& v) { return v.is<bool>(); }
bool is_true(const Value& v) { return v.is<bool>() && v.get<bool>(); }
bool is_false(const Value& v) { return v.is<bool>() && !v.get<bool>(); }
bool is_integer(const Value& v) { return v.is<int64_t>(); }
bool is_float(const Value& v) { return v.is<double>(); }
bool is_number(const Value& v) { return v.is_number(); }
bool is_string(const Value& v) { return v.is_string(); }
bool is_mapping(const Value& v) { return v.is_dict(); }
bool is_callable(const Value& v) {
  return v.is<std::shared_ptr<const Callable>>() || v.is_undefined();
}
bool is_sequence(const Value& v) {
  return v.is_string() || v.is_dict() || v.is_undefined() ||
         (v.is_sequence() && v.as_sequence().kind <= SequenceKind::kRange);
}
bool is_iterable(const Value& v) {
  return v.is_string() || v.is_dict() || v.is_undefined() || v.is_sequence() ||
         v.is<std::shared_ptr<const Loop>>();
}
bool never(const Value&) { return false; }

int64_t remainder_of(Runtime& runtime, const Value& value, int64_t divisor) {
  const Value rest = calculate("%", value, Value(divisor), runtime.budget());
  if (!rest.is_number()) throw TemplateError("a number is required");
  return rest.as_double() == 0.0 ? 0 : rest.as_double() == 1.0 ? 1 : 2;
}

bool is_odd(Runtime& runtime, const Value& value, Arguments& arguments) {
  const ArgumentReader read("odd", arguments, {});
  return remainder_of(runtime, value, 2) == 1;
}

bool is_even(Runtime& runtime, const Value& value, Arguments& arguments) {
  const ArgumentReader read("even", arguments, {});
  return remainder_of(runtime, value, 2) == 0;
}

bool is_divisible(Runtime& runtime, const Value& value, Arguments& arguments) {
  const ArgumentReader read("divisibleby", arguments, {"num"});
  const Value rest = calculate("%", value, read.required(0), runtime.budget());
  return equal(rest, Value(int64_t{0}), runtime.budget());
}

bool is_lower_text(Runtime& runtime, const Value& value, Arguments& arguments) {
  const ArgumentReader read("lower", arguments, {});
  return is_lower(to_text(value, runtime.budget()));
}

bool is_upper_text(Runtime& runtime, const Value& value, Arguments& arguments) {
  const ArgumentReader read("upper", arguments, {});
  return is_upper(to_text(value, runtime.budget()));
}

bool is_in(Runtime& runtime, const Value& value, Arguments& arguments) {
  const ArgumentReader read("in", arguments, {"seq"});
  return contains(read.required(0), value, runtime.budget());
}

/// Python's `is`: containers by identity, single values by type and value.
bool is_same(Runtime& runtime, const Value& value, Arguments& arguments) {
  const ArgumentReader read("sameas", arguments, {"other"});
  const Value& other = read.required(0);
  if (value.type_name() != other.type_name()) return false;
  if (value.is_sequence()) return &value.as_sequence() == &other.as_sequence();
  if (value.is_dict()) return &value.as_dict() == &other.as_dict();
  return equal(value, other, runtime.budget());
}

bool is_filter_name(Runtime&, const Value& value, Arguments& arguments) {
  const ArgumentReader read("filter", arguments, {});
  return value.is_string() && has_filter(value.as_string());
}

bool is_test_name(Runtime&, const Value& value, Arguments& arguments) {
  const ArgumentReader read("test", arguments, {});
  return value.is_string() && has_test(value.as_string());
}

enum class Order { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

template <Order kOrder>
bool compares(Runtime& runtime, const Value& value, Arguments& arguments) {
  const ArgumentReader read("this comparison", arguments, {""});
  const Value& other = read.required(0);
  if (kOrder == Order::kEqual) return equal(value, other, runtime.budget());
  if (kOrder == Order::kNotEqual) return !equal(value, other, runtime.budget());
  const int order = compare(value, other, runtime.budget());
  const bool same = order == 0;
  if (kOrder == Order::kLess || kOrder == Order::kLessEqual)
    return order == -1 || (same && kOrder == Order::kLessEqual);
  return order == 1 || (same && kOrder == Order::kGreaterEqual);
}

constexpr Named<Test> kTests[] = {
    {"!=", compares<Order::kNotEqual>},
    {"<", compares<Order::kLess>},
    {"<=", compares<Order::kLessEqual>},
    {"==", compares<Order::kEqual>},
    {">", compares<Order::kGreater>},
    {">=", compares<Order::kGreaterEqual>},
    {"boolean", simple<is_boolean>},
    {"callable", simple<is_callable>},
    {"defined", simple<is_defined>},
    {"divisibleby", is_divisible},
    {"eq", compares<Order::kEqual>},
    {"equalto", compares<Order::kEqual>},
    {"escaped", simple<never>},
    {"even", is_even},
    {"false", simple<is_false>},
    {"filter", is_filter_name},
    {"float", simple<is_float>},
    {"ge", compares<Order::kGreaterEqual>},
    {"greaterthan", compares<Order::kGreater>},
    {"gt", compares<Order::kGreater>},
    {"in", is_in},
    {"integer", simple<is_integer>},
    {"iterable", simple<is_iterable>},
    {"le", compares<Order::kLessEqual>},
    {"lessthan", compares<Order::kLess>},
    {"lower", is_lower_text},
    {"lt", compares<Order::kLess>},
    {"mapping", simple<is_mapping>},
    {"ne", compares<Order::kNotEqual>},
    {"none", simple<is_none>},
    {"number", simple<is_number>},
    {"odd", is_odd},
    {"sameas", is_same},
    {"sequence", simple<is_sequence>},
    {"string", simple<is_string>},
    {"test", is_test_name},
    {"true", simple<is_true>},
    {"undefined", simple<is_undefined>},
    {"upper", is_upper_text},
};

}  // namespace

std::span<const Named<Test>> all_tests() { return kTests; }

}  // namespace lmoe::text::jinja
