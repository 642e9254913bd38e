// What functions may ask of the interpreter that runs them, and how they read their arguments.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace lmoe::text::jinja {

class Runtime {
 public:
  explicit Runtime(Budget& budget) : budget_(budget) {}
  virtual ~Runtime() = default;

  Budget& budget() { return budget_; }
  virtual Value variable(std::string_view name) const = 0;
  /// A new namespace; emptied when rendering ends, so that cycles do not outlive it.
  virtual std::shared_ptr<Namespace> make_namespace() = 0;

 private:
  Budget& budget_;
};

/// Binds a call's arguments to parameters, as Python does.
///
///   ArgumentReader read("replace", arguments, {"old", "new", "count"});
///   const Value& old = read.required(0);
class ArgumentReader {
 public:
  /// Throws TemplateError for too many and for unknown arguments.
  ArgumentReader(std::string_view function,
                 CallArguments& arguments,
                 std::initializer_list<std::string_view> names);

  bool has(size_t i) const { return values_[i] != nullptr; }
  /// Throws TemplateError when it is missing.
  const Value& required(size_t i) const;
  /// None when it was not given.
  const Value& optional(size_t i) const;
  int64_t integer(size_t i, int64_t otherwise) const;
  bool flag(size_t i, bool otherwise) const;

 private:
  std::string_view function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

}  // namespace lmoe::text::jinja
