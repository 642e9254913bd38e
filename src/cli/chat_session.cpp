#include "cli/chat_session.h"

#include <algorithm>
#include <ostream>

#include "base/error.h"
#include "cli/input_text.h"
#include "cli/router_view.h"
#include "cli/terminal.h"
#include "eval/samples.h"
#include "generate/generator.h"

namespace lmoe::cli {

ChatSession::ChatSession(decode::StepModel& model,
                         const text::Tokenizer& tokenizer,
                         ChatSetup setup,
                         std::ostream& out)
    : model_(model), tokenizer_(tokenizer), setup_(std::move(setup)), out_(out), cache_(model) {
  reset();
}

const char* ChatSession::help() {
  return "/router  which experts spoke in the last answer\n"
         "/reset   forget the conversation\n"
         "/help    this\n"
         "/exit    leave (also: end of input)\n"
         "Ctrl-C stops an answer, twice leaves.\n";
}

bool ChatSession::handle(const std::string& line) {
  const size_t start = line.find_first_not_of(" \t\r");
  if (start == std::string::npos) return true;
  if (line[start] == '/')
    return command(line.substr(start, line.find_last_not_of(" \t\r") + 1 - start));
  try {
    answer(line);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    out_ << "(" << error.what() << ")\n";
  }
  return true;
}

bool ChatSession::command(const std::string& line) {
  if (line == "/exit" || line == "/quit") return false;
  if (line == "/help") {
    out_ << help();
  } else if (line == "/reset") {
    reset();
    out_ << "(the conversation is forgotten)\n";
  } else if (line == "/router") {
    show_router();
  } else {
    out_ << "(unknown command " << line << ")\n" << help();
  }
  return true;
}

void ChatSession::reset() {
  messages_ = Json::array();
  if (!setup_.system.empty()) messages_.push_back({{"role", "system"}, {"content", setup_.system}});
}

void ChatSession::show_router() {
  const decode::RouterInfo* router = model_.router();
  if (router == nullptr) {
    out_ << "(this model has no router)\n";
  } else if (last_.ids.empty()) {
    out_ << "(there is no answer yet)\n";
  } else {
    out_ << router_view(*router, eval::answer_tokens(tokenizer_, router, last_), setup_.colours);
  }
}

/// Drops the oldest turns until a quarter of the positions, or the longest answer, is free.
std::vector<text::TokenId> ChatSession::prompt_that_fits() {
  const int64_t positions = model_.max_positions();
  const int64_t room =
      positions - std::min(setup_.options.max_new_tokens, std::max<int64_t>(1, positions / 4));
  const size_t first = setup_.system.empty() ? 0 : 1;
  while (true) {
    std::vector<text::TokenId> prompt = setup_.encode(messages_);
    if (std::ssize(prompt) <= room) return prompt;
    LMOE_CHECK_ARG(messages_.size() > first + 2, "[chat] the message is too long: given ",
                   prompt.size(), " tokens, expected at most ", room);
    const auto oldest = messages_.begin() + static_cast<ptrdiff_t>(first);
    messages_.erase(oldest, oldest + 2);
    out_ << "(the oldest turn no longer fits and is forgotten)\n";
  }
}

void ChatSession::answer(const std::string& message) {
  check_utf8(message, "the message");
  if (!setup_.remembers) reset();
  const Json before = messages_;
  messages_.push_back({{"role", "user"}, {"content", message}});
  try {
    generate::GenerateRequest request{prompt_that_fits(), setup_.options,
                                      model_.router() != nullptr, &cache_};
    const auto show = [&](size_t, std::string_view text) {
      out_ << printable(std::string(text)) << std::flush;
    };
    last_ = generate::Generator(model_, tokenizer_)
                .run(request, {.on_text = show, .is_cancelled = setup_.is_cancelled});
  } catch (...) {
    messages_ = before;
    throw;
  }
  out_ << "\n";
  messages_.push_back({{"role", "assistant"}, {"content", last_.text}});
  switch (last_.finish_reason) {
    case generate::FinishReason::kCancelled:
      out_ << "(stopped)\n";
      break;
    case generate::FinishReason::kLength:
      out_ << "(cut after " << last_.ids.size() << " tokens; max_new_tokens=N allows more)\n";
      break;
    case generate::FinishReason::kContext:
      out_ << "(the model's " << model_.max_positions() << " positions are used up)\n";
      break;
    default:
      break;
  }
}

}  // namespace lmoe::cli
