// `lmoe chat`: a conversation in the terminal, or with lines from a pipe.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "cli/chat_session.h"
#include "cli/command.h"
#include "cli/input_text.h"
#include "cli/interrupt.h"
#include "cli/line_reader.h"
#include "cli/option_arguments.h"
#include "cli/terminal.h"
#include "cli/torch/commands.h"
#include "cli/torch/model_choice.h"
#include "cli/torch/reference_choice.h"

namespace lmoe::cli {
namespace {

enum class Style { kAuto, kTemplate, kPlain };

/// Whether all the run learned from are plain prompts with answers. Data that is no longer there
/// tells nothing.
bool learned_plain_prompts(const recipe::Recipe& recipe) {
  bool all_plain = !recipe.data.datasets.empty();
  for (data::DatasetOptions source : recipe.data.datasets) {
    source.max_samples = 1;
    try {
      const data::Dataset dataset = data::read_dataset(source, data::Purpose::kTraining);
      all_plain = all_plain && !dataset.records.front().is_chat();
    } catch (const Error&) {
      return false;
    }
  }
  return all_plain;
}

bool uses_template(Style style, const ChosenModel& model) {
  if (style == Style::kTemplate) {
    LMOE_CHECK_ARG(model.chat != nullptr, "[chat] ", model.name,
                   " has no chat template: given --template, expected a model with one; hint: "
                   "--plain");
    return true;
  }
  if (style == Style::kPlain || model.chat == nullptr) return false;
  if (model.run.empty() || !learned_plain_prompts(model.recipe)) return true;
  log().note(
      "{} learned plain prompts, so every line is a prompt of its own; --template talks "
      "through the chat template",
      model.name);
  return false;
}

/// What a person types on one line; "\n" in it becomes a line break.
std::string with_line_breaks(const std::string& line) {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    const bool is_break = line[i] == '\\' && i + 1 < line.size() && line[i + 1] == 'n';
    text += is_break ? '\n' : line[i];
    i += is_break ? 1 : 0;
  }
  return text;
}

ChatSetup make_setup(const ChosenModel& model, bool with_template) {
  ChatSetup setup;
  setup.colours = stdout_is_terminal();
  setup.is_cancelled = [] { return interrupted(); };
  setup.remembers = with_template;
  if (with_template) {
    setup.encode = [&model](const Json& messages) { return model.chat->encode(messages); };
  } else {
    setup.encode = [&model](const Json& messages) {
      return model.renderer->prompt(
          with_line_breaks(messages.back()["content"].get<std::string>()));
    };
  }
  return setup;
}

int converse(ChatSession& session) {
  const bool is_person = ::isatty(STDIN_FILENO) == 1;
  if (is_person) std::cout << ChatSession::help();
  LineReader reader(STDIN_FILENO);
  while (true) {
    if (is_person) std::cout << "> " << std::flush;
    std::string line;
    const LineReader::Status status = reader.read(line);
    if (status == LineReader::Status::kInterrupted && interrupted()) return 130;
    if (status == LineReader::Status::kInterrupted) continue;
    if (status == LineReader::Status::kEnd || !session.handle(line)) break;
    std::cout << std::flush;
    if (interrupted() && !is_person) return 130;
    clear_interrupt();
  }
  if (is_person) std::cout << "\n";
  return 0;
}

}  // namespace

int run_chat(const std::vector<std::string>& arguments) {
  ModelChoice choice;
  ReferenceChoice references;
  std::string system;
  bool templated = false;
  bool plain = false;
  CLI::App app{"Talks to a run or a base model; answers appear as they are made.", "lmoe chat"};
  app.footer("settings, as key=value or --key value:\n" +
             options_help(describe_options<generate::GenerateOptions>()) + "in the chat:\n" +
             ChatSession::help() +
             "examples:\n"
             "  lmoe chat runs/l-moe\n"
             "  lmoe chat --base smollm2-135m temperature=0.7 --system \"You are brief.\"\n"
             "  lmoe chat --base smollm2-135m --references notes.jsonl --reference-weight 0.3\n"
             "  printf 'Command: jump twice\\\\nActions:\\n/router\\n' | lmoe chat runs/l-moe");
  choice.add_to(app);
  references.add_to(app);
  app.add_option("--system", system, "the system message");
  auto* templated_flag =
      app.add_flag("--template", templated, "talk through the model's chat template");
  app.add_flag("--plain", plain, "every line is a prompt of its own, as it is; \\n breaks lines")
      ->excludes(templated_flag);
  std::vector<std::string> overrides;
  if (const ParseOutcome outcome = parse_arguments(app, arguments, &overrides); outcome.finished)
    return outcome.exit_code;

  references.check();
  check_utf8(system, "--system");
  generate::GenerateOptions options;
  read_overrides(overrides, options);
  ChosenModel model = open_model(choice);
  const Style style = templated ? Style::kTemplate : plain ? Style::kPlain : Style::kAuto;
  ChatSetup setup = make_setup(model, uses_template(style, model));
  setup.options = options;
  if (options.eos_token_id.empty()) setup.options.eos_token_id = model.renderer->end_tokens();
  setup.system = system;
  catch_interrupts();
  ask_references(references, model);
  ChatSession session(model.steps(), model.tokenizer(), std::move(setup), std::cout);
  return converse(session);
}

}  // namespace lmoe::cli
