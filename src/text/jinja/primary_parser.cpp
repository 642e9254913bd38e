// The parts of ExpressionParser around one operand: literals, names, subscripts, calls, filters and
// tests.
#include "text/jinja/expression_parser.h"
#include "text/jinja/library.h"

namespace lmoe::text::jinja {

ExprPtr ExpressionParser::parse_primary(bool with_namespace) {
  const Token& token = current();
  const int line = token.line;
  switch (token.kind) {
    case TokenKind::kName:
      return parse_name(with_namespace);
    case TokenKind::kString: {
      std::string text;
      while (current().kind == TokenKind::kString) text += take().text;
      ExprPtr constant = make(ExprKind::kConstant, line);
      constant->value = Value(std::move(text));
      return constant;
    }
    case TokenKind::kInteger:
    case TokenKind::kFloat: {
      ExprPtr constant = make(ExprKind::kConstant, line);
      constant->value = number(take());
      return constant;
    }
    default:
      break;
  }
  if (is_operator("[")) return parse_list();
  if (is_operator("{")) return parse_dict();
  if (skip_operator("(")) {
    TupleRules rules;
    rules.parenthesised = true;
    ExprPtr inner = parse_tuple(rules);
    expect(TokenKind::kOperator, ")");
    return inner;
  }
  if (token.kind == TokenKind::kEnd) fail("unexpected end of template");
  fail("unexpected '" + token.text + "'");
}

ExprPtr ExpressionParser::parse_name(bool with_namespace) {
  const Token token = take();
  ExprPtr constant = make(ExprKind::kConstant, token.line);
  if (token.text == "true" || token.text == "True") {
    constant->value = Value(true);
  } else if (token.text == "false" || token.text == "False") {
    constant->value = Value(false);
  } else if (token.text == "none" || token.text == "None") {
    constant->value = Value(None{});
  } else if (with_namespace && skip_operator(".")) {
    constant->kind = ExprKind::kNamespaceTarget;
    constant->name = token.text;
    constant->value = Value(expect(TokenKind::kName).text);
  } else {
    constant->kind = ExprKind::kName;
    constant->name = token.text;
    seen_.caller |= token.text == "caller";
    seen_.varargs |= token.text == "varargs";
    seen_.kwargs |= token.text == "kwargs";
    seen_.loop |= token.text == "loop";
  }
  return constant;
}

ExprPtr ExpressionParser::parse_list() {
  ExprPtr list = make(ExprKind::kList, take().line);
  while (!is_operator("]")) {
    list->operands.push_back(parse_expression());
    if (!skip_operator(",")) break;
  }
  expect(TokenKind::kOperator, "]");
  return sealed(std::move(list));
}

ExprPtr ExpressionParser::parse_dict() {
  ExprPtr dict = make(ExprKind::kDict, take().line);
  while (!is_operator("}")) {
    dict->operands.push_back(parse_expression());
    expect(TokenKind::kOperator, ":");
    dict->operands.push_back(parse_expression());
    if (!skip_operator(",")) break;
  }
  expect(TokenKind::kOperator, "}");
  return sealed(std::move(dict));
}

ExprPtr ExpressionParser::parse_postfix(ExprPtr operand) {
  while (true) {
    if (is_operator(".") || is_operator("[")) {
      operand = parse_subscript(std::move(operand));
    } else if (is_operator("(")) {
      operand = parse_call(std::move(operand));
    } else {
      return operand;
    }
  }
}

ExprPtr ExpressionParser::parse_filters_and_tests(ExprPtr operand) {
  while (true) {
    if (is_operator("|")) {
      operand = parse_filters(std::move(operand), false);
    } else if (is_name("is")) {
      operand = parse_test(std::move(operand));
    } else if (is_operator("(")) {
      operand = parse_call(std::move(operand));
    } else {
      return operand;
    }
  }
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr operand) {
  const Token token = take();
  ExprPtr item = make(ExprKind::kItem, token.line);
  item->operands.push_back(std::move(operand));
  if (token.text == ".") {
    const Token attribute = take();
    if (attribute.kind == TokenKind::kName) {
      item->kind = ExprKind::kAttribute;
      item->name = attribute.text;
      return sealed(std::move(item));
    }
    if (attribute.kind != TokenKind::kInteger) fail("expected name or number");
    ExprPtr index = make(ExprKind::kConstant, attribute.line);
    index->value = number(attribute);
    item->operands.push_back(std::move(index));
    return item;
  }
  ExprPtr first = is_operator(":") ? nullptr : parse_expression();
  if (skip_operator(":")) {
    item->kind = ExprKind::kSlice;
    item->operands.push_back(std::move(first));
    item->operands.push_back(parse_slice_part());
    item->operands.push_back(skip_operator(":") ? parse_slice_part() : nullptr);
  } else if (is_operator(",")) {
    ExprPtr index = make(ExprKind::kTuple, token.line);
    index->operands.push_back(std::move(first));
    while (skip_operator(",")) index->operands.push_back(parse_expression());
    item->operands.push_back(std::move(index));
  } else {
    item->operands.push_back(std::move(first));
  }
  expect(TokenKind::kOperator, "]");
  return sealed(std::move(item));
}

ExprPtr ExpressionParser::parse_slice_part() {
  return is_operator(":") || is_operator("]") ? nullptr : parse_expression();
}

ExprPtr ExpressionParser::parse_call(ExprPtr operand) {
  ExprPtr call = make(ExprKind::kCall, current().line);
  call->operands.push_back(std::move(operand));
  call->arguments = parse_arguments();
  return sealed(std::move(call));
}

Arguments ExpressionParser::parse_arguments() {
  Arguments arguments;
  expect(TokenKind::kOperator, "(");
  while (!is_operator(")")) {
    if (skip_operator("*")) {
      if (arguments.star || arguments.double_star) fail("invalid syntax for function call");
      arguments.star = parse_expression();
    } else if (skip_operator("**")) {
      if (arguments.double_star) fail("invalid syntax for function call");
      arguments.double_star = parse_expression();
    } else if (current().kind == TokenKind::kName && is(ahead(), TokenKind::kOperator, "=")) {
      if (arguments.double_star) fail("invalid syntax for function call");
      std::string name = take().text;
      take();
      for (const auto& [other, value] : arguments.keyword)
        if (other == name) fail("keyword argument repeated: " + name);
      arguments.keyword.emplace_back(std::move(name), parse_expression());
    } else {
      if (arguments.star || arguments.double_star || !arguments.keyword.empty())
        fail("invalid syntax for function call");
      arguments.positional.push_back(parse_expression());
    }
    if (!skip_operator(",")) break;
  }
  expect(TokenKind::kOperator, ")");
  return arguments;
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = expect(TokenKind::kName).text;
  while (skip_operator(".")) name += "." + expect(TokenKind::kName).text;
  return name;
}

ExprPtr ExpressionParser::parse_filters(ExprPtr operand, bool first_without_pipe) {
  while (first_without_pipe || is_operator("|")) {
    if (!first_without_pipe) take();
    first_without_pipe = false;
    ExprPtr filter = make(ExprKind::kFilter, current().line);
    filter->name = parse_dotted_name();
    if (!has_filter(filter->name)) note_unknown("no filter named '" + filter->name + "'");
    filter->operands.push_back(std::move(operand));
    if (is_operator("(")) filter->arguments = parse_arguments();
    operand = sealed(std::move(filter));
  }
  return operand;
}

ExprPtr ExpressionParser::parse_test(ExprPtr operand) {
  const int line = take().line;
  const bool negated = skip_name("not");
  ExprPtr test = make(ExprKind::kTest, line);
  test->name = parse_dotted_name();
  if (!has_test(test->name)) note_unknown("no test named '" + test->name + "'");
  test->operands.push_back(std::move(operand));
  const TokenKind kind = current().kind;
  const bool starts_operand = kind == TokenKind::kName || kind == TokenKind::kString ||
                              kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
                              is_operator("[") || is_operator("{");
  if (is_operator("(")) {
    test->arguments = parse_arguments();
  } else if (starts_operand && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) fail("you cannot chain multiple tests with is");
    test->arguments.positional.push_back(parse_postfix(parse_primary(false)));
  }
  test = sealed(std::move(test));
  if (!negated) return test;
  ExprPtr negation = make(ExprKind::kNot, line);
  negation->operands.push_back(std::move(test));
  return sealed(std::move(negation));
}

}  // namespace lmoe::text::jinja
