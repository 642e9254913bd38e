// Statements.
#include "text/jinja/interpreter.h"

#include "text/jinja/library.h"
#include "text/jinja/print.h"

namespace lmoe::text::jinja {

Interpreter::~Interpreter() {
  for (const auto& scope : captured_) scope->clear();
  for (const auto& space : namespaces_) space->attributes.clear();
}

std::string Interpreter::run(const Block& program, const Json& variables) {
  root_ = std::make_shared<Scope>(nullptr);
  for (const auto& [name, value] : variables.items())
    root_->set(name, Value::from_json(value, budget()));
  const auto top = std::make_shared<Scope>(root_);
  std::string out;
  run_block(program, top, out);
  return out;
}

Value Interpreter::variable(std::string_view name) const {
  const Value* value = root_->find(name);
  return value != nullptr ? *value : Value();
}

std::shared_ptr<Namespace> Interpreter::make_namespace() {
  namespaces_.push_back(std::make_shared<Namespace>());
  return namespaces_.back();
}

Interpreter::Flow Interpreter::run_block(const Block& block,
                                         const ScopePtr& scope,
                                         std::string& out) {
  for (const auto& statement : block) {
    const Flow flow = run_statement(*statement, scope, out);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_statement(const Statement& statement,
                                             const ScopePtr& scope,
                                             std::string& out) {
  budget().spend(1);
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::kText:
      budget().spend_bytes(out.size() / 64 + statement.text.size());
      out += statement.text;
      break;
    case StatementKind::kPrint:
      for (const ExprPtr& expression : statement.expressions)
        print(evaluate(*expression, scope), out);
      break;
    case StatementKind::kIf:
      return run_if(statement, scope, out);
    case StatementKind::kFor:
      return run_for(statement, scope, out);
    case StatementKind::kSet:
      assign(*statement.targets[0], evaluate(*statement.expressions[0], scope), scope);
      break;
    case StatementKind::kSetBlock:
      run_set_block(statement, scope);
      break;
    case StatementKind::kWith:
      run_with(statement, scope, out);
      break;
    case StatementKind::kMacro:
      scope->set(statement.text, make_macro(statement, statement.text, scope));
      break;
    case StatementKind::kCallBlock:
      run_call_block(statement, scope, out);
      break;
    case StatementKind::kFilterBlock: {
      const Value body(render_apart(statement.body, std::make_shared<Scope>(scope)));
      print(evaluate_filter(*statement.expressions[0], scope, &body), out);
      break;
    }
    case StatementKind::kScope:
      print(Value(render_apart(statement.body, std::make_shared<Scope>(scope))), out);
      break;
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

void Interpreter::print(const Value& value, std::string& out) {
  if (value.is_string()) {
    budget().spend_bytes(out.size() + value.as_string().size());
    out += value.as_string();
    return;
  }
  out += to_text(value, budget());
  budget().spend_bytes(out.size() / 64);
}

std::string Interpreter::render_apart(const Block& block, const ScopePtr& inner) {
  std::string out;
  run_block(block, inner, out);
  return out;
}

Interpreter::Flow Interpreter::run_if(const Statement& statement,
                                      const ScopePtr& scope,
                                      std::string& out) {
  for (const auto& [condition, body] : statement.branches)
    if (!condition || truthy(evaluate(*condition, scope))) return run_block(body, scope, out);
  return Flow::kNext;
}

Items Interpreter::loop_items(const Statement& statement, const ScopePtr& scope) {
  auto items = iterate(evaluate(*statement.expressions[0], scope), budget());
  if (!statement.condition) return items;
  std::vector<Value> kept;
  for (const Value& item : items) {
    const auto inner = std::make_shared<Scope>(scope);
    assign(*statement.targets[0], item, inner);
    if (truthy(evaluate(*statement.condition, inner))) kept.push_back(item);
  }
  return iterate(Value::list(std::move(kept)), budget());
}

Interpreter::Flow Interpreter::run_for(const Statement& statement,
                                       const ScopePtr& scope,
                                       std::string& out) {
  const auto items = loop_items(statement, scope);
  bool completed = false;  // jinja2's else also runs when every iteration was left early
  for (size_t i = 0; i < items.size(); ++i) {
    budget().spend(1);
    const auto inner = std::make_shared<Scope>(scope);
    if (statement.uses_loop)
      inner->set("loop", Value(std::make_shared<const Loop>(Loop{items.shared(), i})));
    assign(*statement.targets[0], items[i], inner);
    const Flow flow = run_block(statement.body, inner, out);
    if (flow == Flow::kBreak) break;
    completed = completed || flow == Flow::kNext;
  }
  if (!completed) return run_block(statement.otherwise, std::make_shared<Scope>(scope), out);
  return Flow::kNext;
}

void Interpreter::run_set_block(const Statement& statement, const ScopePtr& scope) {
  Value value(render_apart(statement.body, std::make_shared<Scope>(scope)));
  if (!statement.expressions.empty())
    value = evaluate_filter(*statement.expressions[0], scope, &value);
  assign(*statement.targets[0], value, scope);
}

void Interpreter::run_with(const Statement& statement, const ScopePtr& scope, std::string& out) {
  const auto inner = std::make_shared<Scope>(scope);
  for (size_t i = 0; i < statement.targets.size(); ++i)
    assign(*statement.targets[i], evaluate(*statement.expressions[i], scope), inner);
  run_block(statement.body, inner, out);
}

void Interpreter::run_call_block(const Statement& statement,
                                 const ScopePtr& scope,
                                 std::string& out) {
  const Value caller = make_macro(statement, "caller", scope);
  print(evaluate_call(*statement.expressions[0], scope, &caller), out);
}

void Interpreter::assign(const Expr& target, const Value& value, const ScopePtr& scope) {
  if (target.kind == ExprKind::kName) {
    scope->set(target.name, value);
    return;
  }
  if (target.kind == ExprKind::kNamespaceTarget) {
    const Value space = look_up(target.name, *scope);
    if (!space.is<std::shared_ptr<Namespace>>())
      throw TemplateError("cannot assign attribute on non-namespace object");
    const std::string& attribute = target.value.as_string();
    if (attribute[0] == '_')
      throw TemplateError("cannot store underscore-prefixed attributes on a namespace: " +
                          attribute);
    auto& attributes = space.get<std::shared_ptr<Namespace>>()->attributes;
    for (auto& [name, old] : attributes) {
      if (name == attribute) {
        old = value;
        return;
      }
    }
    attributes.emplace_back(attribute, value);
    return;
  }
  const auto items = iterate(value, budget());
  if (items.size() != target.operands.size())
    throw TemplateError("cannot unpack " + std::to_string(items.size()) + " values into " +
                        std::to_string(target.operands.size()));
  for (size_t i = 0; i < target.operands.size(); ++i) assign(*target.operands[i], items[i], scope);
}

}  // namespace lmoe::text::jinja
