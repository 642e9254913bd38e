// Runs a parsed template.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"
#include "text/jinja/scope.h"

namespace lmoe::text::jinja {

class Interpreter : public Runtime {
 public:
  Interpreter(Budget& budget, int max_depth) : Runtime(budget), max_depth_(max_depth) {}
  ~Interpreter() override;

  /// Throws TemplateError; `line` tells where.
  std::string run(const Block& program, const Json& variables);
  int line() const { return line_; }

  Value variable(std::string_view name) const override;
  std::shared_ptr<Namespace> make_namespace() override;

 private:
  using ScopePtr = std::shared_ptr<Scope>;
  enum class Flow { kNext, kBreak, kContinue };

  Flow run_block(const Block& block, const ScopePtr& scope, std::string& out);
  Flow run_statement(const Statement& statement, const ScopePtr& scope, std::string& out);
  Flow run_if(const Statement& statement, const ScopePtr& scope, std::string& out);
  Flow run_for(const Statement& statement, const ScopePtr& scope, std::string& out);
  Items loop_items(const Statement& statement, const ScopePtr& scope);
  void run_set_block(const Statement& statement, const ScopePtr& scope);
  void run_with(const Statement& statement, const ScopePtr& scope, std::string& out);
  void run_call_block(const Statement& statement, const ScopePtr& scope, std::string& out);
  void print(const Value& value, std::string& out);

  Value make_macro(const Statement& statement, const std::string& name, const ScopePtr& scope);
  Value call_macro(const Statement& statement,
                   const std::string& name,
                   const ScopePtr& scope,
                   CallArguments& arguments);
  void bind_arguments(const Signature& signature,
                      const std::string& name,
                      const ScopePtr& inner,
                      CallArguments& arguments);
  std::string render_apart(const Block& block, const ScopePtr& inner);

  Value evaluate(const Expr& expression, const ScopePtr& scope);
  Value evaluate_container(const Expr& expression, const ScopePtr& scope);
  Value evaluate_slice(const Expr& expression, const ScopePtr& scope);
  Value evaluate_compare(const Expr& expression, const ScopePtr& scope);
  Value evaluate_concat(const Expr& expression, const ScopePtr& scope);
  Value evaluate_conditional(const Expr& expression, const ScopePtr& scope);
  Value evaluate_sign(const Expr& expression, const ScopePtr& scope);
  Value evaluate_call(const Expr& expression, const ScopePtr& scope, const Value* caller);
  /// `block_text` is what the innermost filter of a filter block or set block works on.
  Value evaluate_filter(const Expr& filter, const ScopePtr& scope, const Value* block_text);
  CallArguments evaluate_arguments(const Arguments& arguments, const ScopePtr& scope);
  Value look_up(const std::string& name, const Scope& scope) const;
  void assign(const Expr& target, const Value& value, const ScopePtr& scope);

  int max_depth_;
  int depth_ = 0;  // of macro calls
  int line_ = 0;
  ScopePtr root_;
  /// Scopes that macros hold, and namespaces: emptied at the end, as they may hold each other.
  std::vector<ScopePtr> captured_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
};

}  // namespace lmoe::text::jinja
