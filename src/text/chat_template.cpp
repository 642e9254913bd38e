#include "text/chat_template.h"

#include "base/error.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/lexer.h"
#include "text/jinja/parser.h"

namespace lmoe::text {

struct ChatTemplate::Program {
  jinja::Block block;
};

ChatTemplate::ChatTemplate(std::string_view source, TemplateLimits limits)
    : source_(source), program_(std::make_unique<Program>()), limits_(limits) {
  try {
    program_->block = jinja::parse_template(source_);
  } catch (const jinja::SyntaxError& error) {
    fail(ErrorCode::kCorruptData, "[chat_template] line ", error.line, ": ", error.message);
  }
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const Json& variables) const {
  LMOE_CHECK_ARG(variables.is_object(), "[chat_template] variables: given ", variables.type_name(),
                 ", expected an object");
  jinja::Budget budget(limits_.max_steps, limits_.max_output_bytes);
  jinja::Interpreter interpreter(budget, limits_.max_depth);
  try {
    return interpreter.run(program_->block, variables);
  } catch (const jinja::TemplateError& error) {
    fail(ErrorCode::kInvalidArgument, "[chat_template] line ", interpreter.line(), ": ",
         error.what());
  }
}

}  // namespace lmoe::text
