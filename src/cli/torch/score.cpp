// `lmoe score`: the log-probability of every token of a text, to compare engines with each other.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/files.h"
#include "cli/command.h"
#include "cli/input_text.h"
#include "cli/torch/commands.h"
#include "cli/torch/model_choice.h"
#include "cli/torch/reference_choice.h"
#include "eval/score_text.h"

namespace lmoe::cli {

int run_score(const std::vector<std::string>& arguments) {
  CLI::App app{"Prints the natural log-probability of every token of a text given those before it.",
               "lmoe score"};
  app.footer(
      "examples:\n"
      "  lmoe score --base smollm2-135m --text page.txt --json\n"
      "  lmoe score --base smollm2-135m --run runs/l-moe --text page.txt --dtype float32 --json\n"
      "  echo \"to be or not to be\" | lmoe score runs/l-moe --text -\n"
      "  lmoe score runs/l-moe --text - --references notes.jsonl --reference-weight 0.3 < "
      "page.txt\n"
      "Texts longer than the model's positions are read in windows that overlap by half, or as\n"
      "--stride says. JSON: token_ids, logprobs (null first), perplexity.");
  ModelChoice choice;
  choice.add_to(app);
  ReferenceChoice references;
  references.add_to(app);
  std::string text_path;
  eval::WindowOptions windows;
  bool as_json = false;
  app.add_option("--run", choice.run, "the same as naming the run first");
  app.add_option("--text", text_path, "a file of UTF-8 text; - reads standard input")->required();
  app.add_option("--stride", windows.stride, "tokens from one window to the next");
  app.add_flag("--json", as_json, "machine-readable");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  references.check();
  const std::string text = input_text(text_path);
  ChosenModel model = open_model(choice);
  ask_references(references, model);
  const eval::TextScore score = eval::score_text(model.steps(), model.tokenizer(), text, windows);
  if (as_json) {
    std::printf("%s\n", eval::score_json(score).dump().c_str());
  } else {
    std::printf("%zu tokens, perplexity %.4f, log-probability %.4f\n", score.token_ids.size(),
                score.perplexity(), score.sum());
  }
  return 0;
}

}  // namespace lmoe::cli
