// The filters, tests, methods and functions a template can call.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace lmoe::text::jinja {

using Filter = Value (*)(Runtime&, const Value& operand, CallArguments& arguments);
using Test = bool (*)(Runtime&, const Value& operand, CallArguments& arguments);

/// One row of a table of named functions.
template <class Function>
struct Named {
  std::string_view name;
  Function function;
};

bool has_filter(std::string_view name);
bool has_test(std::string_view name);
/// Throw TemplateError for unknown names and unfit arguments.
Value apply_filter(Runtime& runtime,
                   std::string_view name,
                   const Value& operand,
                   CallArguments& arguments);
bool apply_test(Runtime& runtime,
                std::string_view name,
                const Value& operand,
                CallArguments& arguments);

/// `value.name`: methods and attributes first, then entries. Undefined when there is none.
Value get_attribute(const Value& value, std::string_view name, Budget& budget);
/// `value[key]`: entries first, then methods and attributes.
Value get_item(const Value& value, const Value& key, Budget& budget);
/// `value[start:stop:step]`, each undefined-free; None for what is left out.
Value get_slice(
    const Value& value, const Value& start, const Value& stop, const Value& step, Budget& budget);

/// +, -, *, /, //, %, **.
Value calculate(std::string_view op, const Value& left, const Value& right, Budget& budget);
bool contains(const Value& container, const Value& item, Budget& budget);

/// A function every template can call (range, namespace, …); undefined when there is none.
Value global_function(std::string_view name);

/// Python's "…" % value.
std::string percent_format(std::string_view format, const Value& value, Budget& budget);
/// Python's "…".format(…), without attribute access.
std::string brace_format(std::string_view format, CallArguments& arguments, Budget& budget);

}  // namespace lmoe::text::jinja
