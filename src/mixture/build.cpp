#include "mixture/build.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "mixture/site_name.h"

namespace lmoe::mixture {
namespace {

/// PEFT's rule: the whole module path, or its end after a dot.
bool is_target(const nn::FrozenLinear& linear, const std::string& target) {
  return linear.module_path == target || linear.module_path.ends_with("." + target);
}

bool is_target(const nn::FrozenLinear& linear, const std::vector<std::string>& targets) {
  return std::any_of(targets.begin(), targets.end(),
                     [&](const std::string& target) { return is_target(linear, target); });
}

void check_all_hit(const spec::MixtureSpec& spec, const std::vector<nn::ProjectionGroup*>& groups) {
  std::set<std::string> hit, known;
  for (const nn::ProjectionGroup* group : groups) {
    for (const nn::FrozenLinear& linear : group->linears()) {
      known.insert(linear.name);
      for (const std::string& target : spec.target_modules)
        if (is_target(linear, target)) hit.insert(target);
    }
  }
  std::string missed, names;
  for (const std::string& target : spec.target_modules)
    if (hit.count(target) == 0) missed += (missed.empty() ? "" : ", ") + target;
  for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
  LMOE_CHECK_ARG(missed.empty(), "[attach] target_modules that match no projection of the ",
                 spec.attach == spec::Attach::kFfnBlock ? "FFNs" : "model", ": given ", missed,
                 ", expected some of ", names);
}

void check_layers(const spec::MixtureSpec& spec, int layers) {
  for (const int64_t layer : spec.layers_to_transform)
    LMOE_CHECK_ARG(layer < layers, "[attach] mixture.layers_to_transform: given ", layer,
                   ", expected layers from 0 to ", layers - 1);
}

class Builder {
 public:
  /// Random streams 2 g (experts) and 2 g + 1 (gates) of `seed`, counted from `first_stream`.
  Builder(const spec::MixtureSpec& spec,
          const std::vector<nn::ProjectionGroup*>& groups,
          uint64_t seed,
          const at::TensorOptions& options,
          uint64_t first_stream)
      : spec_(spec), groups_(groups), seed_(seed), options_(options), first_stream_(first_stream) {
    for (const nn::ProjectionGroup* group : groups) layers_ = std::max(layers_, group->layer() + 1);
    check_layers(spec, layers_);
    if (spec.gate.net != spec::GateNet::kRecurrent) return;
    Rng rng(seed, first_stream + 4 * groups.size());  // after those of the plain LoRAs
    cell_ = std::make_shared<RecurrentCell>(spec.gate.hidden_size, options, rng);
  }

  std::vector<std::shared_ptr<SiteBank>> build(SiteRole role) {
    check_all_hit(spec_, groups_);
    std::vector<std::shared_ptr<SiteBank>> banks;
    for (size_t g = 0; g < groups_.size(); ++g) {
      std::unique_ptr<ExpertBank> bank = bank_of(g);
      if (!bank) continue;
      std::shared_ptr<Gate> gate = gate_of(g, bank->targets(), bank->in());
      banks.push_back(std::make_shared<SiteBank>(spec_, role, g, std::move(bank), std::move(gate)));
    }
    return banks;
  }

  std::vector<std::shared_ptr<FfnExperts>> build_blocks(const std::vector<nn::GatedMlp*>& mlps) {
    std::vector<std::shared_ptr<FfnExperts>> blocks;
    for (size_t b = 0; b < mlps.size(); ++b) {
      const size_t first = position_of(mlps[b]->gate_up()), second = position_of(mlps[b]->down());
      std::unique_ptr<ExpertBank> gate_up = bank_of(first), down = bank_of(second);
      if (!gate_up && !down) continue;
      std::shared_ptr<Gate> gate = gate_of(first, /*targets=*/{}, /*in=*/0);
      blocks.push_back(std::make_shared<FfnExperts>(spec_, b, std::move(gate_up), std::move(down),
                                                    std::move(gate)));
    }
    return blocks;
  }

 private:
  size_t position_of(const nn::ProjectionGroup& group) const {
    return static_cast<size_t>(std::find(groups_.begin(), groups_.end(), &group) - groups_.begin());
  }

  /// Null when the group has no target.
  std::unique_ptr<ExpertBank> bank_of(size_t g) const {
    std::vector<BankTarget> targets = targets_of(*groups_[g]);
    if (targets.empty()) return nullptr;
    const int64_t in = groups_[g]->linears()[targets.front().linear].weight.columns();
    Rng rng(seed_, first_stream_ + 2 * g);
    const BankShape shape = {in, spec_.experts.count_at(groups_[g]->layer(), layers_), options_};
    return make_expert_bank(spec_, std::move(targets), shape, rng);
  }

  std::vector<BankTarget> targets_of(const nn::ProjectionGroup& group) const {
    std::vector<BankTarget> targets;
    if (!spec_.adapts_layer(group.layer())) return targets;
    for (size_t i = 0; i < group.linears().size(); ++i) {
      const nn::FrozenLinear& linear = group.linears()[i];
      if (!is_target(linear, spec_.target_modules)) continue;
      targets.push_back({block_site(group.layer(), group.block()) + "." + linear.name,
                         linear.module_path, i, linear.weight.rows(), linear.weight, linear.bias});
    }
    return targets;
  }

