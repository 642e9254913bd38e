// One token inside a tag: a name, a number, a string or an operator.
#pragma once

#include <cstddef>
#include <string>

#include "text/jinja/lexer.h"

namespace lmoe::text::jinja {

/// Reads the token that begins at `position`; `end` is where it stops. Throws SyntaxError.
Token read_token(const std::string& source, size_t position, int line, size_t& end);

}  // namespace lmoe::text::jinja
