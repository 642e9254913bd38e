// What the parser makes of a template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace lmoe::text::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keyword;
  ExprPtr star;         ///< *args
  ExprPtr double_star;  ///< **kwargs
};

enum class ExprKind {
  kConstant,         ///< value
  kName,             ///< name
  kList,             ///< operands
  kTuple,            ///< operands
  kDict,             ///< operands: key, value, key, value, …
  kAttribute,        ///< operands[0].name
  kItem,             ///< operands[0][operands[1]]
  kSlice,            ///< operands[0][operands[1] : operands[2] : operands[3]], each may be null
  kCall,             ///< operands[0](arguments)
  kFilter,           ///< operands[0] | name(arguments); no operand inside a filter block
  kTest,             ///< operands[0] is name(arguments)
  kNot,              ///< not operands[0]
  kNegative,         ///< -operands[0]
  kPositive,         ///< +operands[0]
  kArithmetic,       ///< operands[0] name operands[1]
  kConcat,           ///< operands joined as text
  kCompare,          ///< operands[0] operators[0] operands[1] operators[1] …
  kAnd,              ///< two operands
  kOr,               ///< two operands
  kConditional,      ///< operands[1] if operands[0] else operands[2], which may be null
  kNamespaceTarget,  ///< `name.value` on the left of set; value holds the attribute
};

struct Expr {
  ExprKind kind;
  int line = 0;
  int height = 1;  ///< of the tree below; bounded, as evaluation recurses
  std::string name;
  Value value;
  std::vector<ExprPtr> operands;
  std::vector<std::string> operators;
  Arguments arguments;
};

struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

/// Parameters of a macro or a call block.
struct Signature {
  std::vector<std::string> names;
  std::vector<ExprPtr> defaults;                                        ///< of the last names
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;  ///< in the body
};

enum class StatementKind {
  kText,         ///< text
  kPrint,        ///< expressions
  kIf,           ///< branches in order; the last may have no condition
  kFor,          ///< target, expressions[0] to walk, condition, body, otherwise
  kSet,          ///< target = expressions[0]
  kSetBlock,     ///< target = body, through the filter expressions[0] when there is one
  kWith,         ///< targets = expressions, body
  kMacro,        ///< text is the name; signature, body
  kCallBlock,    ///< expressions[0] is the call; signature, body
  kFilterBlock,  ///< expressions[0] is the filter; body
  kScope,        ///< body in a scope of its own: generation
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind;
  int line = 0;
  std::string text;
  std::vector<ExprPtr> expressions;
  std::vector<ExprPtr> targets;
  ExprPtr condition;
  Block body, otherwise;
  std::vector<std::pair<ExprPtr, Block>> branches;
  Signature signature;
  bool uses_loop = false;  ///< of a for: its body mentions `loop`
};

}  // namespace lmoe::text::jinja
