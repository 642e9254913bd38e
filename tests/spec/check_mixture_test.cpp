#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "spec/method_info.h"

namespace lmoe::spec {
namespace {

using ::testing::HasSubstr;

std::string refusal(const char* method, const std::function<void(MixtureSpec&)>& change) {
  MixtureSpec spec = find_method(method).preset();
  change(spec);
  try {
    check_mixture(spec, "r.yaml:3");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("[mixture] r.yaml:3: "));
    return error.what();
  }
  return "accepted";
}

TEST(CheckMixture, SelectionMustBePossible) {
  const auto top_k = [](MixtureSpec& s) { s.select.kind = SelectKind::kTopK; };
  EXPECT_THAT(refusal("l-moe", top_k), HasSubstr("needs mixture.select.k"));
  EXPECT_THAT(refusal("l-moe",
                      [&](MixtureSpec& s) {
                        top_k(s);
                        s.select.k = 9;
                      }),
              HasSubstr("mixture.select.k: given 9, expected at most mixture.experts.count, 8"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.select.k = 2; }),
              HasSubstr("given k 2 with kind all"));
  EXPECT_EQ(refusal("l-moe",
                    [&](MixtureSpec& s) {
                      top_k(s);
                      s.select.k = 8;
                      s.normalize = Normalize::kRenormalize;
                      s.apply = Apply::kFactors;
                    }),
            "accepted");
}

TEST(CheckMixture, EachKindOfSelectionHasItsKeys) {
  const auto select = [](const SelectSpec& keys) {
    return [keys](MixtureSpec& s) { s.select = keys; };
  };
  EXPECT_THAT(refusal("l-moe", select({.kind = SelectKind::kTopP})),
              HasSubstr("select.top_p is missing: mixture.select.kind top_p needs it"));
  EXPECT_THAT(refusal("l-moe", select({.kind = SelectKind::kThreshold, .top_p = 0.5})),
              HasSubstr("select.top_p cannot act with mixture.select.kind threshold"));
  EXPECT_THAT(refusal("l-moe", select({.kind = SelectKind::kEntropySwitch, .top_p = 0.5})),
              HasSubstr("select.threshold is missing"));
  EXPECT_THAT(
      refusal("l-moe", select({.kind = SelectKind::kTopK, .k = 2, .include_crossing = false})),
      HasSubstr("include_crossing cannot act"));
  EXPECT_THAT(refusal("l-moe", select({.kind = SelectKind::kTopP, .top_p = 0.5, .entropy = {1.1}})),
              HasSubstr("select.entropy cannot act"));
  EXPECT_THAT(refusal("l-moe", select({.kind = SelectKind::kTopP, .k = 9, .top_p = 0.5})),
              HasSubstr("given 9, expected at most mixture.experts.count, 8"));
  EXPECT_THAT(refusal("l-moe",
                      [](MixtureSpec& s) {
                        s.select = {.kind = SelectKind::kThreshold, .threshold = 0.1};
                        s.normalize = Normalize::kRenormalize;
                      }),
              HasSubstr("where select.kind threshold leaves nobody"));
  EXPECT_THAT(refusal("l-moe",
                      [](MixtureSpec& s) {
                        s.select = {.kind = SelectKind::kTopP, .top_p = 0.5};
                        s.experts.scale_by = ScaleBy::kActive;
                      }),
              HasSubstr("which has no fixed number"));
  EXPECT_THAT(refusal("dynmole", [](MixtureSpec& s) { s.bias.use = BiasUse::kSelection; }),
              HasSubstr("given select.kind entropy_switch, expected top_k"));
}

