#include "conformance_gates.h"
#include "conformance_precision.h"
#include "conformance_reference.h"

namespace lmoe::test {

INSTANTIATE_TEST_SUITE_P(
    Methods,
    Conformance,
    ::testing::Values(
        Variant{"lora", "{method: lora, experts: {rank: 3}}"},
        Variant{"lora_rslora", "{method: lora, experts: {rank: 4, use_rslora: true, alpha: 3}}"},
        Variant{"dora", "{method: dora, experts: {rank: 3}}"},
        Variant{"l_moe_of_doras", "{experts: {count: 3, rank: 2, use_dora: true}}"},
        Variant{"l_moe_of_doras_top_k_block",
                "{experts: {count: 3, rank: 2, use_dora: true}, top_k: 2,"
                " gate: {source: block_input, share: block}}"},
        Variant{"l_moe", "{method: l-moe, experts: {count: 3, rank: 2}}"},
        Variant{"l_moe_factors", "{method: l-moe, experts: {count: 3, rank: 2}, apply: factors}"},
        Variant{
            "l_moe_mlp",
            "{experts: {count: 3, rank: 2}, gate: {net: mlp, hidden_size: 4, temperature: 0.7}}"},
        Variant{"l_moe_block",
                "{experts: {count: 3, rank: 2}, gate: {source: block_input, share: block}}"},
        Variant{"l_moe_block_mlp_factors",
                "{experts: {count: 3, rank: 2}, apply: factors,"
                " gate: {source: block_input, share: block, net: mlp, hidden_size: 4}}"},
        Variant{"l_moe_block_input_per_projection",
                "{experts: {count: 3, rank: 2}, gate: {source: block_input}}"},
        Variant{"l_moe_switch",
                "{experts: {count: 3, rank: 2}, losses: [{kind: switch, coef: 0.3}]}"},
        Variant{"l_moe_kl", "{experts: {count: 3, rank: 2}, losses: [{kind: kl, coef: 0.3}]}"},
        Variant{"l_moe_three_losses",
                "{experts: {count: 3, rank: 2}, apply: factors,"
                " losses: [{kind: kl}, {kind: cv2, coef: 1}, {kind: switch}]}"},
        Variant{
            "l_moe_two_pooled_losses",
            "{experts: {count: 3, rank: 2}, top_k: 2, losses: [{kind: topk_switch, over: pooled,"
            " coef: 0.3}, {kind: entropy, coef: 0.2, over: gates_sum, entropy: {order: 1.4}}]}"},
        Variant{"l_moe_weights_in_the_loss",
                "{experts: {count: 4, rank: 2}, top_k: 2, normalize: softmax, losses:"
                " [{kind: soft_switch, over: pooled}, {kind: importance}, {kind: z, coef: 0.1}]}"},
        Variant{"l_moe_one_expert", "{experts: {count: 1, rank: 2}}"},
        Variant{"l_moe_top_k", "{experts: {count: 4, rank: 2}, top_k: 2}"},
        Variant{"l_moe_top_1", "{experts: {count: 3, rank: 1}, top_k: 1}"},
        Variant{"l_moe_top_1_of_many", "{experts: {count: 22, rank: 3}, top_k: 1}"},
        Variant{"l_moe_top_2_of_many_block",
                "{experts: {count: 22, rank: 6}, top_k: 2, normalize: softmax_selected,"
                " gate: {source: block_input, share: block}}"},
        Variant{"l_moe_top_k_factors_block",
                "{experts: {count: 4, rank: 2}, top_k: 2, apply: factors,"
                " gate: {source: block_input, share: block}}"},
        Variant{"l_moe_top_k_softmax_selected",
                "{experts: {count: 4, rank: 2}, top_k: 3, normalize: softmax_selected}"},
        Variant{"l_moe_top_k_not_renormalised",
                "{experts: {count: 4, rank: 2}, top_k: 2, normalize: softmax}"},
        Variant{"l_moe_some_targets",
                "{experts: {count: 3, rank: 2}, target_modules: [down_proj, v_proj, q_proj]}"},
        Variant{"mola",
                "{method: mola, experts: {count: 3, rank: 2, count_by_layer: [2, 3], dropout: 0}}"},
        Variant{"mola_6842_wide",
                "{method: mola, experts: {count: 4, rank: 2, count_by_layer: [4], dropout: 0}}"},
        Variant{"dynmole", "{method: dynmole, experts: {count: 4, rank: 2, alpha: 4, dropout: 0}}"},
        Variant{"dynmole_always_decided",
                "{method: dynmole, experts: {count: 4, rank: 2, alpha: 4, dropout: 0},"
                " select: {threshold: 1, k: null, top_p: 0.6, include_crossing: true}}"},
        Variant{"dynmole_third_party",
                "{method: dynmole, experts: {count: 4, rank: 2, alpha: 4, dropout: 0}, normalize: "
                "renormalize,"
                " select: {include_crossing: true, entropy: {normalized: false}}}"},
        Variant{"l_moe_top_p", "{experts: {count: 4, rank: 2}, select: {kind: top_p, top_p: 0.6}}"},
        Variant{"l_moe_threshold",
                "{experts: {count: 4, rank: 2}, select: {kind: threshold, threshold: 0.3},"
                " gate: {source: block_input, share: block}}"},
        Variant{"l_moe_threshold_at_least_two",
                "{experts: {count: 4, rank: 2}, normalize: renormalize,"
                " select: {kind: threshold, threshold: 0.4, k: 2}}"},
        Variant{"smora", "{method: smora, experts: {count: 5, alpha: 2}, select: {k: 2}}"},
        Variant{"smora_all_sigmoid",
                "{method: smora, experts: {count: 3, alpha: 2}, select: {kind: all, k: null},"
                " normalize: sigmoid, bias: {use: none}}"},
        Variant{"smora_routed_by_activation",
                "{method: smora, experts: {count: 5, alpha: 2}, select: {k: 2},"
                " gate: {source: rank_activation}}"},
        Variant{"flylora", "{method: flylora, experts: {count: 5, alpha: 2}, select: {k: 2}}"},
        Variant{"flylora_trained_a_balanced",
                "{method: flylora, experts: {count: 5, alpha: 2, a_density: null, train_a: true},"
                " select: {k: 2}, bias: {use: selection}}"},
        Variant{"l_moe_frozen_a", "{experts: {count: 3, rank: 2, train_a: false}}"},
        Variant{"moram",
                "{method: moram, experts: {count: 5, dropout: 0}, gate: {temperature: 0.3},"
                " select: {k: 3, inference_threshold: null}}"},
        Variant{"moram_with_losses",
                "{method: moram, experts: {count: 5, dropout: 0}, gate: {temperature: 0.3},"
                " select: {k: 3, inference_threshold: null}, losses: [{kind: importance},"
                " {kind: topk_switch, over: pooled}]}"},
        Variant{"loramoe",
                "{method: loramoe, experts: {count: 4, rank: 2, alpha: 4, dropout: 0},"
                " losses: [{kind: localized, over: gates_sum, tasks: 2, coef: 0.3}]}"},
        Variant{"loramoe_paper_per_token",
                "{method: loramoe, experts: {count: 4, rank: 2, alpha: 4, dropout: 0}, losses: "
                "[{coef: 0.3,"
                " kind: localized_paper, tasks: 2, delta: -0.2, per_token: true}]}"},
        Variant{"l_moe_told_the_task",
                "{experts: {count: 4, rank: 2}, top_k: 2, normalize: softmax_selected,"
                " losses: [{kind: task_cross_entropy, coef: 0.5}]}"},
        Variant{
            "hard_by_task",
            "{experts: {count: 3, rank: 2}, gate: {source: task_id, net: self, default_task: 1},"
            " select: {kind: top_k, k: 1}, normalize: constant, losses: []}"},
        Variant{"dmoerm", "{method: dmoerm, experts: {count: 3, rank: 2, alpha: 2, dropout: 0}}"},
        Variant{"learned_by_task",
                "{experts: {count: 3, rank: 2}, gate: {source: task_id, default_task: 2}}"},
        Variant{"lora_mixer", "{method: lora-mixer, experts: {count: 4, rank: 2}, top_k: 2}"},
        Variant{"top_k_biased_choice",
                "{experts: {count: 4, rank: 2}, top_k: 2, bias: {use: selection}}"},
        Variant{"top_1_hard",
                "{experts: {count: 3, rank: 2}, select: {kind: top_k, k: 1}, normalize: constant,"
                " gate: {source: block_input, share: block}}"},
        Variant{"hydra", "{method: hydra, experts: {rank: 2}}"},
        Variant{"hydra_top_k", "{method: hydra, experts: {rank: 2}, top_k: 2}"},
        Variant{"comol", "{method: comol, experts: {count: 3, rank: 2}}"},
        Variant{"comol_without_core_routing",
                "{method: comol, experts: {count: 3, rank: 2}, gate: {source: input}}"},
        Variant{"ept",
                "{method: ept, experts: {count: 3, rank: 2, kernel_sizes: [2, 3, 2]}, top_k: 2,"
                " gate: {temperature: 0.5}}"},
        Variant{"ept_dense_uneven_block",
                "{method: ept, experts: {count: 4, rank: 2, kernel_sizes: [1, 4, 8, 2]},"
                " select: {kind: all, k: null}, gate: {source: block_input, share: block, "
                "temperature: 1}}"},
        Variant{"remix", "{method: remix, experts: {count: 4, rank: 2}, select: {k: 2}}"},
        Variant{"lorafactory_mola",
                "{method: lorafactory-mola, experts: {count: 4, count_by_layer: [4, 2], rank: 1}}"},
        Variant{"moa", "{method: moa, experts: {rank: 2}}"},
        Variant{"smore", "{method: smore, experts: {count: 3, rank: 2}, gate: {hidden_size: 3}}"},
        Variant{"smore_dense_three_levels_block",
                "{method: smore, experts: {count: 2, rank: 1, levels: 3, activation: identity},"
                " select: {kind: all, k: null}, normalize: softmax, losses: [],"
                " gate: {hidden_size: 3, source: block_input, share: block}}"},
        Variant{"smore_one_level_biased",
                "{method: smore, experts: {count: 3, rank: 2, levels: 1}, losses: [],"
                " gate: {hidden_size: 3}, bias: {use: selection}}"},
        Variant{"plain_beside_experts",
                "{experts: {count: 3, rank: 2}, target_modules: [down_proj, v_proj],"
                " plain: {target_modules: [q_proj, gate_proj, up_proj], rank: 3, alpha: 2}}"},
        Variant{"llava_mole",
                "{method: llava-mole, experts: {rank: 2, alpha: 2, dropout: 0},"
                " plain: {rank: 3, alpha: 2, dropout: 0}}"},
        Variant{"llava_mole_gate_scaled",
                "{method: llava-mole, experts: {rank: 2, alpha: 2, dropout: 0}, normalize: softmax,"
                " plain: {rank: 3, alpha: 2, dropout: 0}}"},
        Variant{
            "ffn_top_2",
            "{attach: ffn_block, apply: outputs, target_modules: [gate_proj, up_proj, down_proj],"
            " gate: {source: block_input, share: block}, experts: {count: 4, rank: 2}, top_k: 2,"
            " plain: {target_modules: [q_proj, o_proj], rank: 3}}"},
        Variant{"ffn_all",
                "{attach: ffn_block, apply: outputs, target_modules: [down_proj, up_proj],"
                " gate: {source: block_input, share: block}, experts: {count: 3, rank: 2}}"},
        Variant{
            "ffn_down_top_1",
            "{attach: ffn_block, apply: outputs, target_modules: [down_proj],"
            " gate: {source: block_input, share: block}, experts: {count: 3, rank: 2}, top_k: 1}"},
        Variant{"ffn_one_expert_without_a_gate",
                "{method: lora, attach: ffn_block, apply: outputs, experts: {rank: 2},"
                " target_modules: [gate_proj, up_proj, down_proj]}"},
        Variant{"mixlora",
                "{method: mixlora, experts: {count: 4, rank: 2, alpha: 2, dropout: 0},"
                " plain: {rank: 3, alpha: 2, dropout: 0}}"},
        Variant{"mixlora_dynamic",
                "{method: mixlora-dynamic, experts: {count: 4, rank: 2, alpha: 2, dropout: 0},"
                " plain: {rank: 3, alpha: 2, dropout: 0}}"},
        Variant{"mixlora_switch",
                "{method: mixlora-switch, experts: {count: 3, rank: 2, alpha: 2, dropout: 0},"
                " plain: {rank: 3, alpha: 2, dropout: 0}}"},
        Variant{
            "x_lora",
            "{method: x-lora, experts: {count: 3, rank: 2}, schedule: {freeze_experts: false}}"},
        Variant{"remix_rank_stabilised",
                "{method: remix, experts: {count: 4, rank: 2, use_rslora: true}, select: {k: 2}}"},
        Variant{"ranks_of_one_lora_by_its_alpha",
                "{experts: {kind: rank_one, count: 3, rank: 1, alpha: 5}}"},
        Variant{"private_experts_top_2",
                "{experts: {count: 5, rank: 2}, top_k: 2, select: {private_experts: 1, groups: 2},"
                " losses: []}"},
        Variant{
            "private_experts_all",
            "{experts: {count: 3, rank: 2}, select: {private_experts: 1, groups: 2}, losses: []}"},
        Variant{"x_lora_deep_top_2_twice",
                "{method: x-lora, experts: {count: 4, rank: 2}, xlora_depth: 3, xlora_size: 4,"
                " top_k: 2, normalize: softmax_twice, schedule: {freeze_experts: false}}"},
        Variant{"x_lora_once_for_all_layers",
                "{method: x-lora, experts: {count: 3, rank: 2}, layerwise_scalings: false,"
                " normalize: logits, target_modules: [o_proj, up_proj],"
                " schedule: {freeze_experts: false}}"},
        Variant{"private_experts_by_role",
                "{experts: {count: 5, rank: 2}, top_k: 2, losses: [],"
                " select: {private_experts: 1, private_by: role}}"},
        Variant{"meteora",
                "{method: meteora, experts: {count: 4, rank: 2}, losses: [],"
                " schedule: {freeze_experts: false}}"},
        Variant{"k_shot", "{method: k-shot, experts: {rank: 2}}"},
        Variant{"cat",
                "{method: cat, experts: {count: 3, rank: 2, alpha: 4}, schedule: {freeze_experts: "
                "false}}"},
        Variant{"cat_free_numbers",
                "{method: cat, experts: {count: 3, rank: 2, alpha: 4}, normalize: logits,"
                " schedule: {freeze_experts: false}}"},
        Variant{"flexmore",
                "{method: flexmore, experts: {rank: 2}, schedule: {freeze_experts: false}}"},
        Variant{"scalezero", "{method: scalezero, experts: {count: 3, rank: 2, alpha: 2}}"},
        Variant{"l_moe_bounded_staged",
                "{experts: {count: 3, rank: 2}, losses: [], normalize: bounded,"
                " schedule: {staged: true}}"},
        Variant{"l_moe_o_and_up_block",
                "{experts: {count: 3, rank: 2}, target_modules: [o_proj, up_proj],"
                " gate: {source: block_input, share: block}}"}),
    variant_name);

INSTANTIATE_TEST_SUITE_P(Gates, Conformance, gate_variants(), variant_name);

}  // namespace lmoe::test
