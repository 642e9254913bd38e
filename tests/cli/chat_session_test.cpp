#include "cli/chat_session.h"

#include <unistd.h>

#include <sstream>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "cli/input_text.h"
#include "cli/line_reader.h"
#include "cli/option_arguments.h"
#include "cli/router_view.h"
#include "support/fake_step_model.h"
#include "support/fake_tokenizer.h"
#include "support/temp_folder.h"

namespace lmoe::cli {
namespace {

using test::FakeStepModel;
using test::FakeTokenizer;
using test::one_hot_logits;

/// Ids 0 to 3: a, b, ?, end of turn.
const FakeTokenizer& tokenizer() {
  static const FakeTokenizer fake({"a", "b", "?", "<|im_end|>"});
  return fake;
}

/// After "…?" answers as many a's as there are question marks, then b, then ends.
std::vector<float> counts_questions(FakeStepModel::History ids) {
  int64_t questions = 0;
  int64_t said = 0;
  for (const int32_t id : ids) {
    questions += id == 2 ? 1 : 0;
    said = id == 2 ? 0 : said + 1;
  }
  return one_hot_logits(4, said < questions ? 0 : said == questions ? 1 : 3);
}

/// Contents end to end.
std::vector<text::TokenId> encode_all(const Json& messages) {
  std::vector<text::TokenId> ids;
  for (const Json& message : messages)
    for (const auto id : tokenizer().encode(message["content"].get<std::string>(), {}))
      ids.push_back(id);
  return ids;
}

struct Chat {
  explicit Chat(ChatSetup setup = {}, int64_t max_positions = 64)
      : model(4, counts_questions, max_positions) {
    if (!setup.encode) setup.encode = encode_all;
    setup.options.eos_token_id = {3};
    session.emplace(model, tokenizer(), std::move(setup), out);
  }
  std::string say(const std::string& line) {
    out.str("");
    EXPECT_TRUE(session->handle(line));
    return out.str();
  }