TEST(CheckMixture, WholeFfnsNeedOneGateEachAndLorasOfTheirOwn) {
  const auto block = [](MixtureSpec& s) { s.attach = Attach::kFfnBlock; };
  EXPECT_THAT(refusal("l-moe", block), HasSubstr("given apply deltas with attach ffn_block"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.apply = Apply::kOutputs; }),
              HasSubstr("given apply outputs with attach projection"));
  EXPECT_THAT(refusal("mixlora", [](MixtureSpec& s) { s.gate.share = GateShare::kProjection; }),
              HasSubstr("one gate per FFN"));
  EXPECT_THAT(refusal("mixlora", [](MixtureSpec& s) { s.experts.kind = ExpertKind::kSharedA; }),
              HasSubstr("given experts.kind shared_a, expected lora"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.select.capacity = 8; }),
              HasSubstr("mixture.select.capacity cannot act: given attach projection"));
  EXPECT_THAT(refusal("lora", [](MixtureSpec& s) { s.gate.jitter = 0.1; }),
              HasSubstr("mixture.gate.jitter"));
}

TEST(CheckMixture, GatesMustFitTheirInput) {
  const auto block = [](MixtureSpec& s) { s.gate.share = GateShare::kBlock; };
  EXPECT_THAT(refusal("l-moe", block), HasSubstr("expected block_input"));
  EXPECT_EQ(refusal("l-moe",
                    [&](MixtureSpec& s) {
                      block(s);
                      s.gate.source = GateSource::kBlockInput;
                    }),
            "accepted");
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.gate.hidden_size = 32; }),
              HasSubstr("hidden_size cannot act"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.normalize = Normalize::kConstant; }),
              HasSubstr("constant ignores the gate"));
}

TEST(CheckMixture, AConstantGateIsForOneExpertAlone) {
  EXPECT_THAT(refusal("lora", [](MixtureSpec& s) { s.experts.count = 4; }),
              HasSubstr("given 4 experts, expected 1"));
  EXPECT_THAT(refusal("lora", [](MixtureSpec& s) { s.losses.emplace_back(); }),
              HasSubstr("no router to balance"));
  EXPECT_THAT(refusal("lora", [](MixtureSpec& s) { s.normalize = Normalize::kSoftmax; }),
              HasSubstr("given softmax, expected constant"));
  EXPECT_THAT(refusal("lora", [](MixtureSpec& s) { s.gate.temperature = 2; }),
              HasSubstr("temperature cannot act"));
}

TEST(CheckMixture, NamesBecomeFolders) {
  const auto names = [](std::vector<std::string> given) {
    return refusal("l-moe", [&](MixtureSpec& s) {
      s.experts.count = 2;
      s.experts.names = given;
    });
  };
  EXPECT_EQ(names({"math", "code-2.b_C"}), "accepted");
  EXPECT_THAT(names({"math"}), HasSubstr("given 1 names, expected 2"));
  EXPECT_THAT(names({"math", "Math"}), HasSubstr("given \"Math\" twice"));
  for (const char* bad : {"", "..", ".hidden", "a/b", "a b", "a\nb", "ä"})
    EXPECT_THAT(names({"math", bad}), HasSubstr("each expert becomes a folder")) << bad;
  EXPECT_THAT(names({"math", std::string(65, 'x')}), HasSubstr("1 to 64 letters"));
}

TEST(CheckMixture, TargetsAndLossesOnce) {
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.target_modules.clear(); }),
              HasSubstr("target_modules is empty"));
  EXPECT_THAT(refusal("l-moe",
                      [](MixtureSpec& s) {
                        s.target_modules = {"q_proj", "q_proj"};
                      }),
              HasSubstr("names \"q_proj\" twice"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.losses.push_back(s.losses[0]); }),
              HasSubstr("names cv2 twice"));
}

