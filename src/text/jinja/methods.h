// Methods of text, dicts and lists. Those that would change their object do not exist.
#pragma once

#include <string_view>

#include "text/jinja/library.h"

namespace lmoe::text::jinja {

using Method = Value (*)(Runtime&, const Value& self, CallArguments& arguments);

/// Null when the value has no such method.
Method find_method(const Value& value, std::string_view name);
Method find_string_method(std::string_view name);

/// `value | attr(name)`: as get_attribute, but entries of dicts do not count.
Value attribute_without_entries(const Value& value, std::string_view name);

}  // namespace lmoe::text::jinja
