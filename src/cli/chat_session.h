// A conversation: turns, commands, streaming. Knows neither terminals nor Torch, so it is tested
// with a fake model and strings.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/json.h"
#include "decode/step_model.h"
#include "generate/generate_options.h"
#include "generate/generation.h"
#include "generate/sequence_cache.h"
#include "text/tokenizer.h"

namespace lmoe::cli {

struct ChatSetup {
  /// Ids of a conversation up to where the answer begins.
  std::function<std::vector<text::TokenId>(const Json& messages)> encode;
  generate::GenerateOptions options;
  std::string system;                  ///< empty: no system message
  bool remembers = true;               ///< false: every line stands alone
  bool colours = false;                ///< of /router
  std::function<bool()> is_cancelled;  ///< ends the answer, not the chat
};

class ChatSession {
 public:
  /// `model`, `tokenizer` and `out` must outlive this.
  ChatSession(decode::StepModel& model,
              const text::Tokenizer& tokenizer,
              ChatSetup setup,
              std::ostream& out);

  /// One line of a person: a message, or a command beginning with "/". Writes the answer as it
  /// comes. Returns false when the chat is over. A message that cannot be answered is said and
  /// forgotten.
  bool handle(const std::string& line);

  static const char* help();

 private:
  bool command(const std::string& line);
  void answer(const std::string& message);
  std::vector<text::TokenId> prompt_that_fits();
  void reset();
  void show_router();

  decode::StepModel& model_;
  const text::Tokenizer& tokenizer_;
  ChatSetup setup_;
  std::ostream& out_;
  generate::SequenceCache cache_;
  Json messages_;
  generate::Generation last_;
};

}  // namespace lmoe::cli