TEST(MixtureSpec, ScalingIsAlphaOverWhatScaleByNames) {
  MixtureSpec spec;
  ExpertsSpec& experts = spec.experts;
  experts.rank = 16;
  EXPECT_EQ(spec.scaling(), 2.0);
  experts.alpha = 8.0;
  EXPECT_EQ(spec.scaling(), 0.5);
  experts.use_rslora = true;
  EXPECT_EQ(spec.scaling(), 2.0);
  experts.use_rslora = false;
  experts.count = 4;
  experts.scale_by = ScaleBy::kCount;
  EXPECT_EQ(spec.scaling(), 2.0);
  experts.scale_by = ScaleBy::kActive;
  EXPECT_EQ(spec.scaling(), 2.0) << "without k all take part";
  spec.select = {SelectKind::kTopK, 2};
  EXPECT_EQ(spec.scaling(), 4.0);
  experts.scale_by = ScaleBy::kNone;
  EXPECT_EQ(spec.scaling(), 8.0);
}

TEST(ExpertsSpec, CountByLayerCutsTheLayersIntoEqualGroups) {
  ExpertsSpec experts;
  experts.count = 8;
  EXPECT_EQ(experts.count_at(3, 4), 8);
  experts.count_by_layer = {2, 4, 6, 8};  // mola.md: 32 layers, four groups of 8, bottom to top
  std::vector<int64_t> counts;
  for (int layer = 0; layer < 32; layer += 4) counts.push_back(experts.count_at(layer, 32));
  EXPECT_THAT(counts, ::testing::ElementsAre(2, 2, 4, 4, 6, 6, 8, 8));
}

TEST(CheckMixture, PartsThatContradictSayWhy) {
  EXPECT_THAT(refusal("smora", [](MixtureSpec& s) { s.experts.rank = 2; }),
              HasSubstr("kind rank_one, expected 1"));
  EXPECT_THAT(refusal("smora",
                      [](MixtureSpec& s) {
                        s.apply = Apply::kFactors;
                        s.experts.kind = ExpertKind::kCore;
                        s.experts.rank = 2;
                      }),
              HasSubstr("expected lora or rank_one"));
  EXPECT_THAT(refusal("smora", [](MixtureSpec& s) { s.select = {}; }),
              HasSubstr("bias cannot act"));
  EXPECT_THAT(refusal("smora", [](MixtureSpec& s) { s.normalize = Normalize::kRenormalize; }),
              HasSubstr("adds to sigmoids"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.normalize = Normalize::kSigmoid; }),
              HasSubstr("probabilities that sum to 1"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.gate.source = GateSource::kRankActivation; }),
              HasSubstr("the one A x of all experts"));
  EXPECT_THAT(refusal("mola", [](MixtureSpec& s) { s.select.k = 3; }),
              HasSubstr("the least of count_by_layer, 2"));
  EXPECT_THAT(refusal("mola", [](MixtureSpec& s) { s.experts.count = 9; }),
              HasSubstr("largest entry"));
}

TEST(MixtureSpec, ExpertNamesCountUpWhereNoneAreGiven) {
  MixtureSpec spec;
  spec.experts.count = 2;
  EXPECT_THAT(spec.expert_names(), ::testing::ElementsAre("expert0", "expert1"));
  spec.experts.names = {"a", "b"};
  EXPECT_THAT(spec.expert_names(), ::testing::ElementsAre("a", "b"));
}

TEST(CheckMixture, LossesMustBeAbleToAct) {
  const auto with = [](LossSpec loss) { return [loss](MixtureSpec& s) { s.losses = {loss}; }; };
  for (const BalanceLoss kind : {BalanceLoss::kTopKSwitch, BalanceLoss::kTopKShare})
    EXPECT_THAT(refusal("l-moe", with({kind})), HasSubstr("select.kind all selects every one"));
  EXPECT_EQ(refusal("mola",
                    [](MixtureSpec& s) {
                      s.losses = {{BalanceLoss::kTopKShare, 1e-3, LossOver::kLayersPooledSum}};
                    }),
            "accepted");
  EXPECT_THAT(refusal("mola", with({BalanceLoss::kCv2, 1e-3, LossOver::kPooled})),
              HasSubstr("gives layers different experts; hint: layers_pooled_sum"));
  EXPECT_THAT(refusal("l-moe", with({BalanceLoss::kCv2, -1e-3})), HasSubstr("only entropy"));
  EXPECT_EQ(refusal("l-moe", with({BalanceLoss::kEntropy, -1e-3})), "accepted");
  EXPECT_THAT(
      refusal("l-moe", with({BalanceLoss::kZ, 1e-3, LossOver::kGatesMean, {1.1, true, 0.0}})),
      HasSubstr("z: its keys \"entropy\" cannot act"));
  EXPECT_THAT(refusal("l-moe",
                      [](MixtureSpec& s) {
                        s.select = {SelectKind::kTopK, 2};
                        s.normalize = Normalize::kConstant;
                        s.losses = {{BalanceLoss::kImportance}};
                      }),
              HasSubstr("normalize constant gives them no gradient"));
}

