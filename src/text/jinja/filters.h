// The tables the filter library is made of.
#pragma once

#include <span>

#include "text/jinja/library.h"

namespace lmoe::text::jinja {

std::span<const Named<Filter>> text_filters();
std::span<const Named<Filter>> number_filters();
std::span<const Named<Filter>> sequence_filters();
std::span<const Named<Filter>> selection_filters();
std::span<const Named<Filter>> order_filters();
std::span<const Named<Test>> all_tests();

/// Reads `attribute="a.b.0"` off values, with jinja2's rules.
class AttributeGetter {
 public:
  /// None reads the value itself.
  explicit AttributeGetter(const Value& attribute, Value otherwise = Value(None{}));
  Value operator()(const Value& value, Budget& budget) const;

 private:
  std::vector<Value> parts_;
  Value otherwise_;
};

}  // namespace lmoe::text::jinja