  FakeStepModel model;
  std::ostringstream out;
  std::optional<ChatSession> session;
};

TEST(ChatSession, RemembersTurns) {
  Chat chat;
  EXPECT_EQ(chat.say("?"), "ab\n");
  EXPECT_EQ(chat.say("?"), "aab\n");
  EXPECT_EQ(chat.say("/reset"), "(the conversation is forgotten)\n");
  EXPECT_EQ(chat.say("?"), "ab\n");
}

TEST(ChatSession, FeedsOnlyNewIds) {
  Chat chat;
  chat.say("?");
  chat.model.steps.clear();
  chat.say("?");
  EXPECT_LE(chat.model.steps.front().ids, 2);
}

TEST(ChatSession, MayForgetByItself) {
  Chat chat({.remembers = false});
  EXPECT_EQ(chat.say("?"), "ab\n");
  EXPECT_EQ(chat.say("?"), "ab\n");
}

TEST(ChatSession, SystemMessageStays) {
  Chat chat({.system = "??"});
  EXPECT_EQ(chat.say("?"), "aaab\n");
  chat.say("/reset");
  EXPECT_EQ(chat.say("?"), "aaab\n");
}

TEST(ChatSession, CommandsAndEmptyLines) {
  Chat chat;
  EXPECT_EQ(chat.say(""), "");
  EXPECT_EQ(chat.say("  "), "");
  EXPECT_EQ(chat.say("/help"), ChatSession::help());
  EXPECT_NE(chat.say("/nonsense").find("unknown command /nonsense"), std::string::npos);
  EXPECT_FALSE(chat.session->handle("/exit"));
  EXPECT_FALSE(chat.session->handle(" /quit "));
}

TEST(ChatSession, OldTurnsGiveWay) {
  Chat chat({.options = {.max_new_tokens = 6}}, /*max_positions=*/12);
  EXPECT_EQ(chat.say("?"), "ab\n");
  EXPECT_EQ(chat.say("?"), "aab\n");
  // "?ab?aab?" has eight ids and fits into twelve less three; the next turn does not.
  EXPECT_EQ(chat.say("?"), "aaab\n");
  EXPECT_NE(chat.say("?").find("oldest turn"), std::string::npos);
}

TEST(ChatSession, TooLongMessagesAreSaidAndForgotten) {
  Chat chat({.options = {.max_new_tokens = 4}}, /*max_positions=*/12);
  EXPECT_NE(chat.say(std::string(20, 'a')).find("too long"), std::string::npos);
  EXPECT_EQ(chat.say("?"), "ab\n");
}

TEST(ChatSession, InterruptStopsTheAnswerOnly) {
  int asked = 0;
  Chat chat({.is_cancelled = [&] { return ++asked == 2; }});
  EXPECT_EQ(chat.say("??"), "a\n(stopped)\n");
  EXPECT_EQ(chat.say("?"), "aaab\n");
}

TEST(ChatSession, SaysWhenAnAnswerIsCut) {
  Chat chat({.options = {.max_new_tokens = 1}});
  EXPECT_NE(chat.say("?").find("cut after 1 tokens"), std::string::npos);
}

TEST(ChatSession, RouterNeedsARouterAndAnAnswer) {
  Chat plain;
  EXPECT_EQ(plain.say("/router"), "(this model has no router)\n");
  Chat chat;
  chat.model.router_info = {{"left", "right"}, {"layers.0"}, {0}};
  chat.model.routing_of = [](FakeStepModel::History ids) {
    return ids.back() == 2 ? decode::TokenRouting{{0.75F, 0.25F}}
                           : decode::TokenRouting{{0.25F, 0.75F}};
  };
  EXPECT_EQ(chat.say("/router"), "(there is no answer yet)\n");
  chat.say("?");
  // Three tokens: a made at "?", b at "a", the end at "b".
  EXPECT_EQ(chat.say("/router"),
            "expert   mean weight  led tokens\n"
            "0 left         0.417      1 of 3  #################\n"
            "1 right        0.583      2 of 3  #######################\n"
            "\n"
            "a[0]b[1]\n");
}

TEST(RouterView, ColoursAndControlCharacters) {
  const decode::RouterInfo router = {{"one"}, {"layers.0"}, {0}};
  const std::string view = router_view(router, {{"x\033[2J", 0, {1.0F}}}, /*colours=*/true);
  EXPECT_NE(view.find("\033[38;5;32mx [2J\033[0m"), std::string::npos) << view;
}

TEST(ChatSession, LinesThatAreNoUtf8AreSaidAndForgotten) {
  Chat chat;
  EXPECT_NE(chat.say("?\xE9").find("the message:1: given byte 0xE9"), std::string::npos);
  EXPECT_EQ(chat.say("?"), "ab\n");
}

TEST(InputText, NamesTheFirstByteThatIsNoUtf8) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "latin1.txt";
  write_file_atomically(path, "caf\u00E9\nna\xEFve\n");
  try {
    input_text(path.string());
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("latin1.txt:2: given byte 0xEF (the 9. of the text)"),
              std::string::npos)
        << error.what();
  }
  write_file_atomically(path, "caf\u00E9");
  EXPECT_EQ(input_text(path.string()), "caf\u00E9");
}

TEST(LineReader, GivesLinesAndTheRest) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string text = "one\r\n\ntwo\nlast";
  ASSERT_EQ(::write(ends[1], text.data(), text.size()), std::ssize(text));
  ::close(ends[1]);
  LineReader reader(ends[0]);
  std::vector<std::string> lines;
  for (std::string line; reader.read(line) == LineReader::Status::kLine;) lines.push_back(line);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "two", "last"}));
  ::close(ends[0]);
}

TEST(OptionArguments, ReachTheStructAndItsHelp) {
  generate::GenerateOptions options;
  read_overrides({"temperature=0.5", "max_tokens=7"}, options);
  EXPECT_EQ(options.sampling.temperature, 0.5);
  EXPECT_EQ(options.max_new_tokens, 7);
  EXPECT_THROW(read_overrides({"temprature=0.5"}, options), Error);
  const std::string help = options_help(describe_options<generate::GenerateOptions>());
  EXPECT_NE(help.find("  max_new_tokens=256"), std::string::npos) << help;
}

}  // namespace
}  // namespace lmoe::cli
