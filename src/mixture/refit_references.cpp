#include "mixture/refit_references.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/error.h"
#include "mixture/expert_bank.h"
#include "mixture/gate.h"

namespace lmoe::mixture {
namespace {

void check_replaceable(const spec::MixtureSpec& spec) {
  const auto refuse = [&](const std::string& why) {
    fail(ErrorCode::kUnsupported, "[experts] gates of ", spec.method,
         " cannot be replaced by references: ", why);
  };
  using enum spec::GateSource;
  const spec::GateSource source = spec.gate.source;
  if (!spec.has_gate()) refuse("it has no router");
  if (source != kInput && source != kBlockInput && source != kEmbedding && source != kLastHidden)
    refuse(concat("they read ", enum_name(source),
                  ", expected gate.source input, block_input, embedding or last_hidden"));
  if (spec.gate.net == spec::GateNet::kTree) refuse("a tree makes several choices");
  if (spec.gate.pool != spec::GatePool::kNone) refuse("whole prompts decide (gate.pool)");
  if (spec.select.private_experts > 0) refuse("some experts belong to groups of tokens");
  if (spec.has_prompts()) refuse("they learned behind the prompts of a bank");
  if (spec.schedule.staged) refuse("experts take part one after another (schedule.staged)");
  if (!spec.experts.count_by_layer.empty()) refuse("layers have different numbers of experts");
}

bool is_probability(spec::Normalize normalize) {
  using enum spec::Normalize;
  return normalize == kSoftmax || normalize == kSoftmaxSelected || normalize == kSoftmaxTwice ||
         normalize == kRenormalize || normalize == kConstant;
}

spec::MixtureSpec nearest_spec(spec::MixtureSpec spec,
                               int64_t references,
                               const nn::Retrieval& retrieval) {
  spec::GateSpec gate;
  gate.net = spec::GateNet::kNearest;
  gate.source = spec.gate.source;
  gate.share = spec.gate.share;
  gate.layerwise = spec.gate.layerwise;
  gate.first_pass_weight = spec.gate.first_pass_weight;
  gate.temperature = retrieval.temperature;
  gate.references = references;
  gate.neighbours = retrieval.neighbours;
  gate.heads = retrieval.heads;
  spec.gate = gate;
  if (spec.select.kind == spec::SelectKind::kSample) {
    spec.select.kind = spec::SelectKind::kTopK;
    spec.select.rollouts = spec::SelectSpec().rollouts;
  }
  spec.select.inference_threshold.reset();
  if (!is_probability(spec.normalize))
    spec.normalize =
        spec.select.takes_k() ? spec::Normalize::kRenormalize : spec::Normalize::kSoftmax;
  spec.losses.clear();
  spec.bias = {};
  spec.schedule = {};
  spec.experts.adapters.clear();  // what they began as
  return spec;
}

void copy_banks(const std::vector<const ExpertBank*>& from,
                const std::vector<const ExpertBank*>& to) {
  const auto copy = [](const std::vector<nn::NamedTensor>& given,
                       const std::vector<nn::NamedTensor>& own) {
    for (size_t i = 0; i < own.size(); ++i) own[i].tensor.copy_(given[i].tensor);
  };
  for (size_t i = 0; i < to.size(); ++i) {
    copy(from[i]->parameters(), to[i]->parameters());
    copy(from[i]->fixed_tensors(), to[i]->fixed_tensors());
  }
}

}  // namespace

DocumentReferences::DocumentReferences(const Mixture& mixture, int64_t tokens_per_document)
    : tokens_per_document_(tokens_per_document) {
  check_replaceable(mixture.spec());
  LMOE_CHECK_ARG(tokens_per_document > 0,
                 "[experts] refit: given more documents than references, expected at least one "
                 "reference for each document; hint: --references");
  for (const auto& gate : mixture.gates()) keys_[gate->sites().front().name];
}

void DocumentReferences::add(const nn::RouterLog& log) {
  for (const nn::GateRecord& record : log.records) {
    const auto found = keys_.find(record.site);
    if (found == keys_.end()) continue;  // another site of the same gate
    LMOE_CHECK_ARG(record.input.defined(), "[experts] the router log keeps no inputs");
    const int64_t tokens = record.input.size(0);
    const int64_t kept = std::min(tokens, tokens_per_document_);
    // In the middle of `kept` equal parts of the document.
    const at::Tensor places = at::floor_divide((2 * at::arange(kept, at::kLong) + 1) * tokens,
                                               at::full({1}, 2 * kept, at::kLong));
    found->second.push_back(record.input.detach().index_select(0, places).clone());
  }
}

GateReferences DocumentReferences::of(const std::vector<int64_t>& experts) const {
  GateReferences all;
  for (const auto& [site, documents] : keys_) {
    LMOE_ASSERT(documents.size() == experts.size());
    std::vector<at::Tensor> values;
    for (size_t n = 0; n < experts.size(); ++n)
      values.push_back(
          at::full({documents[n].size(0)}, static_cast<double>(experts[n]), at::kFloat));
    all[site] = {at::cat(documents), at::cat(values)};
  }
  return all;
}

namespace {

/// The experts of `mixture` in one like `spec`, whose gates have these references.
std::unique_ptr<Mixture> with_memories(const Mixture& mixture,
                                       const nn::Sockets& sockets,
                                       const GateReferences& references,
                                       const spec::MixtureSpec& spec) {
  const c10::NoGradGuard no_grad;
  spec::check_mixture(spec, "experts");
  auto changed = std::make_unique<Mixture>(spec, sockets, /*seed=*/0,
                                           mixture.parameters().front().tensor.scalar_type());
  copy_banks(mixture.expert_banks(), changed->expert_banks());
  copy_banks(mixture.plain_expert_banks(), changed->plain_expert_banks());
  for (const auto& gate : changed->gates()) {
    const nn::References& given = references.at(gate->sites().front().name);
    gate->references()->keys.copy_(given.keys);
    gate->references()->values.copy_(given.values);
  }
  return changed;
}

}  // namespace

std::unique_ptr<Mixture> with_references(const Mixture& mixture,
                                         const nn::Sockets& sockets,
                                         const GateReferences& references,
                                         const nn::Retrieval& retrieval) {
  check_replaceable(mixture.spec());
  return with_memories(
      mixture, sockets, references,
      nearest_spec(mixture.spec(), references.begin()->second.keys.size(0), retrieval));
}

std::unique_ptr<Mixture> with_one_expert(const Mixture& mixture,
                                         const nn::Sockets& sockets,
                                         int64_t expert) {
  GateReferences references;
  for (const auto& gate : mixture.gates())
    references[gate->sites().front().name] = {
        at::zeros({1, gate->input_width()}),
        at::full({1}, static_cast<double>(expert), at::kFloat)};
  check_replaceable(mixture.spec());
  spec::MixtureSpec spec =
      nearest_spec(mixture.spec(), 1, {.neighbours = 1, .temperature = 1.0, .heads = 1});
  spec.select.capacity.reset();  // one expert takes every token
  return with_memories(mixture, sockets, references, spec);
}

}  // namespace lmoe::mixture