TEST(CheckMixture, SelfGatesAndFixedA) {
  EXPECT_THAT(refusal("smora", [](MixtureSpec& s) { s.gate.net = GateNet::kSelf; }),
              HasSubstr("expected rank_activation and rank_one"));
  EXPECT_THAT(refusal("smora", [](MixtureSpec& s) { s.gate.activation = GateActivation::kAbs; }),
              HasSubstr("activation cannot act"));
  EXPECT_THAT(refusal("smora", [](MixtureSpec& s) { s.bias.use = BiasUse::kActivation; }),
              HasSubstr("bias.use activation adds to A x"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.gate.source = GateSource::kRankActivation; }),
              HasSubstr("expected core or rank_one"));
  EXPECT_THAT(refusal("flylora", [](MixtureSpec& s) { s.gate.init_range = 0.1; }),
              HasSubstr("net self, which has no weights"));
  EXPECT_THAT(refusal("flylora", [](MixtureSpec& s) { s.experts.train_a = true; }),
              HasSubstr("which training would fill"));
  EXPECT_THAT(refusal("flylora", [](MixtureSpec& s) { s.losses = {{BalanceLoss::kCv2}}; }),
              HasSubstr("has nothing to train"));
  EXPECT_THAT(refusal("lora", [](MixtureSpec& s) { s.select.inference_threshold = 0.1; }),
              HasSubstr("inference_threshold cannot act"));
}

TEST(CheckMixture, TasksOfGates) {
  const auto by_task = [](MixtureSpec& s) {
    s.gate.source = GateSource::kTaskId;
    s.gate.default_task = 7;
  };
  EXPECT_EQ(refusal("l-moe", by_task), "accepted");
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.gate.source = GateSource::kTaskId; }),
              HasSubstr("default_task is missing"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.gate.default_task = 1; }),
              HasSubstr("default_task cannot act"));
  EXPECT_THAT(refusal("l-moe",
                      [&](MixtureSpec& s) {
                        by_task(s);
                        s.gate.default_task = 8;
                      }),
              HasSubstr("given 8, expected less than"));
  EXPECT_THAT(refusal("mola", by_task), HasSubstr("one task per expert"));
}

TEST(CheckMixture, TasksOfLosses) {
  const auto change = [](const std::function<void(LossSpec&)>& edit) {
    return [edit](MixtureSpec& s) { edit(s.losses[0]); };
  };
  EXPECT_THAT(refusal("loramoe", change([](LossSpec& l) { l.tasks = 4; })),
              HasSubstr("given 6 experts and 4 tasks"));
  EXPECT_THAT(refusal("loramoe", change([](LossSpec& l) { l.over = LossOver::kPooled; })),
              HasSubstr("expected gates_mean or gates_sum"));
  EXPECT_THAT(refusal("l-moe", change([](LossSpec& l) { l.delta = 0.2; })),
              HasSubstr("delta and per_token cannot act"));
}

