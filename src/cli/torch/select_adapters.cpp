// `lmoe select adapters`: a few good and different adapters out of a bank, by samples of a task.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/config_node.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/torch/adapter_bank.h"
#include "cli/torch/adapter_selection.h"
#include "cli/torch/eval_data.h"
#include "cli/torch/model_choice.h"
#include "cli/torch/select.h"
#include "kshot/choose_adapters.h"
#include "mixture/adapter_similarity.h"
#include "mixture/load_adapter.h"

namespace lmoe::cli {
namespace {

constexpr int64_t kUsualPreselect = 8;

struct SelectArguments {
  std::vector<std::string> bank, open;
  std::string base, dtype = "auto", data, out;
  int64_t count = 4;
  std::optional<int64_t> preselect;
  bool whole_answers = false;
  bool as_json = false;

  int64_t preselected() const {
    return preselect.value_or(std::min(kUsualPreselect, std::ssize(bank)));
  }
};

data::Dataset read_samples(const std::string& path) {
  data::Dataset samples = data::read_dataset({.path = path}, data::Purpose::kEvaluation);
  LMOE_CHECK_ARG(
      samples.type != data::RecordType::kText && samples.type != data::RecordType::kPreference,
      "[select] ", samples.file, ": given ", enum_name(samples.type),
      " records, expected prompts with answers, which adapters are judged by");
  return samples;
}

kshot::AdapterScore score(const fs::path& adapter,
                          const std::string& title,
                          const eval::EvalTask& task,
                          kshot::AnswerLength length,
                          ChosenModel& model) {
  const models::Decoder& decoder = *model.loaded->decoder;
  const auto mixture = mixture::mixture_of_adapter(adapter, decoder.sockets());
  mixture->plug(decoder.sockets());
  runner::TorchStepModel steps(decoder, mixture.get());
  EvalProgressView view(title);
  const eval::EvalOptions options;
  const eval::EvalHooks hooks = view.hooks();
  const kshot::AdapterScore result =
      kshot::score_adapter({steps, model.tokenizer(), options, hooks}, task, length);
  mixture->unplug(decoder.sockets());
  return result;
}

AdapterSelection select(const SelectArguments& given,
                        const AdapterBank& bank,
                        const data::Dataset& samples) {
  ChosenModel model = open_model({.base = given.base, .dtype = given.dtype});
  const eval::EvalTask task = eval::make_task(samples, *model.renderer, eval::Metric::kAuto);
  AdapterSelection selection;
  if (given.whole_answers) selection.length = kshot::AnswerLength::kNothing;
  for (size_t i = 0; i < bank.size(); ++i) {
    const std::string title = concat(bank.names[i], " (", i + 1, " of ", bank.size(), ")");
    selection.scores.push_back(score(bank.paths[i], title, task, selection.length, model));
  }
  selection.ranks = kshot::rank_adapters(selection.scores);
  selection.preselected = kshot::preselect(selection.ranks, given.preselected());
  std::vector<const io::LoraFolder*> few;
  for (const int64_t i : selection.preselected)
    few.push_back(&bank.folders[static_cast<size_t>(i)]);
  selection.cosines = mixture::delta_cosines(few);
  selection.subsets =
      kshot::rank_subsets(selection.ranks, selection.preselected, selection.cosines, given.count);
  return selection;
}

std::string recipe_text(const SelectArguments& given,
                        const AdapterBank& bank,
                        const kshot::Subset& chosen) {
  std::vector<std::string> datasets = {given.data};
  datasets.insert(datasets.end(), given.open.begin(), given.open.end());
  const fs::path output_dir = fs::path("runs") / fs::path(given.out).stem();
  return concat(
      "# Adapters that `lmoe select adapters` chose. Epochs and learning rate: arXiv ",
      "2408.15915.\n#   lmoe train ", given.out, "\n",
      yaml_from_json(selection_recipe(chosen, bank, given.base, datasets, output_dir.string())));
}

void check(const SelectArguments& given) {
  LMOE_CHECK_ARG(given.preselected() >= 2 && given.preselected() <= std::ssize(given.bank),
                 "[select] --preselect: given ", given.preselected(), ", expected 2 to ",
                 given.bank.size(), ", the adapters of the bank");
  kshot::check_subset_size(given.preselected(), given.count);
  LMOE_CHECK_ARG(given.open.empty() || !given.out.empty(),
                 "[select] --open goes into the recipe, which needs --out");
  if (!given.out.empty()) check_new_file(given.out, "select", "--out");
}

}  // namespace

int run_select_adapters(const std::vector<std::string>& arguments) {
  SelectArguments given;
  CLI::App app{
      "Chooses adapters for a task by a few samples of it. Each adapter of the bank gets a rank "
      "for the\n"
      "perplexity of the samples' answers and one for its own answers' accuracy (exact match, or "
      "of\n"
      "records with choices how often the right one is the most likely). Of those with the "
      "smallest\n"
      "sums every subset gets a rank for how little its adapters have in common: the mean cosine "
      "of\n"
      "their deltas B A. The subset with the smallest sum of all ranks is chosen.",
      "lmoe select adapters"};
  app.footer(
      "Ranks start at 1; of equals the one named first is better. The paper lets a large model "
      "expand\n"
      "the samples' answers to rationales first: write those into the samples as their answers.\n"
      "examples:\n"
      "  lmoe select adapters adapters/a adapters/b adapters/c adapters/d adapters/e \\\n"
      "    --base smollm2-135m --data data/tasks/scan#50\n"
      "  lmoe select adapters snips=runs/snips/experts/expert0 scan=runs/scan/experts/expert0 \\\n"
      "    wikisql=runs/wikisql/experts/expert0 --base smollm2-135m --data samples.jsonl \\\n"
      "    --count 2 --open open.jsonl --out k-shot.yaml");
  app.add_option("bank", given.bank, "PEFT LoRA folders of one base: FOLDER or NAME=FOLDER")
      ->required();
  app.add_option("--base", given.base, "the base model of the adapters")->required();
  app.add_option("--data", given.data, "samples of the task: records with answers; FILE#50")
      ->required();
  app.add_option("--count", given.count, "adapters to choose; default 4");
  app.add_option("--preselect", given.preselect,
                 "adapters whose subsets are compared; default 8, or all of a smaller bank");
  app.add_option("--open", given.open,
                 "data to train on beside the samples, as `lmoe select data` chooses it")
      ->allow_extra_args(false);
  app.add_option("--out", given.out, "write a recipe that trains the mixture to this file");
  app.add_flag("--whole-answers", given.whole_answers,
               "do not divide the answers' log-probabilities by their length");
  app.add_option("--dtype", given.dtype, "auto, float32 or bfloat16");
  app.add_flag("--json", given.as_json, "machine-readable");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  check(given);
  catch_interrupts();
  const AdapterBank bank = read_adapter_bank(given.bank);
  const data::Dataset samples = read_samples(given.data);
  for (const std::string& path : given.open) data::resolve_dataset({.path = path});
  const AdapterSelection selection = select(given, bank, samples);
  std::printf("%s", given.as_json ? (selection_json(selection, bank).dump() + "\n").c_str()
                                  : selection_table(selection, bank).c_str());
  if (given.out.empty()) return 0;
  write_file_atomically(given.out, recipe_text(given, bank, selection.chosen()));
  std::fprintf(given.as_json ? stderr : stdout, "recipe: %s\n", given.out.c_str());
  return 0;
}

}  // namespace lmoe::cli
