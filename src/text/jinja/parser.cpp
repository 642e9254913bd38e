#include "text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "text/jinja/expression_parser.h"

namespace lmoe::text::jinja {
namespace {

constexpr int kMaxBlockDepth = 100;

class StatementParser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Block parse() {
    Block block = parse_block({});
    if (current().kind != TokenKind::kEnd) fail("unexpected '" + current().text + "'");
    return block;
  }

 private:
  using StatementPtr = std::unique_ptr<Statement>;

  /// Statements up to a tag named in `ends`, which stays current, or up to the end of the source.
  Block parse_block(std::initializer_list<std::string_view> ends) {
    if (++block_depth_ > kMaxBlockDepth) fail("blocks are nested too deeply");
    Block block;
    while (current().kind != TokenKind::kEnd) {
      if (current().kind == TokenKind::kData) {
        StatementPtr text = make_statement(StatementKind::kText);
        text->text = take().text;
        block.push_back(std::move(text));
      } else if (current().kind == TokenKind::kPrintBegin) {
        take();
        StatementPtr print = make_statement(StatementKind::kPrint);
        print->expressions.push_back(parse_tuple({}));
        expect(TokenKind::kPrintEnd);
        block.push_back(std::move(print));
      } else {
        expect(TokenKind::kBlockBegin);
        if (current().kind == TokenKind::kName &&
            std::find(ends.begin(), ends.end(), current().text) != ends.end())
          break;
        block.push_back(parse_statement());
        expect(TokenKind::kBlockEnd);
      }
      refuse_unknown();
    }
    if (ends.size() > 0 && current().kind == TokenKind::kEnd)
      fail("unexpected end of template, expected '" + std::string(*(ends.end() - 1)) + "'");
    --block_depth_;
    return block;
  }

  /// A body behind the tag that opens it. With one end the end is taken; with several it stays.
  Block parse_body(std::initializer_list<std::string_view> ends) {
    skip_operator(":");
    expect(TokenKind::kBlockEnd);
    Block body = parse_block(ends);
    if (ends.size() == 1) take();
    return body;
  }

  StatementPtr make_statement(StatementKind kind) const {
    auto statement = std::make_unique<Statement>();
    statement->kind = kind;
    statement->line = current().line;
    return statement;
  }

  StatementPtr parse_statement() {
    const Token tag = expect(TokenKind::kName);
    if (tag.text == "if") return parse_if();
    if (tag.text == "for") return parse_for();
    if (tag.text == "set") return parse_set();
    if (tag.text == "with") return parse_with();
    if (tag.text == "macro") return parse_macro();
    if (tag.text == "call") return parse_call_block();
    if (tag.text == "filter") return parse_filter_block();
    if (tag.text == "print") return parse_print();
    if (tag.text == "generation") {
      StatementPtr scope = make_statement(StatementKind::kScope);
      scope->body = parse_body({"endgeneration"});
      return scope;
    }
    if (tag.text == "break" || tag.text == "continue") {
      if (loop_depth_ == 0) fail("'" + tag.text + "' outside of a loop");
      return make_statement(tag.text == "break" ? StatementKind::kBreak : StatementKind::kContinue);
    }
    for (const char* refused : {"include", "import", "from", "extends", "block", "autoescape"})
      if (tag.text == refused) fail("'" + tag.text + "' is not available in chat templates");
    fail("encountered unknown tag '" + tag.text + "'");
  }

  StatementPtr parse_if() {
    const bool lenient_before = lenient_names_;
    lenient_names_ = true;
    StatementPtr statement = make_statement(StatementKind::kIf);
    TupleRules rules;
    rules.with_conditional = false;
    while (true) {
      ExprPtr condition = parse_tuple(rules);
      Block body = parse_body({"elif", "else", "endif"});
      statement->branches.emplace_back(std::move(condition), std::move(body));
      const Token next = take();
      if (next.text == "elif") continue;
      if (next.text == "else") statement->branches.emplace_back(nullptr, parse_body({"endif"}));
      break;
    }
    lenient_names_ = lenient_before;
    return statement;
  }