  std::shared_ptr<Gate> gate_of(size_t g, const std::vector<BankTarget>& targets, int64_t in) {
    const nn::ProjectionGroup& group = *groups_[g];
    if (!spec_.has_gate()) return nullptr;
    if (spec_.gate.share == spec::GateShare::kModel) {
      std::shared_ptr<Gate>& shared = block_gates_[kModelSite];
      if (!shared) shared = make_gate(g, model_sites(), block_width(*groups_.front()));
      return shared;
    }
    if (spec_.gate.share == spec::GateShare::kBlock) {
      std::shared_ptr<Gate>& shared = block_gates_[block_site(group.layer(), group.block())];
      if (!shared)
        shared = make_gate(g, {{block_site(group.layer(), group.block()), group.layer()}},
                           block_width(group));
      return shared;
    }
    std::vector<SiteInfo> sites;
    for (const BankTarget& target : targets) sites.push_back({target.site, group.layer()});
    return make_gate(g, std::move(sites), input_width(group, in));
  }

  /// Of a gate for the whole model: all targets, or all blocks that have some, or one for all.
  std::vector<SiteInfo> model_sites() const {
    if (!spec_.gate.layerwise) return {{kModelSite, 0}};
    const bool is_block = spec_.attach == spec::Attach::kFfnBlock;
    std::vector<SiteInfo> sites;
    for (const nn::ProjectionGroup* group : groups_) {
      for (const BankTarget& target : targets_of(*group)) {
        const std::string site =
            is_block ? block_site(group->layer(), group->block()) : target.site;
        if (sites.empty() || sites.back().name != site) sites.push_back({site, group->layer()});
      }
    }
    return sites;
  }

  std::shared_ptr<Gate> make_gate(size_t g, std::vector<SiteInfo> sites, int64_t width) const {
    Rng rng(seed_, first_stream_ + 2 * g + 1);
    const int64_t experts = spec_.experts.count_at(groups_[g]->layer(), layers_);
    return std::make_shared<Gate>(spec_, std::move(sites), experts, width, options_, rng, cell_);
  }

  /// Of what a gate of its own reads.
  int64_t input_width(const nn::ProjectionGroup& group, int64_t in) const {
    switch (spec_.gate.source) {
      case spec::GateSource::kBlockInput:
      case spec::GateSource::kLastHidden:
      case spec::GateSource::kEmbedding:
        return block_width(group);
      case spec::GateSource::kLearned:
        return 1;
      case spec::GateSource::kRankActivation:
        return spec_.experts.kind == spec::ExpertKind::kRankOne ? spec_.experts.count
                                                                : spec_.experts.rank;
      case spec::GateSource::kTaskId:
        return spec_.experts.count;
      case spec::GateSource::kInput:
      case spec::GateSource::kConstant:
        return in;
    }
    return in;
  }

  /// The first group of a block (q,k,v or gate,up) reads the block's own input.
  int64_t block_width(const nn::ProjectionGroup& group) const {
    for (const nn::ProjectionGroup* first : groups_) {
      if (first->layer() == group.layer() && first->block() == group.block())
        return first->linears().front().weight.columns();
    }
    return 0;
  }

  const spec::MixtureSpec& spec_;
  const std::vector<nn::ProjectionGroup*>& groups_;
  uint64_t seed_;
  at::TensorOptions options_;
  uint64_t first_stream_;
  int layers_ = 0;
  std::shared_ptr<const RecurrentCell> cell_;  ///< of all gates; null but for recurrent ones
  std::map<std::string, std::shared_ptr<Gate>> block_gates_;
};

}  // namespace

std::vector<std::shared_ptr<SiteBank>> build_banks(const spec::MixtureSpec& spec,
                                                   const std::vector<nn::ProjectionGroup*>& groups,
                                                   uint64_t seed,
                                                   const at::TensorOptions& options) {
  return Builder(spec, groups, seed, options, /*first_stream=*/0).build(SiteRole::kExperts);
}

std::vector<std::shared_ptr<FfnExperts>> build_ffn_experts(const spec::MixtureSpec& spec,
                                                           const nn::Sockets& sockets,
                                                           uint64_t seed,
                                                           const at::TensorOptions& options) {
  LMOE_CHECK_ARG(!sockets.mlps.empty(),
                 "[attach] mixture.attach ffn_block: this model has no FFN that can be replaced");
  std::vector<nn::ProjectionGroup*> groups;
  for (nn::GatedMlp* mlp : sockets.mlps)
    for (nn::ProjectionGroup* group : mlp->projection_groups()) groups.push_back(group);
  check_all_hit(spec, groups);
  return Builder(spec, sockets.groups, seed, options, /*first_stream=*/0)
      .build_blocks(sockets.mlps);
}

std::vector<std::shared_ptr<SiteBank>> build_plain_banks(
    const spec::MixtureSpec& spec,
    const std::vector<nn::ProjectionGroup*>& groups,
    uint64_t seed,
    const at::TensorOptions& options) {
  if (!spec.has_plain()) return {};
  for (const nn::ProjectionGroup* group : groups) {
    for (const nn::FrozenLinear& linear : group->linears()) {
      LMOE_CHECK_ARG(
          !is_target(linear, spec.plain.target_modules) || !is_target(linear, spec.target_modules),
          "[attach] ", linear.module_path,
          " is named by mixture.target_modules and by mixture.plain.target_modules");
    }
  }
  return Builder(spec.plain_part(), groups, seed, options, /*first_stream=*/2 * groups.size())
      .build(SiteRole::kPlain);
}

}  // namespace lmoe::mixture