std::string tasks_refusal(const char* method, int64_t tasks) {
  try {
    with_tasks(find_method(method).preset(), tasks);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "accepted";
}

TEST(WithTasks, FillsInWhatTheDataSay) {
  EXPECT_EQ(with_tasks(find_method("loramoe").preset(), 3).losses[0].tasks, 3);
  EXPECT_EQ(tasks_refusal("l-moe", 1), "accepted");
  EXPECT_THAT(tasks_refusal("loramoe", 1),
              HasSubstr("the data have no labels that tell tasks apart: given 1 task"));
  EXPECT_THAT(tasks_refusal("loramoe", 4), HasSubstr("given 6 experts and 4 tasks"));
  EXPECT_THAT(tasks_refusal("loramoe", 7), HasSubstr("given 7 tasks and 6 experts"));
  MixtureSpec two = find_method("loramoe").preset();
  two.losses[0].tasks = 2;
  EXPECT_THROW(with_tasks(two, 3), Error);
  EXPECT_EQ(with_tasks(two, 2).losses[0].tasks, 2);
}

TEST(CheckMixture, AMemoryOfReferencesGoesWithProbabilitiesAlone) {
  const auto nearest = [](const std::function<void(MixtureSpec&)>& change) {
    return refusal("l-moe", [&](MixtureSpec& s) {
      s.gate.net = GateNet::kNearest;
      s.gate.references = 40;
      s.gate.temperature = 5000;
      s.losses.clear();
      change(s);
    });
  };
  EXPECT_EQ(nearest([](MixtureSpec&) {}), "accepted");
  EXPECT_THAT(nearest([](MixtureSpec& s) { s.gate.references = 0; }),
              HasSubstr("has an empty memory"));
  EXPECT_THAT(
      nearest([](MixtureSpec& s) { s.gate.neighbours = 41; }),
      HasSubstr("asks gate.neighbours 41 references, expected at most gate.references, 40"));
  EXPECT_THAT(nearest([](MixtureSpec& s) { s.losses.push_back({}); }),
              HasSubstr("nothing that losses could train"));
  EXPECT_THAT(nearest([](MixtureSpec& s) { s.normalize = Normalize::kSigmoid; }),
              HasSubstr("given normalize sigmoid"));
  EXPECT_THAT(nearest([](MixtureSpec& s) { s.gate.source = GateSource::kTaskId; }),
              HasSubstr("given gate.source task_id"));
  EXPECT_THAT(nearest([](MixtureSpec& s) { s.gate.pool = GatePool::kPrompt; }),
              HasSubstr("gate.pool"));
  EXPECT_THAT(nearest([](MixtureSpec& s) { s.gate.noise = 0.1; }), HasSubstr("noise"));
  EXPECT_THAT(nearest([](MixtureSpec& s) { s.gate.init_bias = 0.1; }), HasSubstr("init_bias"));
  EXPECT_THAT(nearest([](MixtureSpec& s) { s.schedule.freeze_gates_from = 0.5; }),
              HasSubstr("freeze_gates_from"));
  EXPECT_THAT(nearest([](MixtureSpec& s) { s.select.inference_threshold = 0.5; }),
              HasSubstr("inference_threshold"));
  EXPECT_THAT(nearest([](MixtureSpec& s) {
                s.select.private_experts = 1;
                s.select.groups = 2;
              }),
              HasSubstr("private_experts 1"));
  EXPECT_THAT(nearest([](MixtureSpec& s) {
                s.select.kind = SelectKind::kSample;
                s.select.k = 2;
                s.normalize = Normalize::kConstant;
              }),
              HasSubstr("select.kind sample"));
  EXPECT_THAT(refusal("l-moe", [](MixtureSpec& s) { s.gate.heads = 2; }),
              HasSubstr("heads cannot act: given net linear, expected nearest or causal"));
  EXPECT_EQ(refusal("x-lora",
                    [](MixtureSpec& s) {
                      s.gate = {.source = GateSource::kLastHidden,
                                .net = GateNet::kNearest,
                                .share = GateShare::kModel,
                                .references = 40};
                      s.schedule.freeze_experts = false;
                    }),
            "accepted");
}

}  // namespace
}  // namespace lmoe::spec