  StatementPtr parse_for() {
    StatementPtr statement = make_statement(StatementKind::kFor);
    statement->targets.push_back(parse_target("in", false));
    expect(TokenKind::kName, "in");
    TupleRules rules;
    rules.with_conditional = false;
    rules.end_name = "recursive";
    statement->expressions.push_back(parse_tuple(rules));
    if (skip_name("if")) statement->condition = parse_expression();
    if (is_name("recursive")) fail("recursive loops are not supported");
    const bool loop_before = seen_.loop;
    seen_.loop = false;
    const bool lenient_before = lenient_names_;
    lenient_names_ = false;
    ++loop_depth_;
    statement->body = parse_body({"else", "endfor"});
    --loop_depth_;
    statement->uses_loop = seen_.loop;
    seen_.loop |= loop_before;
    if (take().text == "else") statement->otherwise = parse_body({"endfor"});
    lenient_names_ = lenient_before;
    return statement;
  }

  StatementPtr parse_set() {
    StatementPtr statement = make_statement(StatementKind::kSet);
    statement->targets.push_back(parse_target({}, true));
    if (skip_operator("=")) {
      statement->expressions.push_back(parse_tuple({}));
      return statement;
    }
    statement->kind = StatementKind::kSetBlock;
    if (ExprPtr filter = parse_filters(nullptr, false))
      statement->expressions.push_back(std::move(filter));
    statement->body = parse_body({"endset"});
    return statement;
  }

  StatementPtr parse_with() {
    StatementPtr statement = make_statement(StatementKind::kWith);
    while (current().kind != TokenKind::kBlockEnd) {
      if (!statement->targets.empty()) expect(TokenKind::kOperator, ",");
      statement->targets.push_back(parse_target({}, false));
      expect(TokenKind::kOperator, "=");
      statement->expressions.push_back(parse_expression());
    }
    statement->body = parse_body({"endwith"});
    return statement;
  }

  Signature parse_signature() {
    Signature signature;
    expect(TokenKind::kOperator, "(");
    while (!is_operator(")")) {
      if (!signature.names.empty()) expect(TokenKind::kOperator, ",");
      std::string name = parse_name_target();
      const auto& names = signature.names;
      if (std::find(names.begin(), names.end(), name) != names.end())
        fail("duplicate parameter '" + name + "'");
      if (skip_operator("=")) {
        signature.defaults.push_back(parse_expression());
      } else if (!signature.defaults.empty()) {
        fail("non-default argument follows default argument");
      }
      signature.names.push_back(std::move(name));
    }
    expect(TokenKind::kOperator, ")");
    return signature;
  }

  /// The body of a macro or call block, and what of the hidden arguments it mentions.
  Block parse_macro_body(std::string_view end, Signature& signature) {
    const NamesSeen before = seen_;
    const bool lenient_before = lenient_names_;
    const int loops_before = loop_depth_;
    seen_ = {};
    lenient_names_ = false;
    loop_depth_ = 0;
    Block body = parse_body({end});
    signature.uses_caller = seen_.caller;
    signature.uses_varargs = seen_.varargs;
    signature.uses_kwargs = seen_.kwargs;
    seen_ = {before.caller || seen_.caller, before.varargs || seen_.varargs,
             before.kwargs || seen_.kwargs, before.loop || seen_.loop};
    lenient_names_ = lenient_before;
    loop_depth_ = loops_before;
    return body;
  }

  StatementPtr parse_macro() {
    StatementPtr statement = make_statement(StatementKind::kMacro);
    statement->text = parse_name_target();
    statement->signature = parse_signature();
    statement->body = parse_macro_body("endmacro", statement->signature);
    return statement;
  }

  StatementPtr parse_call_block() {
    StatementPtr statement = make_statement(StatementKind::kCallBlock);
    if (is_operator("(")) statement->signature = parse_signature();
    statement->expressions.push_back(parse_expression());
    if (statement->expressions[0]->kind != ExprKind::kCall) fail("expected call");
    statement->body = parse_macro_body("endcall", statement->signature);
    return statement;
  }

  StatementPtr parse_filter_block() {
    StatementPtr statement = make_statement(StatementKind::kFilterBlock);
    statement->expressions.push_back(parse_filters(nullptr, true));
    statement->body = parse_body({"endfilter"});
    return statement;
  }

  StatementPtr parse_print() {
    StatementPtr statement = make_statement(StatementKind::kPrint);
    while (current().kind != TokenKind::kBlockEnd) {
      if (!statement->expressions.empty()) expect(TokenKind::kOperator, ",");
      statement->expressions.push_back(parse_expression());
    }
    return statement;
  }

  int block_depth_ = 0;
  int loop_depth_ = 0;
};

}  // namespace

Block parse_template(std::string_view source) { return StatementParser(tokenize(source)).parse(); }

}  // namespace lmoe::text::jinja
