#include "text/jinja/runtime.h"

#include <algorithm>
#include <string>

namespace lmoe::text::jinja {

ArgumentReader::ArgumentReader(std::string_view function,
                               CallArguments& arguments,
                               std::initializer_list<std::string_view> names)
    : function_(function), names_(names), values_(names.size(), nullptr) {
  if (arguments.positional.size() > names_.size())
    throw TemplateError(std::string(function) + "() takes at most " +
                        std::to_string(names_.size()) + " arguments (" +
                        std::to_string(arguments.positional.size()) + " given)");
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.keyword) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    const auto index = static_cast<size_t>(found - names_.begin());
    if (found == names_.end() || name.empty() || values_[index] != nullptr)
      throw TemplateError(std::string(function) + "() got an unexpected keyword argument '" + name +
                          "'");
    values_[index] = &value;
  }
}

const Value& ArgumentReader::required(size_t i) const {
  if (values_[i] == nullptr)
    throw TemplateError(std::string(function_) + "() is missing the argument '" +
                        std::string(names_[i]) + "'");
  return *values_[i];
}

const Value& ArgumentReader::optional(size_t i) const {
  static const Value kNone{None{}};
  return values_[i] != nullptr ? *values_[i] : kNone;
}

int64_t ArgumentReader::integer(size_t i, int64_t otherwise) const {
  if (values_[i] == nullptr) return otherwise;
  if (!require_defined(*values_[i]).is_integral())
    throw TemplateError(std::string(function_) + "(): '" + values_[i]->type_name() +
                        "' object cannot be interpreted as an integer");
  return values_[i]->as_integer();
}

bool ArgumentReader::flag(size_t i, bool otherwise) const {
  return values_[i] != nullptr ? truthy(*values_[i]) : otherwise;
}

}  // namespace lmoe::text::jinja
