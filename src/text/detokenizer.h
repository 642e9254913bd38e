// Turns a stream of ids into a stream of text that never ends in the middle of a UTF-8 character.
//
//   Detokenizer out(tokenizer);
//   for (TokenId id : ids) print(out.add(id));
//   print(out.finish());
//
// The whole stream equals `decode` of all ids. One exception: byte tokens (`<0xNN>`) that do not
// form UTF-8 become one U+FFFD for each broken character here, and one for each byte of the run
// there.
#pragma once

#include <string>

#include "text/tokenizer.h"

namespace lmoe::text {

class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(tokenizer), skip_special_(skip_special), at_start_(true) {}

  /// The text that became whole with this token; may be empty.
  std::string add(TokenId id);
  /// What is still held back; incomplete bytes become U+FFFD.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  bool at_start_;
  std::string pending_;
};

}  // namespace lmoe::text
