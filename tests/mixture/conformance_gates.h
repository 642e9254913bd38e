// Variants that differ in what decides: recurrent, cosine, nearest and causal nets, biases, and
// gates that read embeddings.
#pragma once

#include "conformance.h"

namespace lmoe::test {

inline auto gate_variants() {
  return ::testing::Values(
      Variant{"recurrent_top_2",
              "{experts: {count: 3, rank: 2}, gate: {net: recurrent, hidden_size: 3},"
              " top_k: 2, losses: [{kind: switch}]}"},
      Variant{"recurrent_block",
              "{experts: {count: 3, rank: 2}, gate: {net: recurrent, hidden_size: 4,"
              " source: block_input, share: block}}"},
      Variant{"recurrent_ffn_top_2",
              "{attach: ffn_block, apply: outputs, target_modules: [gate_proj, up_proj, down_proj],"
              " gate: {net: recurrent, hidden_size: 3, source: block_input, share: block},"
              " experts: {count: 3, rank: 2}, top_k: 2}"},
      Variant{"recurrent_mola",
              "{method: mola, experts: {count: 3, rank: 2, count_by_layer: [2, 3], dropout: 0},"
              " gate: {net: recurrent, hidden_size: 3}}"},
      Variant{"cosine", "{experts: {count: 3, rank: 2}, gate: {net: cosine, temperature: 0.3}}"},
      Variant{"cosine_block_top_1",
              "{experts: {count: 3, rank: 2}, top_k: 1, normalize: softmax_selected,"
              " gate: {net: cosine, source: block_input, share: block}, losses: []}"},
      Variant{"nearest",
              "{experts: {count: 3, rank: 2}, losses: [], gate: {net: nearest, references: 9,"
              " neighbours: 9, temperature: 2}}"},
      Variant{"nearest_few_in_two_heads",
              "{experts: {count: 3, rank: 2}, losses: [], target_modules: [q_proj, v_proj, o_proj,"
              " up_proj], gate: {net: nearest, references: 40, neighbours: 6, heads: 2,"
              " temperature: 0.5}}"},
      Variant{"nearest_block_top_2",
              "{experts: {count: 3, rank: 2}, losses: [], top_k: 2, bias: {use: selection},"
              " gate: {net: nearest, references: 9, neighbours: 9, temperature: 2,"
              " source: block_input, share: block}}"},
      Variant{"nearest_ffn_top_2",
              "{attach: ffn_block, apply: outputs, target_modules: [gate_proj, up_proj, "
              "down_proj], losses: [], experts: {count: 3, rank: 2}, top_k: 2,"
              " gate: {net: nearest, references: 9, neighbours: 9, temperature: 2,"
              " source: block_input, share: block}}"},
      Variant{"nearest_mola",
              "{method: mola, experts: {count: 3, rank: 2, count_by_layer: [2, 3], dropout: 0},"
              " losses: [], gate: {net: nearest, init: normal, references: 9, neighbours: 9,"
              " temperature: 2}}"},
      Variant{"nearest_after_a_first_pass",
              "{method: x-lora, experts: {count: 3, rank: 2}, losses: [], gate: {net: nearest,"
              " hidden_size: 64, init: normal, references: 9, neighbours: 9, temperature: 2},"
              " schedule: {freeze_experts: false}}"},
      Variant{"nearest_embedding_once_for_all_layers",
              "{experts: {count: 3, rank: 2}, losses: [], top_k: 2, gate: {source: embedding,"
              " share: model, layerwise: false, net: nearest, references: 9, neighbours: 9,"
              " temperature: 2}}"},
      Variant{"pooled_with_a_bias",
              "{experts: {count: 3, rank: 2}, normalize: logits, losses: [],"
              " target_modules: [o_proj, up_proj], gate: {pool: prompt, init_bias: 0.3, "
              "init_range: 0.01}}"},
      Variant{"mlp_with_a_bias",
              "{experts: {count: 3, rank: 2}, top_k: 2, gate: {net: mlp, hidden_size: 3,"
              " init_bias: 0, source: block_input, share: block}}"},
      Variant{"embedding_per_projection",
              "{experts: {count: 3, rank: 2}, gate: {source: embedding}}"},
      Variant{"embedding_block_mlp",
              "{experts: {count: 3, rank: 2}, gate: {source: embedding, share: block, net: mlp,"
              " hidden_size: 3}}"},
      Variant{"embedding_once_for_all_layers",
              "{experts: {count: 3, rank: 2}, top_k: 2, gate: {source: embedding, share: model,"
              " layerwise: false}}"},
      Variant{"embedding_one_recurrent_net",
              "{experts: {count: 3, rank: 2}, target_modules: [o_proj, up_proj],"
              " gate: {source: embedding, share: model, net: recurrent, hidden_size: 3}}"},
      Variant{"embedding_classifier",
              "{experts: {count: 3, rank: 2}, gate: {source: embedding, share: model,"
              " net: classifier, depth: 2, hidden_size: 4}}"},
      Variant{"causal_each_projection",
              "{experts: {count: 3, rank: 2}, target_modules: [o_proj, up_proj, v_proj],"
              " gate: {source: embedding, share: model, net: causal, hidden_size: 4, heads: 2,"
              " depth: 2, init_bias: 0.2}}"},
      Variant{"causal_once_for_all_layers_top_2",
              "{experts: {count: 3, rank: 2}, top_k: 2, gate: {source: embedding, share: model,"
              " layerwise: false, net: causal, hidden_size: 4}}"},
      Variant{"causal_ffn_each_layer_top_2",
              "{attach: ffn_block, apply: outputs, target_modules: [gate_proj, up_proj, down_proj],"
              " gate: {source: embedding, share: model, net: causal, hidden_size: 4, heads: 2},"
              " experts: {count: 3, rank: 2}, top_k: 2}"},
      Variant{"embedding_ffn_once_for_all_layers",
              "{attach: ffn_block, apply: outputs, target_modules: [gate_proj, up_proj, down_proj],"
              " gate: {source: embedding, share: model, layerwise: false},"
              " experts: {count: 3, rank: 2}, top_k: 2}"},
      Variant{"embedding_ffn_each_layer",
              "{attach: ffn_block, apply: outputs, target_modules: [up_proj, down_proj],"
              " gate: {source: embedding, share: model}, experts: {count: 3, rank: 2}}"});
}

}  // namespace lmoe::test
