// Values of the template language, with Python's meaning. Cheap to copy: text and containers are
// shared and, but for namespaces, never change.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "text/jinja/budget.h"

namespace lmoe::text::jinja {

class Value;
class Runtime;

/// Lists inside lists; deeper data is refused, so nothing that recurses over values can overflow.
inline constexpr int kMaxDataDepth = 64;

/// Prints as nothing and is false; any other use raises the message.
struct Undefined {
  std::shared_ptr<const std::string> message;
};
struct None {};

enum class SequenceKind {
  kList,
  kTuple,
  kRange,
  kView,       ///< keys, values and items of a dict: a length, no index
  kGenerator,  ///< what map, select and others give: no length, can be walked once
};

struct Sequence {
  SequenceKind kind = SequenceKind::kList;
  std::vector<Value> items;
  int depth = 1;
  mutable bool consumed = false;  ///< of a generator
};

struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  int depth = 1;
};

/// `namespace(…)`: the one thing a template can change.
struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};

/// The `loop` of one for statement, as of one iteration.
struct Loop {
  std::shared_ptr<const Sequence> items;
  size_t index = 0;
};

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keyword;
};

struct Callable {
  std::string name;
  std::function<Value(Runtime&, CallArguments&)> function;
  int depth = 1;
};

class Value {
 public:
  using Storage = std::variant<Undefined,
                               None,
                               bool,
                               int64_t,
                               double,
                               std::shared_ptr<const std::string>,
                               std::shared_ptr<const Sequence>,
                               std::shared_ptr<const Dict>,
                               std::shared_ptr<Namespace>,
                               std::shared_ptr<const Loop>,
                               std::shared_ptr<const Callable>>;

  Value() = default;
  Value(None) : storage_(None{}) {}
  Value(bool value) : storage_(value) {}
  Value(int64_t value) : storage_(value) {}
  Value(double value) : storage_(value) {}
  Value(std::string text) : storage_(std::make_shared<const std::string>(std::move(text))) {}
  Value(const char*) = delete;
  Value(std::shared_ptr<Namespace> value) : storage_(std::move(value)) {}
  Value(std::shared_ptr<const Loop> value) : storage_(std::move(value)) {}

  static Value undefined(std::string message);
  /// Throws TemplateError when nested too deeply.
  static Value sequence(SequenceKind kind, std::vector<Value> items);
  static Value list(std::vector<Value> items) {
    return sequence(SequenceKind::kList, std::move(items));
  }
  static Value tuple(std::vector<Value> items) {
    return sequence(SequenceKind::kTuple, std::move(items));
  }
  static Value generator(std::vector<Value> items) {
    return sequence(SequenceKind::kGenerator, std::move(items));
  }
  static Value dict(std::vector<std::pair<Value, Value>> entries);
  /// `depth` is that of the values the function holds.
  static Value callable(std::string name,
                        std::function<Value(Runtime&, CallArguments&)> function,
                        int depth = 0);
  static Value from_json(const Json& json, Budget& budget);

  template <class T>
  bool is() const {
    return std::holds_alternative<T>(storage_);
  }
  bool is_undefined() const { return is<Undefined>(); }
  bool is_none() const { return is<None>(); }
  bool is_string() const { return is<std::shared_ptr<const std::string>>(); }
  bool is_sequence() const { return is<std::shared_ptr<const Sequence>>(); }
  bool is_sequence(SequenceKind kind) const { return is_sequence() && as_sequence().kind == kind; }
  bool is_list_or_tuple() const {
    return is_sequence(SequenceKind::kList) || is_sequence(SequenceKind::kTuple);
  }
  bool is_dict() const { return is<std::shared_ptr<const Dict>>(); }
  /// bool, int or float: what Python calculates with.
  bool is_number() const { return is<bool>() || is<int64_t>() || is<double>(); }
  /// bool or int.
  bool is_integral() const { return is<bool>() || is<int64_t>(); }

  const std::string& as_string() const { return *get<std::shared_ptr<const std::string>>(); }
  const Sequence& as_sequence() const { return *get<std::shared_ptr<const Sequence>>(); }
  const Dict& as_dict() const { return *get<std::shared_ptr<const Dict>>(); }
  int64_t as_integer() const { return is<bool>() ? (get<bool>() ? 1 : 0) : get<int64_t>(); }
  double as_double() const {
    return is<double>() ? get<double>() : static_cast<double>(as_integer());
  }
  template <class T>
  const T& get() const {
    return std::get<T>(storage_);
  }
  int depth() const;
  /// Python's name of the type: "str", "NoneType", …
  std::string type_name() const;

 private:
  Storage storage_;
};

/// What `iterate` gives: it keeps the elements alive.
class Items {
 public:
  explicit Items(std::shared_ptr<const Sequence> sequence) : sequence_(std::move(sequence)) {}
  auto begin() const { return sequence_->items.begin(); }
  auto end() const { return sequence_->items.end(); }
  size_t size() const { return sequence_->items.size(); }
  bool empty() const { return sequence_->items.empty(); }
  const Value& operator[](size_t i) const { return sequence_->items[i]; }
  const std::vector<Value>& values() const { return sequence_->items; }
  const std::shared_ptr<const Sequence>& shared() const { return sequence_; }

 private:
  std::shared_ptr<const Sequence> sequence_;
};

/// Throws the message of an undefined value; other values pass.
const Value& require_defined(const Value& value);

bool truthy(const Value& value);

/// Python's ==. Values of types that do not compare are unequal.
bool equal(const Value& a, const Value& b, Budget& budget);
/// Python's < as -1, 0, 1. Throws TemplateError for types without order.
int compare(const Value& a, const Value& b, Budget& budget);

/// Elements of anything that can be walked: text by character, dicts by key. Consumes a generator.
/// Throws TemplateError for the rest.
Items iterate(const Value& value, Budget& budget);

/// len(). Throws TemplateError where Python does.
int64_t length(const Value& value, Budget& budget);

/// The entry of a dict, or null; `find_text` is for a key that is text.
const Value* find(const Dict& dict, const Value& key, Budget& budget);
const Value* find_text(const Dict& dict, std::string_view key, Budget& budget);
/// Adds or replaces, keeping the place of the first. Throws TemplateError for keys Python cannot
/// hash.
void insert(std::vector<std::pair<Value, Value>>& entries, Value key, Value value, Budget& budget);
bool is_hashable(const Value& value);

}  // namespace lmoe::text::jinja
