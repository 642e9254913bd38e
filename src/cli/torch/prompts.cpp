// `lmoe prompts`: a trained bank of prompts gets entries for what it does not know yet.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/torch/changed_run.h"
#include "cli/torch/changed_scores.h"
#include "cli/torch/commands.h"
#include "cli/torch/model_choice.h"
#include "mixture/append_prompts.h"
#include "runner/prompt_prototypes.h"

namespace lmoe::cli {
namespace {

struct PromptsArguments {
  ModelChoice choice;
  std::string action, out;
  std::vector<std::string> data, samples;
  int64_t count = 1;
  bool as_json = false;
};

/// What comes before the first answer of each sample, at least one token.
std::vector<std::vector<int32_t>> sample_prompts(const PromptsArguments& given,
                                                 const ChosenModel& model) {
  std::vector<std::vector<int32_t>> prompts;
  for (const eval::EvalItem& item : sample_items(given.samples.empty() ? given.data : given.samples,
                                                 model, std::numeric_limits<int64_t>::max())) {
    if (item.ids.empty()) {
      prompts.push_back(item.prompt);
      continue;
    }
    const int64_t length = std::max<int64_t>(item.prompt_length(), 1);
    prompts.emplace_back(item.ids.begin(),
                         item.ids.begin() + std::min(length, std::ssize(item.ids)));
  }
  return prompts;
}

std::unique_ptr<mixture::Mixture> with_new_entries(const PromptsArguments& given,
                                                   const ChosenModel& model) {
  const mixture::Mixture& mixture = *model.loaded->mixture;
  LMOE_CHECK_ARG(mixture.prompt_bank() != nullptr, "[prompts] ", model.name,
                 " has no bank of prompts; hint: recipes/prompt-bank.yaml trains one");
  const at::Tensor features =
      runner::prompt_features(*model.loaded->decoder, sample_prompts(given, model));
  LMOE_CHECK_ARG(features.defined(), "[prompts] the samples hold no prompts");
  return mixture::with_prompts_added(
      mixture, model.loaded->decoder->sockets(),
      mixture::entries_for(*mixture.prompt_bank(), mixture.spec().prompts.select, features,
                           given.count));
}

int add_prompts(const PromptsArguments& given) {
  catch_interrupts();
  ChosenModel model = open_model(given.choice);
  LMOE_CHECK_ARG(model.loaded->mixture != nullptr && model.loaded->run, "[prompts] ", model.name,
                 " is no run");
  const fs::path target = changed_run_folder(given.out, model.run, "prompts", "[prompts]");
  const std::unique_ptr<mixture::Mixture> changed = with_new_entries(given, model);
  const int64_t before = model.loaded->mixture->spec().prompts.count;
  const std::vector<eval::EvalResult> results =
      scores_before_and_after(given.data, model, *changed);
  write_changed_run(*model.loaded->run, *changed, target);
  print_change(results, given.as_json);
  std::fprintf(given.as_json ? stderr : stdout, "entries: %lld, the new ones from %lld\nrun: %s\n",
               static_cast<long long>(changed->spec().prompts.count),
               static_cast<long long>(before), target.c_str());
  return 0;
}

}  // namespace

int run_prompts(const std::vector<std::string>& arguments) {
  PromptsArguments given;
  CLI::App app{
      "Makes a new run whose bank of prompts (mixture.prompts) has more entries. Nothing is "
      "trained:\n"
      "what a new key finds follows from samples of what it is for, and its prompt begins as the "
      "mean\n"
      "of those that the samples have found so far. Keys and prompts that were there keep every "
      "bit.",
      "lmoe prompts"};
  app.footer(
      "examples:\n"
      "  lmoe prompts runs/prompt-bank add --samples data/tasks/nl2regex/train.jsonl#64\n"
      "  lmoe prompts runs/prompt-bank add --count 2 --data data/tasks/nl2regex/test.jsonl#50\n"
      "Going on from such a run, its first 16 entries as they are: lmoe train "
      "NEW/config_effective.json\n"
      "init_from=NEW mixture.prompts.frozen=16 output_dir=…");
  app.add_option("run", given.choice.run, "a run folder or a checkpoint of it")->required();
  app.add_option("action", given.action, "add")->required()->check(CLI::IsMember({"add"}));
  app.add_option("--count", given.count, "how many entries; default 1")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}));
  app.add_option("--data", given.data, "JSON lines to score on before and after; FILE#100");
  app.add_option("--samples", given.samples, "what the entries are for; default: --data");
  app.add_option("--out", given.out, "folder of the new run; default: beside the old one");
  app.add_option("--base", given.choice.base, "a base model other than the run's");
  app.add_option("--dtype", given.choice.dtype, "auto, float32 or bfloat16");
  app.add_flag("--json", given.as_json, "machine-readable");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;
  LMOE_CHECK_ARG(!given.data.empty() || !given.samples.empty(),
                 "[prompts] add: what are the entries for? given neither --samples nor --data");
  return add_prompts(given);
}

}  // namespace lmoe::cli
