// `lmoe generate`: one answer to one prompt.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/command.h"
#include "cli/input_text.h"
#include "cli/interrupt.h"
#include "cli/option_arguments.h"
#include "cli/router_view.h"
#include "cli/terminal.h"
#include "cli/torch/commands.h"
#include "cli/torch/model_choice.h"
#include "cli/torch/reference_choice.h"
#include "eval/samples.h"
#include "generate/generator.h"

namespace lmoe::cli {
namespace {

struct GenerateArguments {
  ModelChoice choice;
  ReferenceChoice references;
  std::string prompt, prompt_file, system;
  bool as_chat = false;
  bool show_router = false;
  bool as_json = false;
  generate::GenerateOptions options;
};

generate::GenerateRequest make_request(const GenerateArguments& arguments,
                                       const ChosenModel& model,
                                       const std::string& prompt) {
  generate::GenerateRequest request{.options = arguments.options};
  if (request.options.eos_token_id.empty())
    request.options.eos_token_id = model.renderer->end_tokens();
  request.want_routing = arguments.show_router || arguments.as_json;
  if (!arguments.as_chat) {
    request.prompt = model.renderer->prompt(prompt);
    return request;
  }
  LMOE_CHECK_ARG(model.chat != nullptr, "[generate] ", model.name,
                 " has no chat template: given --chat, expected a model with one; hint: leave "
                 "--chat out");
  Json messages = Json::array();
  if (!arguments.system.empty())
    messages.push_back({{"role", "system"}, {"content", arguments.system}});
  messages.push_back({{"role", "user"}, {"content", prompt}});
  request.prompt = model.chat->encode(messages);
  return request;
}

Json answer_json(ChosenModel& model, const generate::Generation& answer) {
  Json json = {{"text", answer.text},
               {"token_ids", answer.ids},
               {"finish_reason", enum_name(answer.finish_reason)},
               {"prompt_tokens", answer.stats.prompt_tokens},
               {"new_tokens", answer.stats.new_tokens},
               {"time_to_first_token_ms", answer.stats.time_to_first_token_ms},
               {"tokens_per_second", answer.stats.tokens_per_second}};
  if (const decode::RouterInfo* router = model.steps().router()) {
    json["experts"] = router->expert_names;
    json["tokens"] = eval::tokens_json(eval::answer_tokens(model.tokenizer(), router, answer));
  }
  return json;
}

int answer(const GenerateArguments& arguments) {
  const std::string prompt =
      arguments.prompt_file.empty() ? arguments.prompt : input_text(arguments.prompt_file);
  ChosenModel model = open_model(arguments.choice);
  LMOE_CHECK_ARG(!arguments.show_router || model.steps().router() != nullptr, "[generate] ",
                 model.name, " has no router, so --router cannot act; hint: leave it out");
  const generate::GenerateRequest request = make_request(arguments, model, prompt);
  catch_interrupts();
  ask_references(arguments.references, model);
  generate::GenerateHooks hooks{.is_cancelled = [] { return interrupted(); }};
  if (!arguments.as_json) {
    hooks.on_text = [](size_t, std::string_view text) {
      std::fputs(printable(std::string(text)).c_str(), stdout);
      std::fflush(stdout);
    };
  }
  const generate::Generation result =
      generate::Generator(model.steps(), model.tokenizer()).run(request, hooks);
  if (arguments.as_json) {
    std::printf("%s\n", answer_json(model, result).dump().c_str());
  } else {
    std::printf("\n");
  }
  if (arguments.show_router && !arguments.as_json) {
    const decode::RouterInfo* router = model.steps().router();
    const auto tokens = eval::answer_tokens(model.tokenizer(), router, result);
    std::printf("\n%s", router_view(*router, tokens, stdout_is_terminal()).c_str());
  }
  return result.finish_reason == generate::FinishReason::kCancelled ? 130 : 0;
}

}  // namespace

int run_generate(const std::vector<std::string>& arguments) {
  GenerateArguments given;
  CLI::App app{"Answers one prompt.", "lmoe generate"};
  app.footer("settings, as key=value or --key value:\n" +
             options_help(describe_options<generate::GenerateOptions>()) +
             "examples:\n"
             "  lmoe generate runs/l-moe --prompt $'Command: jump twice\\nActions:' --router\n"
             "  lmoe generate --base smollm2-135m --chat --prompt \"What is a gate?\"\n"
             "  lmoe generate runs/l-moe --prompt-file - temperature=0.7 seed=1 < prompt.txt\n"
             "  lmoe generate --base smollm2-135m --references notes.jsonl --reference-weight 0.3 "
             "--prompt \"Dear\"\n"
             "The prompt is used as it is; --chat puts it into the model's chat template.");
  given.choice.add_to(app);
  given.references.add_to(app);
  auto* prompt = app.add_option("--prompt,-p", given.prompt, "the text to continue");
  app.add_option("--prompt-file", given.prompt_file, "the same from a file; - reads standard input")
      ->excludes(prompt);
  app.add_flag("--chat", given.as_chat, "ask it as a person in a chat");
  app.add_option("--system", given.system, "with --chat: the system message");
  app.add_flag("--router", given.show_router, "show which expert spoke at each token");
  app.add_flag("--json", given.as_json, "machine-readable, with routing");
  std::vector<std::string> overrides;
  if (const ParseOutcome outcome = parse_arguments(app, arguments, &overrides); outcome.finished)
    return outcome.exit_code;
  LMOE_CHECK_ARG(!given.prompt.empty() || !given.prompt_file.empty(),
                 "[arguments] no prompt: given none, expected --prompt TEXT or --prompt-file FILE");
  LMOE_CHECK_ARG(given.system.empty() || given.as_chat,
                 "[arguments] --system cannot act: given without --chat, expected both; hint: add "
                 "--chat");
  given.references.check();
  check_utf8(given.prompt, "--prompt");
  check_utf8(given.system, "--system");
  read_overrides(overrides, given.options);
  return answer(given);
}

}  // namespace lmoe::cli
