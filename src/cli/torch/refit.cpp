#include "cli/torch/refit.h"

#include <cstdio>
#include <functional>
#include <map>

#include "base/error.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "cli/torch/sample_documents.h"
#include "eval/table.h"
#include "runner/refit_documents.h"

namespace lmoe::cli {
namespace {

constexpr int64_t kMostDocuments = 256;

/// "math: 60 documents (scan 58, snips 2)" for each expert.
void print_shares(const std::vector<std::string>& names,
                  const std::vector<int64_t>& expert_of,
                  const SampleDocuments& samples) {
  std::vector<std::map<std::string, int>> shares(names.size());
  for (size_t n = 0; n < samples.origins.size(); ++n)
    ++shares[static_cast<size_t>(expert_of[n])][samples.origins[n]];
  std::vector<std::vector<std::string>> rows = {{"expert", "documents", "of"}};
  for (size_t e = 0; e < names.size(); ++e) {
    int sum = 0;
    std::string list;
    for (const auto& [origin, count] : shares[e]) {
      sum += count;
      list += (list.empty() ? "" : ", ") + concat(origin, " ", count);
    }
    rows.push_back({names[e], std::to_string(sum), list});
  }
  std::fprintf(stderr, "%s", eval::align_columns(rows).c_str());
}

using ProgressHook = std::function<void(int64_t, int64_t)>;

std::unique_ptr<mixture::Mixture> refit_linear(const RefitChoice& choice,
                                               const SampleDocuments& samples,
                                               ChosenModel& model,
                                               const ProgressHook& go_on,
                                               std::vector<int64_t>& expert_of) {
  mixture::RefittedGates refit =
      runner::refit_on_documents(*model.loaded->decoder, *model.loaded->mixture, samples.documents,
                                 choice.ridge.value_or(1e-8), go_on);
  for (const int64_t cluster : refit.cluster_of)
    expert_of.push_back(refit.expert_of[static_cast<size_t>(cluster)]);
  return std::move(refit.mixture);
}

std::unique_ptr<mixture::Mixture> refit_nearest(const RefitChoice& choice,
                                                const SampleDocuments& samples,
                                                ChosenModel& model,
                                                const ProgressHook& go_on,
                                                std::vector<int64_t>& expert_of) {
  runner::ReferenceOptions options;
  options.references = choice.references.value_or(options.references);
  nn::Retrieval& retrieval = options.retrieval;
  retrieval.neighbours = choice.neighbours.value_or(retrieval.neighbours);
  retrieval.temperature = choice.temperature.value_or(retrieval.temperature);
  retrieval.heads = choice.heads.value_or(retrieval.heads);
  runner::RefittedReferences refit = runner::refit_references(
      *model.loaded->decoder, *model.loaded->mixture, samples.documents, options, go_on);
  expert_of = std::move(refit.expert_of);
  return std::move(refit.mixture);
}

}  // namespace

void add_refit_options(CLI::App& app, RefitChoice& choice) {
  app.add_option("--net", choice.net, "refit: linear or nearest; default linear")
      ->check(CLI::IsMember({"linear", "nearest"}));
  app.add_option("--ridge", choice.ridge,
                 "refit, linear: weight of the rows' squares; default 1e-8")
      ->check(number_between(0.0, 1e6));
  app.add_option("--references", choice.references,
                 "refit, nearest: kept for each gate, at most; default 1024")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  app.add_option("--neighbours", choice.neighbours,
                 "refit, nearest: references that decide for a token; default 32")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  app.add_option("--temperature", choice.temperature,
                 "refit, nearest: what squared distances are divided by; default 1000")
      ->check(number_between(1e-3, 1e6));
  app.add_option("--heads", choice.heads,
                 "refit, nearest: parts of what a gate reads, each with neighbours of its own; "
                 "default 1")
      ->check(CLI::Range(int64_t{1}, int64_t{1024}));
}

void check_refit_options(const RefitChoice& choice, const std::string& action) {
  const bool is_linear = choice.net == "linear";
  const auto check = [&](bool is_given, bool acts, const char* option) {
    LMOE_CHECK_ARG(!is_given || action == "refit", "[experts] ", option, " cannot act with ",
                   action);
    LMOE_CHECK_ARG(!is_given || acts, "[experts] ", option, " cannot act with --net ", choice.net);
  };
  check(!is_linear, true, "--net");
  check(choice.ridge.has_value(), is_linear, "--ridge");
  check(choice.references.has_value(), !is_linear, "--references");
  check(choice.neighbours.has_value(), !is_linear, "--neighbours");
  check(choice.temperature.has_value(), !is_linear, "--temperature");
  check(choice.heads.has_value(), !is_linear, "--heads");
}

std::unique_ptr<mixture::Mixture> refit_on(const std::vector<std::string>& files,
                                           const RefitChoice& choice,
                                           ChosenModel& model) {
  LMOE_CHECK_ARG(!files.empty(), "[experts] refit needs documents; hint: --data FILE");
  const SampleDocuments samples = read_documents(files, model, kMostDocuments, "test");
  Progress progress("documents with each expert");
  const auto go_on = [&](int64_t done, int64_t total) {
    progress.update(done, total);
    if (interrupted() && done < total)
      fail(ErrorCode::kInterrupted, "[experts] refit was interrupted; nothing was written");
  };
  std::vector<int64_t> expert_of;
  const auto refit = choice.net == "nearest" ? refit_nearest : refit_linear;
  auto changed = refit(choice, samples, model, go_on, expert_of);
  progress.finish();
  print_shares(changed->spec().expert_names(), expert_of, samples);
  return changed;
}

}  // namespace lmoe::cli
