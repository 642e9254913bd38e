#include "spec/mixture_spec.h"

#include <algorithm>
#include <cmath>

namespace lmoe::spec {

std::span<const EnumName<Attach>> enum_names(Attach) {
  static constexpr EnumName<Attach> kNames[] = {{"projection", Attach::kProjection},
                                                {"ffn_block", Attach::kFfnBlock}};
  return kNames;
}

std::span<const EnumName<ExpertKind>> enum_names(ExpertKind) {
  static constexpr EnumName<ExpertKind> kNames[] = {
      {"lora", ExpertKind::kLora},           {"rank_one", ExpertKind::kRankOne},
      {"shared_a", ExpertKind::kSharedA},    {"core", ExpertKind::kCore},
      {"kronecker", ExpertKind::kKronecker}, {"residual", ExpertKind::kResidual}};
  return kNames;
}

std::span<const EnumName<ExpertActivation>> enum_names(ExpertActivation) {
  static constexpr EnumName<ExpertActivation> kNames[] = {{"identity", ExpertActivation::kIdentity},
                                                          {"tanh", ExpertActivation::kTanh},
                                                          {"relu", ExpertActivation::kRelu}};
  return kNames;
}

std::span<const EnumName<ScaleBy>> enum_names(ScaleBy) {
  static constexpr EnumName<ScaleBy> kNames[] = {{"rank", ScaleBy::kRank},
                                                 {"count", ScaleBy::kCount},
                                                 {"active", ScaleBy::kActive},
                                                 {"active_rank", ScaleBy::kActiveRank},
                                                 {"none", ScaleBy::kNone}};
  return kNames;
}

std::span<const EnumName<GateSource>> enum_names(GateSource) {
  static constexpr EnumName<GateSource> kNames[] = {
      {"constant", GateSource::kConstant},      {"input", GateSource::kInput},
      {"block_input", GateSource::kBlockInput}, {"rank_activation", GateSource::kRankActivation},
      {"task_id", GateSource::kTaskId},         {"last_hidden", GateSource::kLastHidden},
      {"learned", GateSource::kLearned},        {"embedding", GateSource::kEmbedding}};
  return kNames;
}

std::span<const EnumName<GateNet>> enum_names(GateNet) {
  static constexpr EnumName<GateNet> kNames[] = {{"linear", GateNet::kLinear},
                                                 {"mlp", GateNet::kMlp},
                                                 {"self", GateNet::kSelf},
                                                 {"tree", GateNet::kTree},
                                                 {"classifier", GateNet::kClassifier},
                                                 {"scalars", GateNet::kScalars},
                                                 {"recurrent", GateNet::kRecurrent},
                                                 {"cosine", GateNet::kCosine},
                                                 {"nearest", GateNet::kNearest},
                                                 {"causal", GateNet::kCausal}};
  return kNames;
}

std::span<const EnumName<GateActivation>> enum_names(GateActivation) {
  static constexpr EnumName<GateActivation> kNames[] = {{"none", GateActivation::kNone},
                                                        {"abs", GateActivation::kAbs},
                                                        {"unit_norm", GateActivation::kUnitNorm}};
  return kNames;
}

std::span<const EnumName<GateInit>> enum_names(GateInit) {
  static constexpr EnumName<GateInit> kNames[] = {{"normal", GateInit::kNormal},
                                                  {"kaiming_uniform", GateInit::kKaimingUniform}};
  return kNames;
}

std::span<const EnumName<GateShare>> enum_names(GateShare) {
  static constexpr EnumName<GateShare> kNames[] = {{"projection", GateShare::kProjection},
                                                   {"block", GateShare::kBlock},
                                                   {"model", GateShare::kModel}};
  return kNames;
}

std::span<const EnumName<GatePool>> enum_names(GatePool) {
  static constexpr EnumName<GatePool> kNames[] = {{"none", GatePool::kNone},
                                                  {"prompt", GatePool::kPrompt}};
  return kNames;
}

std::span<const EnumName<PrivateBy>> enum_names(PrivateBy) {
  static constexpr EnumName<PrivateBy> kNames[] = {
      {"task", PrivateBy::kTask}, {"role", PrivateBy::kRole}, {"passage", PrivateBy::kPassage}};
  return kNames;
}

std::span<const EnumName<SelectKind>> enum_names(SelectKind) {
  static constexpr EnumName<SelectKind> kNames[] = {{"all", SelectKind::kAll},
                                                    {"top_k", SelectKind::kTopK},
                                                    {"top_p", SelectKind::kTopP},
                                                    {"threshold", SelectKind::kThreshold},
                                                    {"entropy_switch", SelectKind::kEntropySwitch},
                                                    {"sample", SelectKind::kSample}};
  return kNames;
}

std::span<const EnumName<Normalize>> enum_names(Normalize) {
  static constexpr EnumName<Normalize> kNames[] = {
      {"softmax", Normalize::kSoftmax},
      {"softmax_selected", Normalize::kSoftmaxSelected},
      {"renormalize", Normalize::kRenormalize},
      {"sigmoid", Normalize::kSigmoid},
      {"sum_to_k", Normalize::kSumToK},
      {"constant", Normalize::kConstant},
      {"softmax_twice", Normalize::kSoftmaxTwice},
      {"logits", Normalize::kLogits},
      {"bounded", Normalize::kBounded}};
  return kNames;
}

std::span<const EnumName<Apply>> enum_names(Apply) {
  static constexpr EnumName<Apply> kNames[] = {
      {"deltas", Apply::kDeltas}, {"factors", Apply::kFactors}, {"outputs", Apply::kOutputs}};
  return kNames;
}

std::span<const EnumName<BiasUse>> enum_names(BiasUse) {
  static constexpr EnumName<BiasUse> kNames[] = {{"none", BiasUse::kNone},
                                                 {"selection", BiasUse::kSelection},
                                                 {"score", BiasUse::kScore},
                                                 {"activation", BiasUse::kActivation}};
  return kNames;
}

int64_t ExpertsSpec::count_at(int layer, int layers) const {
  if (count_by_layer.empty()) return count;
  return count_by_layer[static_cast<size_t>(layer) * count_by_layer.size() /
                        static_cast<size_t>(layers)];
}

double MixtureSpec::scaling() const {
  const double alpha = experts.effective_alpha();
  switch (experts.scale_by) {
    case ScaleBy::kRank: {
      const auto rank = static_cast<double>(experts.rank);
      return alpha / (experts.use_rslora ? std::sqrt(rank) : rank);
    }
    case ScaleBy::kCount:
      return alpha / static_cast<double>(experts.count);
    case ScaleBy::kActive:
      return alpha / static_cast<double>(active_experts());
    case ScaleBy::kActiveRank: {
      const auto ranks = static_cast<double>(active_experts() * experts.rank);
      return alpha / (experts.use_rslora ? std::sqrt(ranks) : ranks);
    }
    case ScaleBy::kNone:
      return alpha;
  }
  return alpha;
}

bool MixtureSpec::adapts_layer(int layer) const {
  return layers_to_transform.empty() ||
         std::find(layers_to_transform.begin(), layers_to_transform.end(), layer) !=
             layers_to_transform.end();
}

MixtureSpec MixtureSpec::plain_part() const {
  MixtureSpec part;
  part.method = method;
  part.target_modules = plain.target_modules;
  part.layers_to_transform = layers_to_transform;
  part.experts.count = 1;
  part.experts.rank = plain.rank;
  part.experts.alpha = plain.alpha;
  part.experts.dropout = plain.dropout;
  part.experts.names = {kPlainFolder};
  part.gate.source = GateSource::kConstant;
  part.normalize = Normalize::kConstant;
  return part;
}

std::vector<std::string> MixtureSpec::adapter_folders() const {
  if (experts.kind == ExpertKind::kRankOne) return {"ranks"};
  if (experts.kind == ExpertKind::kCore) return {"shared"};
  if (experts.kind == ExpertKind::kKronecker || experts.kind == ExpertKind::kResidual) return {};
  return expert_names();
}

std::vector<std::string> MixtureSpec::expert_names() const {
  if (!experts.names.empty()) return experts.names;
  std::vector<std::string> names;
  for (int64_t i = 0; i < experts.count; ++i) names.push_back("expert" + std::to_string(i));
  return names;
}

Json write_mixture(const MixtureSpec& spec) { return write_options(spec); }

bool decides_by_prompt(const MixtureSpec& spec) {
  return spec.gate.pool == GatePool::kPrompt || spec.has_prompts();
}

bool knows_prompts(const MixtureSpec& spec) {
  return decides_by_prompt(spec) ||
         (spec.select.private_experts > 0 && spec.select.private_by == PrivateBy::kRole);
}

}  // namespace lmoe::spec
