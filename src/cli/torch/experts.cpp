// `lmoe experts`: the experts of a trained mixture, listed or changed without training it again.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/torch/changed_run.h"
#include "cli/torch/changed_scores.h"
#include "cli/torch/commands.h"
#include "cli/torch/model_choice.h"
#include "cli/torch/refit.h"
#include "eval/table.h"
#include "io/checkpoints.h"
#include "mixture/change_experts.h"
#include "mixture/run_folder.h"
#include "mixture/split_experts.h"
#include "runner/gate_rows.h"

namespace lmoe::cli {
namespace {

constexpr int64_t kSampleRecords = 64;

struct ExpertsArguments {
  ModelChoice choice;
  std::string action, what, out;
  std::vector<std::string> data, samples;
  RefitChoice refit;
  bool as_json = false;

  std::string name() const { return what.substr(0, what.find('=')); }
  int64_t parts() const {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(what.data(), what.data() + what.size(), value);
    LMOE_CHECK_ARG(error == std::errc{} && end == what.data() + what.size() && value >= 2,
                   "[experts] split: given \"", what, "\", expected into how many parts");
    return value;
  }
  fs::path adapter() const {
    const size_t equals = what.find('=');
    LMOE_CHECK_ARG(equals != std::string::npos && equals + 1 < what.size(), "[experts] ", action,
                   ": given \"", what, "\", expected NAME=ADAPTER, a PEFT folder");
    return what.substr(equals + 1);
  }
};

std::vector<std::vector<int32_t>> sample_ids(const ExpertsArguments& given, ChosenModel& model) {
  std::vector<std::vector<int32_t>> sequences;
  for (const eval::EvalItem& item :
       sample_items(given.samples.empty() ? given.data : given.samples, model, kSampleRecords))
    sequences.push_back(item.ids.empty() ? item.prompt : item.ids);
  return sequences;
}

std::unique_ptr<mixture::Mixture> change(const ExpertsArguments& given, ChosenModel& model) {
  const mixture::Mixture& mixture = *model.loaded->mixture;
  const nn::Sockets& sockets = model.loaded->decoder->sockets();
  if (given.action == "remove") return with_expert_removed(mixture, sockets, given.what);
  if (given.action == "freeze") return with_expert_frozen(mixture, sockets, given.what);
  if (given.action == "split") return with_experts_split(mixture, sockets, given.parts());
  if (given.action == "refit")
    return refit_on(given.samples.empty() ? given.data : given.samples, given.refit, model);
  if (given.action == "replace")
    return with_expert_replaced(mixture, sockets, given.name(), given.adapter());
  mixture::check_changeable(mixture.spec());
  const auto sequences = sample_ids(given, model);
  if (sequences.empty())
    std::fprintf(stderr,
                 "note: without --data or --samples the new expert's rows of the gates are zeros: "
                 "it gets the logit 0 for every token\n");
  return with_expert_added(mixture, sockets, given.name(), given.adapter(),
                           runner::gate_rows_for(*model.loaded->decoder, mixture, sequences));
}

/// What follows the old run's name in the new one's.
std::string ending_of(const ExpertsArguments& given) {
  const std::string verb = given.action == "remove" ? "without" : given.action;
  return verb + (given.what.empty() ? "" : "-" + given.name());
}

int change_run(const ExpertsArguments& given) {
  catch_interrupts();
  ChosenModel model = open_model(given.choice);
  const fs::path target = changed_run_folder(given.out, model.run, ending_of(given), "[experts]");
  const std::unique_ptr<mixture::Mixture> changed = change(given, model);
  const std::vector<eval::EvalResult> results =
      scores_before_and_after(given.data, model, *changed);
  write_changed_run(*model.loaded->run, *changed, target);
  print_change(results, given.as_json);
  std::fprintf(given.as_json ? stderr : stdout, "run: %s\n", target.c_str());
  return 0;
}

Json experts_json(const spec::MixtureSpec& spec) {
  const std::vector<std::string>& frozen = spec.experts.frozen;
  Json experts = Json::array();
  for (const std::string& name : spec.expert_names()) {
    const bool is_frozen = std::find(frozen.begin(), frozen.end(), name) != frozen.end();
    experts.push_back({{"name", name},
                       {"kind", enum_name(spec.experts.kind)},
                       {"rank", spec.experts.rank},
                       {"frozen", is_frozen}});
  }
  return experts;
}

/// From the spec alone: the base may be large.
int list_experts(const ExpertsArguments& given) {
  const fs::path run = io::complete_run(run_folder(given.choice.run));
  ReadReport report;
  const Json experts =
      experts_json(spec::read_mixture(read_config_file(mixture::spec_file(run)), report));
  if (given.as_json) {
    std::printf("%s\n", experts.dump().c_str());
    return 0;
  }
  std::vector<std::vector<std::string>> rows = {{"expert", "kind", "rank", ""}};
  for (const Json& expert : experts)
    rows.push_back({expert["name"].get<std::string>(), expert["kind"].get<std::string>(),
                    expert["rank"].dump(), expert["frozen"].get<bool>() ? "frozen" : ""});
  std::printf("%s", eval::align_columns(rows).c_str());
  return 0;
}

}  // namespace

int run_experts(const std::vector<std::string>& arguments) {
  ExpertsArguments given;
  CLI::App app{
      "Lists the experts of a run, or makes a new run with one more, one less, another in its "
      "place,\n"
      "one that further training leaves as it is, each cut into finer ones (split), or with gates\n"
      "made from documents (refit). Nothing is trained: a new expert's rows of the "
      "gates\n"
      "follow from samples of what it is for, the others' relative weights stay.",
      "lmoe experts"};
  app.footer(
      "A row is l m / |m|^2, m being the mean of what the gate reads on the samples and l the mean "
      "of\n"
      "their largest logit: on these samples the new expert's logit is on average the largest. "
      "The\n"
      "key of a cosine gate is m itself.\n"
      "examples:\n"
      "  lmoe experts runs/l-moe list\n"
      "  lmoe experts runs/l-moe add math=adapters/math --data data/tasks/scan/test.jsonl#50\n"
      "  lmoe experts runs/l-moe remove expert3 --out runs/seven\n"
      "  lmoe experts runs/l-moe freeze expert0\n"
      "  lmoe experts runs/l-moe split 4        # four experts of a quarter of the rank for each\n"
      "  lmoe experts runs/l-moe refit --data data/tasks/scan/test.jsonl#50 --data notes.jsonl\n"
      "  lmoe experts runs/l-moe refit --net nearest --references 1024 --data "
      "data/tasks/scan/test.jsonl#50\n"
      "refit clusters the samples, gives each cluster to the expert that answers it best, and fits "
      "all\n"
      "gates to that by least squares; each token then goes to one expert, with weight 1.\n"
      "With --net nearest gates keep what they read of tokens of the samples, each with the expert "
      "that\n"
      "answers its sample best; the weights of a token are what the nearest of these references "
      "say:\n"
      "softmax(-d / temperature) over their squared distances d, summed by expert.\n"
      "Going on from such a run: lmoe train NEW/config_effective.json init_from=NEW output_dir=…");
  app.add_option("run", given.choice.run, "a run folder or a checkpoint of it")->required();
  app.add_option("action", given.action, "list, add, remove, replace, freeze, split or refit")
      ->required()
      ->check(CLI::IsMember({"list", "add", "remove", "replace", "freeze", "split", "refit"}));
  app.add_option("what", given.what,
                 "NAME; NAME=ADAPTER for add and replace; for split the number of parts");
  app.add_option("--data", given.data, "JSON lines to score on before and after; FILE#100");
  app.add_option("--samples", given.samples,
                 "add: what the expert is for, the first 64 of each file; refit: what to learn "
                 "from; default: --data");
  add_refit_options(app, given.refit);
  app.add_option("--out", given.out, "folder of the new run; default: beside the old one");
  app.add_option("--base", given.choice.base, "a base model other than the run's");
  app.add_option("--dtype", given.choice.dtype, "auto, float32 or bfloat16");
  app.add_flag("--json", given.as_json, "machine-readable");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;
  if (given.action == "list") {
    LMOE_CHECK_ARG(given.what.empty(), "[experts] list takes no name: given ", given.what);
    return list_experts(given);
  }
  const bool refits = given.action == "refit";
  LMOE_CHECK_ARG(refits || !given.what.empty(), "[experts] ", given.action, " whom? see --help");
  LMOE_CHECK_ARG(!refits || given.what.empty(), "[experts] refit takes no name: given ",
                 given.what);
  LMOE_CHECK_ARG(given.samples.empty() || given.action == "add" || refits,
                 "[experts] --samples cannot act with ", given.action);
  check_refit_options(given.refit, given.action);
  return change_run(given);
}

}  // namespace lmoe::cli
