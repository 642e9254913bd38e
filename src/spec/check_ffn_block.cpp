#include "spec/check_parts.h"

namespace lmoe::spec {

void check_ffn_block(const MixtureSpec& spec, const std::string& where) {
  const bool is_block = spec.attach == Attach::kFfnBlock;
  LMOE_CHECK_ARG(is_block == (spec.apply == Apply::kOutputs), where,
                 ": mixture.apply outputs and mixture.attach ffn_block go together: given apply ",
                 enum_name(spec.apply), " with attach ", enum_name(spec.attach));
  LMOE_CHECK_ARG(is_block || !spec.select.capacity, where,
                 ": mixture.select.capacity cannot act: given attach ", enum_name(spec.attach),
                 ", expected ffn_block");
  if (!is_block) return;
  LMOE_CHECK_ARG(spec.experts.kind == ExpertKind::kLora, where,
                 ": mixture.attach ffn_block needs experts with LoRAs of their own: given ",
                 "experts.kind ", enum_name(spec.experts.kind), ", expected lora");
  LMOE_CHECK_ARG(!spec.experts.use_dora && !spec.experts.detach_input, where,
                 ": mixture.experts.use_dora and detach_input cannot act: given attach ffn_block, "
                 "expected projection");
  LMOE_CHECK_ARG(spec.schedule.hard_until == 0.0, where,
                 ": mixture.schedule.hard_until cannot act: given attach ffn_block, expected "
                 "projection");
  const GateSpec& gate = spec.gate;
  const bool reads_block =
      gate.source == GateSource::kBlockInput && gate.share == GateShare::kBlock;
  const bool reads_embedding =
      gate.source == GateSource::kEmbedding && gate.share != GateShare::kProjection;
  LMOE_CHECK_ARG(!spec.has_gate() || reads_block || reads_embedding, where,
                 ": mixture.attach ffn_block has one gate per FFN: given gate.source ",
                 enum_name(gate.source), " and gate.share ", enum_name(gate.share),
                 ", expected block_input and block, or embedding and block or model");
  LMOE_CHECK_ARG(!spec.select.capacity || gate.share == GateShare::kBlock, where,
                 ": mixture.select.capacity counts the tokens of each FFN: given gate.share ",
                 enum_name(gate.share), ", expected block");
}

}  // namespace lmoe::spec
