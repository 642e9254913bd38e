// A template's source to its statements.
#pragma once

#include <string_view>

#include "text/jinja/ast.h"

namespace lmoe::text::jinja {

/// Throws SyntaxError.
Block parse_template(std::string_view source);

}  // namespace lmoe::text::jinja
