#include "text/jinja/library.h"

#include "text/jinja/filters.h"

namespace lmoe::text::jinja {
namespace {

template <class Function>
Function find_in(std::span<const Named<Function>> table, std::string_view name) {
  for (const auto& [known, function] : table)
    if (known == name) return function;
  return nullptr;
}

Filter find_filter(std::string_view name) {
  for (const auto table :
       {text_filters(), number_filters(), sequence_filters(), selection_filters(), order_filters()})
    if (const Filter filter = find_in(table, name)) return filter;
  return nullptr;
}

}  // namespace

bool has_filter(std::string_view name) { return find_filter(name) != nullptr; }
bool has_test(std::string_view name) { return find_in(all_tests(), name) != nullptr; }

Value apply_filter(Runtime& runtime,
                   std::string_view name,
                   const Value& operand,
                   CallArguments& arguments) {
  const Filter filter = find_filter(name);
  if (filter == nullptr) throw TemplateError("no filter named '" + std::string(name) + "'");
  if (operand.is_string()) runtime.budget().spend_bytes(operand.as_string().size());
  return filter(runtime, operand, arguments);
}

bool apply_test(Runtime& runtime,
                std::string_view name,
                const Value& operand,
                CallArguments& arguments) {
  const Test test = find_in(all_tests(), name);
  if (test == nullptr) throw TemplateError("no test named '" + std::string(name) + "'");
  return test(runtime, operand, arguments);
}

}  // namespace lmoe::text::jinja
