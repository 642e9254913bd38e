#include "spec/mixture_spec.h"

#include <cmath>

namespace lmoe::spec {

std::span<const EnumName<Attach>> enum_names(Attach) {
  static constexpr EnumName<Attach> kNames[] = {{"projection", Attach::kProjection}};
  return kNames;
}

std::span<const EnumName<ExpertKind>> enum_names(ExpertKind) {
  static constexpr EnumName<ExpertKind> kNames[] = {{"lora", ExpertKind::kLora}};
  return kNames;
}

std::span<const EnumName<GateSource>> enum_names(GateSource) {
  static constexpr EnumName<GateSource> kNames[] = {{"constant", GateSource::kConstant},
                                                    {"input", GateSource::kInput},
                                                    {"block_input", GateSource::kBlockInput}};
  return kNames;
}

std::span<const EnumName<GateNet>> enum_names(GateNet) {
  static constexpr EnumName<GateNet> kNames[] = {{"linear", GateNet::kLinear},
                                                 {"mlp", GateNet::kMlp}};
  return kNames;
}

std::span<const EnumName<GateShare>> enum_names(GateShare) {
  static constexpr EnumName<GateShare> kNames[] = {{"projection", GateShare::kProjection},
                                                   {"block", GateShare::kBlock}};
  return kNames;
}

std::span<const EnumName<SelectKind>> enum_names(SelectKind) {
  static constexpr EnumName<SelectKind> kNames[] = {{"all", SelectKind::kAll},
                                                    {"top_k", SelectKind::kTopK}};
  return kNames;
}

std::span<const EnumName<Normalize>> enum_names(Normalize) {
  static constexpr EnumName<Normalize> kNames[] = {
      {"softmax", Normalize::kSoftmax},
      {"softmax_selected", Normalize::kSoftmaxSelected},
      {"renormalize", Normalize::kRenormalize},
      {"constant", Normalize::kConstant}};
  return kNames;
}

std::span<const EnumName<Apply>> enum_names(Apply) {
  static constexpr EnumName<Apply> kNames[] = {{"deltas", Apply::kDeltas},
                                               {"factors", Apply::kFactors}};
  return kNames;
}

std::span<const EnumName<BalanceLoss>> enum_names(BalanceLoss) {
  static constexpr EnumName<BalanceLoss> kNames[] = {
      {"cv2", BalanceLoss::kCv2}, {"switch", BalanceLoss::kSwitch}, {"kl", BalanceLoss::kKl}};
  return kNames;
}

double ExpertsSpec::scaling() const {
  const double r = static_cast<double>(rank);
  return effective_alpha() / (use_rslora ? std::sqrt(r) : r);
}

double value_at_balance(BalanceLoss kind) { return kind == BalanceLoss::kSwitch ? 1.0 : 0.0; }

std::vector<std::string> MixtureSpec::expert_names() const {
  if (!experts.names.empty()) return experts.names;
  std::vector<std::string> names;
  for (int64_t i = 0; i < experts.count; ++i) names.push_back("expert" + std::to_string(i));
  return names;
}

Json write_mixture(const MixtureSpec& spec) { return write_options(spec); }

}  // namespace lmoe::spec
