// Functions every template can call.
#include <ctime>

#include "text/jinja/library.h"
#include "text/jinja/print.h"

namespace lmoe::text::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;  // jinja2's sandbox

Value range(Runtime& runtime, CallArguments& arguments) {
  const ArgumentReader read("range", arguments, {"", "", ""});
  read.required(0);
  int64_t start = read.has(1) ? read.integer(0, 0) : 0;
  const int64_t stop = read.integer(read.has(1) ? 1 : 0, 0);
  const int64_t step = read.integer(2, 1);
  if (step == 0) throw TemplateError("range() arg 3 must not be zero");
  std::vector<Value> items;
  while (step > 0 ? start < stop : start > stop) {
    if (static_cast<int64_t>(items.size()) >= kMaxRange)
      throw TemplateError("range() is limited to " + std::to_string(kMaxRange) + " items");
    items.emplace_back(start);
    if (__builtin_add_overflow(start, step, &start)) break;
  }
  runtime.budget().spend(static_cast<int64_t>(items.size()));
  return Value::sequence(SequenceKind::kRange, std::move(items));
}

using Entries = std::vector<std::pair<Value, Value>>;

/// The entries of dict(mapping or pairs, **more).
Entries dict_entries(Runtime& runtime, CallArguments& arguments) {
  Budget& budget = runtime.budget();
  Entries entries;
  if (arguments.positional.size() > 1) throw TemplateError("dict expected at most 1 argument");
  for (const Value& source : arguments.positional) {
    if (source.is_dict()) {
      entries = source.as_dict().entries;
      budget.spend(static_cast<int64_t>(entries.size()));
      continue;
    }
    for (const Value& pair : iterate(source, budget)) {
      const auto parts = iterate(pair, budget);
      if (parts.size() != 2) throw TemplateError("dict needs pairs of key and value");
      insert(entries, parts[0], parts[1], budget);
    }
  }
  for (const auto& [name, value] : arguments.keyword) insert(entries, Value(name), value, budget);
  return entries;
}

Value dict(Runtime& runtime, CallArguments& arguments) {
  return Value::dict(dict_entries(runtime, arguments));
}

Value make_namespace(Runtime& runtime, CallArguments& arguments) {
  const auto space = runtime.make_namespace();
  for (const auto& [key, value] : dict_entries(runtime, arguments)) {
    if (!key.is_string()) throw TemplateError("attributes of a namespace must have text as names");
    if (key.as_string().starts_with('_'))
      throw TemplateError("cannot store underscore-prefixed attributes on a namespace: " +
                          key.as_string());
    space->attributes.emplace_back(key.as_string(), value);
  }
  return Value(space);
}

Value raise_exception(Runtime& runtime, CallArguments& arguments) {
  const ArgumentReader read("raise_exception", arguments, {"message"});
  throw TemplateError(to_text(read.required(0), runtime.budget()));
}

/// The variable `strftime_now_value` (seconds since 1970, UTC) stands for the clock when it is
/// given.
Value strftime_now(Runtime& runtime, CallArguments& arguments) {
  const ArgumentReader read("strftime_now", arguments, {"format"});
  if (!read.required(0).is_string()) throw TemplateError("strftime_now needs a format");
  const Value fixed = runtime.variable("strftime_now_value");
  std::time_t now = fixed.is_integral() ? fixed.as_integer() : std::time(nullptr);
  std::tm parts{};
  (fixed.is_integral() ? gmtime_r(&now, &parts) : localtime_r(&now, &parts));
  char buffer[1024];
  const size_t length =
      std::strftime(buffer, sizeof buffer, read.required(0).as_string().c_str(), &parts);
  return Value(std::string(buffer, length));
}

}  // namespace

Value global_function(std::string_view name) {
  using Function = Value (*)(Runtime&, CallArguments&);
  static constexpr Named<Function> kFunctions[] = {
      {"dict", dict},   {"namespace", make_namespace},  {"raise_exception", raise_exception},
      {"range", range}, {"strftime_now", strftime_now},
  };
  for (const auto& [known, function] : kFunctions)
    if (known == name) return Value::callable(std::string(name), function);
  return Value();
}

}  // namespace lmoe::text::jinja
