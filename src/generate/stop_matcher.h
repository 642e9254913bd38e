// Finds stop texts in a stream of pieces and holds back what might become one, so that no part of a
// stop text is ever shown.
//
// The stop text that ends first wins, of those that end together the longest; so the result does
// not depend on how the text is cut into tokens.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lmoe::generate {

class StopMatcher {
 public:
  /// Throws kInvalidArgument for an empty stop text.
  explicit StopMatcher(std::vector<std::string> stop);

  /// Text that is now certain not to belong to a stop text; may be empty. Once a stop text was
  /// found, everything from its first byte on is gone.
  std::string add(std::string_view piece);
  /// What was held back, when the answer ended for another reason.
  std::string finish();
  /// The stop text that was found.
  const std::optional<std::string>& found() const { return found_; }

 private:
  std::vector<std::string> stop_;
  std::string held_;
  std::optional<std::string> found_;
};

}  // namespace lmoe::generate
