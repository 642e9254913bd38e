// Making untrusted text safe inside HTML and inside a script block.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace lmoe::report {

/// For element content and quoted attributes.
std::string escape_html(std::string_view text);

/// JSON for <script type="application/json">: pure ASCII without <, > and &, so that nothing in it
/// can end the block or start a comment. Invalid UTF-8 becomes U+FFFD, NaN and infinity null.
std::string json_for_script(const Json& value);

}  // namespace lmoe::report
