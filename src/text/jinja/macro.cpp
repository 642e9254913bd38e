// Macros, call blocks and calls.
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"

namespace lmoe::text::jinja {

Value Interpreter::make_macro(const Statement& statement,
                              const std::string& name,
                              const ScopePtr& scope) {
  captured_.push_back(scope);
  const Statement* body = &statement;
  return Value::callable(name, [this, body, name, scope](Runtime&, CallArguments& arguments) {
    return call_macro(*body, name, scope, arguments);
  });
}

Value Interpreter::call_macro(const Statement& statement,
                              const std::string& name,
                              const ScopePtr& scope,
                              CallArguments& arguments) {
  if (depth_ >= max_depth_)
    throw TemplateError("calls are nested more than " + std::to_string(max_depth_) + " deep");
  ++depth_;
  const auto inner = std::make_shared<Scope>(scope);
  bind_arguments(statement.signature, name, inner, arguments);
  const int caller_line = line_;
  std::string out = render_apart(statement.body, inner);
  line_ = caller_line;
  --depth_;
  budget().spend_bytes(out.size());
  return Value(std::move(out));
}

void Interpreter::bind_arguments(const Signature& signature,
                                 const std::string& name,
                                 const ScopePtr& inner,
                                 CallArguments& arguments) {
  const size_t count = signature.names.size();
  const size_t required = count - signature.defaults.size();
  std::vector<bool> used(arguments.keyword.size(), false);
  const auto keyword = [&](const std::string& wanted) -> const Value* {
    for (size_t k = 0; k < used.size(); ++k) {
      if (used[k] || arguments.keyword[k].first != wanted) continue;
      used[k] = true;
      return &arguments.keyword[k].second;
    }
    return nullptr;
  };
  for (size_t i = 0; i < count; ++i) {
    const std::string& parameter = signature.names[i];
    if (i < arguments.positional.size()) {
      inner->set(parameter, arguments.positional[i]);
    } else if (const Value* value = keyword(parameter)) {
      inner->set(parameter, *value);
    } else if (i >= required) {
      inner->set(parameter, evaluate(*signature.defaults[i - required], inner));
    } else {
      inner->set(parameter, Value::undefined("parameter '" + parameter + "' was not provided"));
    }
  }
  const Value* caller = keyword("caller");
  if (signature.uses_caller) {
    inner->set("caller", caller != nullptr ? *caller : Value::undefined("No caller defined"));
  } else if (caller != nullptr) {
    throw TemplateError("macro '" + name + "' was invoked with a caller but does not use it");
  }
  std::vector<std::pair<Value, Value>> rest;
  for (size_t k = 0; k < used.size(); ++k) {
    if (used[k]) continue;
    if (!signature.uses_kwargs)
      throw TemplateError("macro '" + name + "' takes no keyword argument '" +
                          arguments.keyword[k].first + "'");
    rest.emplace_back(Value(arguments.keyword[k].first), arguments.keyword[k].second);
  }
  if (signature.uses_kwargs) inner->set("kwargs", Value::dict(std::move(rest)));
  const bool too_many = arguments.positional.size() > count;
  if (too_many && !signature.uses_varargs)
    throw TemplateError("macro '" + name + "' takes not more than " + std::to_string(count) +
                        " argument(s)");
  if (signature.uses_varargs) {
    std::vector<Value> varargs;
    for (size_t i = count; i < arguments.positional.size(); ++i)
      varargs.push_back(arguments.positional[i]);
    inner->set("varargs", Value::tuple(std::move(varargs)));
  }
}

CallArguments Interpreter::evaluate_arguments(const Arguments& arguments, const ScopePtr& scope) {
  CallArguments values;
  for (const ExprPtr& argument : arguments.positional)
    values.positional.push_back(evaluate(*argument, scope));
  for (const auto& [name, argument] : arguments.keyword)
    values.keyword.emplace_back(name, evaluate(*argument, scope));
  if (arguments.star) {
    const auto items = iterate(require_defined(evaluate(*arguments.star, scope)), budget());
    values.positional.insert(values.positional.end(), items.begin(), items.end());
  }
  if (arguments.double_star) {
    const Value more = evaluate(*arguments.double_star, scope);
    if (!more.is_dict()) throw TemplateError("argument after ** must be a mapping");
    for (const auto& [key, value] : more.as_dict().entries) {
      if (!key.is_string()) throw TemplateError("keywords must be strings");
      values.keyword.emplace_back(key.as_string(), value);
    }
  }
  budget().spend(static_cast<int64_t>(values.positional.size() + values.keyword.size()));
  return values;
}

Value Interpreter::evaluate_call(const Expr& expression,
                                 const ScopePtr& scope,
                                 const Value* caller) {
  const Value callee = evaluate(*expression.operands[0], scope);
  CallArguments arguments = evaluate_arguments(expression.arguments, scope);
  if (caller != nullptr) arguments.keyword.emplace_back("caller", *caller);
  require_defined(callee);
  if (!callee.is<std::shared_ptr<const Callable>>())
    throw TemplateError("'" + callee.type_name() + "' object is not callable");
  line_ = expression.line;
  const auto& function = callee.get<std::shared_ptr<const Callable>>();
  return function->function(*this, arguments);
}

}  // namespace lmoe::text::jinja
