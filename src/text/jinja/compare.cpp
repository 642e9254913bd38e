#include <cmath>

#include "text/jinja/value.h"

namespace lmoe::text::jinja {
namespace {

/// Exact for integers beyond 2^53 too; unordered gives 2.
int compare_numbers(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) {
    const int64_t left = a.as_integer(), right = b.as_integer();
    return left < right ? -1 : left > right ? 1 : 0;
  }
  const double left = a.as_double(), right = b.as_double();
  if (std::isnan(left) || std::isnan(right)) return 2;
  return left < right ? -1 : left > right ? 1 : 0;
}

bool equal_dicts(const Dict& a, const Dict& b, Budget& budget) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = find(b, key, budget);
    if (other == nullptr || !equal(value, *other, budget)) return false;
  }
  return true;
}

bool equal_sequences(const Sequence& a, const Sequence& b, Budget& budget) {
  const bool comparable = a.kind == b.kind && a.kind <= SequenceKind::kRange;
  if (!comparable) return &a == &b;
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!equal(a.items[i], b.items[i], budget)) return false;
  return true;
}

}  // namespace

bool equal(const Value& a, const Value& b, Budget& budget) {
  budget.spend(1);
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.is_string() && b.is_string()) {
    if (a.as_string().size() != b.as_string().size()) return false;
    budget.spend_bytes(a.as_string().size());
    return a.as_string() == b.as_string();
  }
  if (a.is_sequence() && b.is_sequence())
    return equal_sequences(a.as_sequence(), b.as_sequence(), budget);
  if (a.is_dict() && b.is_dict()) return equal_dicts(a.as_dict(), b.as_dict(), budget);
  if (a.is<std::shared_ptr<Namespace>>() && b.is<std::shared_ptr<Namespace>>())
    return a.get<std::shared_ptr<Namespace>>() == b.get<std::shared_ptr<Namespace>>();
  if (a.is<std::shared_ptr<const Callable>>() && b.is<std::shared_ptr<const Callable>>())
    return a.get<std::shared_ptr<const Callable>>() == b.get<std::shared_ptr<const Callable>>();
  return false;
}

int compare(const Value& a, const Value& b, Budget& budget) {
  budget.spend(1);
  require_defined(a);
  require_defined(b);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.is_string() && b.is_string()) {
    budget.spend_bytes(std::min(a.as_string().size(), b.as_string().size()));
    const int order = a.as_string().compare(b.as_string());  // UTF-8 keeps the order of code points
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  if (a.is_list_or_tuple() && b.is_list_or_tuple() &&
      a.as_sequence().kind == b.as_sequence().kind) {
    const auto& left = a.as_sequence().items;
    const auto& right = b.as_sequence().items;
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i)
      if (!equal(left[i], right[i], budget)) return compare(left[i], right[i], budget);
    return left.size() < right.size() ? -1 : left.size() > right.size() ? 1 : 0;
  }
  throw TemplateError("'<' not supported between instances of '" + a.type_name() + "' and '" +
                      b.type_name() + "'");
}

}  // namespace lmoe::text::jinja
