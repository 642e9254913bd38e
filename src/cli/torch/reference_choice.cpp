#include "cli/torch/reference_choice.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <limits>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "cli/torch/sample_documents.h"
#include "runner/output_references.h"

namespace lmoe::cli {
namespace {

constexpr int64_t kReferences = 4096;  // rtd.md

std::string joined(const std::vector<std::string>& files) {
  std::string list;
  for (const std::string& file : files) list += (list.empty() ? "" : ", ") + file;
  return list;
}

}  // namespace

void ReferenceChoice::add_to(CLI::App& app) {
  app.add_option("--references", files,
                 "JSON lines, or folders with train.jsonl, whose answers are mixed with what the "
                 "model says, token by token; FILE#100");
  app.add_option(
         "--reference-weight", weight,
         "share of what the references say in each token's probabilities; with --references")
      ->check(number_between(0.0, 1.0));
  app.add_option("--reference-neighbours", neighbours,
                 "nearest references that decide for a token; default 32")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  app.add_option("--reference-temperature", temperature,
                 "what squared distances of hidden states are divided by; default 1000")
      ->check(number_between(1e-3, 1e9));
  app.add_option("--reference-heads", heads,
                 "parts of a hidden state, each with neighbours of its own; default 1")
      ->check(CLI::Range(int64_t{1}, int64_t{1024}));
  app.add_option("--reference-count", count, "tokens that are kept, at most; default 4096")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
}

void ReferenceChoice::check() const {
  const bool has_any = weight || temperature || count || neighbours || heads;
  LMOE_CHECK_ARG(!files.empty() || !has_any,
                 "[arguments] --reference-weight, -neighbours, -temperature, -heads and -count "
                 "cannot act without --references FILE");
  LMOE_CHECK_ARG(files.empty() || weight,
                 "[arguments] --references needs --reference-weight, the share of what they say: "
                 "given none, expected 0 to 1; it is to be tuned for each task");
  LMOE_CHECK_ARG(!weight || *weight < 1.0,
                 "[arguments] --reference-weight: given 1, expected less: tokens that no reference "
                 "has would be impossible");
}

void ask_references(const ReferenceChoice& choice, ChosenModel& model) {
  if (choice.files.empty()) return;
  LMOE_CHECK_ARG(model.loaded->reward_head == nullptr,
                 "[references] a reward model makes no tokens that references could be mixed with");
  const SampleDocuments samples =
      read_documents(choice.files, model, std::numeric_limits<int64_t>::max(), kReferenceSplit);
  Progress progress("references");
  const auto go_on = [&](int64_t done, int64_t total) {
    progress.update(done, total);
    if (interrupted()) fail(ErrorCode::kInterrupted, "[references] interrupted");
  };
  auto references = std::make_shared<runner::OutputReferences>();
  references->references = runner::collect_references(*model.loaded->decoder, samples.documents,
                                                      choice.count.value_or(kReferences), go_on);
  progress.finish();
  references->weight = *choice.weight;
  nn::Retrieval& retrieval = references->retrieval;
  retrieval.neighbours = choice.neighbours.value_or(retrieval.neighbours);
  retrieval.temperature = choice.temperature.value_or(retrieval.temperature);
  retrieval.heads = choice.heads.value_or(retrieval.heads);
  std::fprintf(stderr, "references: %lld tokens of %zu documents\n",
               static_cast<long long>(references->references.keys.size(0)),
               samples.documents.size());
  model.name += concat(" with ", references->references.keys.size(0), " references of ",
                       joined(choice.files), " at weight ", *choice.weight);
  model.loaded->steps->ask_references(std::move(references));
}

}  // namespace lmoe::cli
