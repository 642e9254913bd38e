// A gate that asks references instead of being trained: arXiv 2409.20181, with experts for tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "mixture/gate.h"
#include "sections.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::HasSubstr;

constexpr int64_t kTokens = 6, kExperts = 3;

/// One gate, whose references are what it reads of the tokens of `input()`, each for expert
/// t % 3.
class NearestGate : public ::testing::Test {
 protected:
  static std::string section(const std::string& more) {
    return "{experts: {count: 3, rank: 2}, target_modules: [q_proj], losses: []," + more + "}";
  }
  static at::Tensor input() { return numbers({kTokens, kHidden}, 1, at::kDouble); }

  Mixture filled(const std::string& more) const {
    Mixture mixture(read_section(section(more)), model_.sockets(), 3, at::kDouble);
    randomize(mixture, 5);
    const nn::References& memory = *mixture.gates().at(0)->references();
    memory.keys.copy_(at::tanh(input()));  // what enters the first block
    memory.values.copy_(at::arange(kTokens).remainder(kExperts));
    return mixture;
  }

  /// Of the one gate; `out`, when given, receives the model's output.
  nn::GateRecord routed(Mixture& mixture, int disabled = -1, at::Tensor* out = nullptr) const {
    nn::RouterLog log;
    nn::ForwardContext context;
    context.router_log = &log;
    context.disabled_expert = disabled;
    mixture.plug(model_.sockets());
    const at::Tensor output = model_.forward(input(), context);
    mixture.unplug(model_.sockets());
    if (out != nullptr) *out = output;
    return log.records.at(0);
  }

  static at::Tensor one_hot() {
    return at::one_hot(at::arange(kTokens).remainder(kExperts), kExperts).to(at::kDouble);
  }

  TinyModel model_{1};
};

constexpr const char* kOneNeighbour =
    "gate: {net: nearest, references: 6, neighbours: 1, temperature: 0.1}";

TEST_F(NearestGate, ATokenThatIsAReferenceGoesToItsExpertAlone) {
  Mixture mixture = filled(kOneNeighbour);
  EXPECT_TRUE(at::equal(routed(mixture).weights, one_hot()));
}

TEST_F(NearestGate, AHighTemperatureCountsReferences) {
  Mixture mixture =
      filled("gate: {net: nearest, references: 6, neighbours: 6, temperature: 1000000}");
  EXPECT_LT(max_difference(routed(mixture).weights, at::full({kTokens, kExperts}, 1.0 / 3)), 1e-5);
}

TEST_F(NearestGate, ExpertsWithoutAReferenceNearbyTakeNoPart) {
  for (const char* normalize : {"constant", "renormalize", "softmax_selected", "softmax_twice"}) {
    Mixture mixture = filled(std::string(kOneNeighbour) + ", top_k: 2, normalize: " + normalize);
    const nn::GateRecord record = routed(mixture);
    EXPECT_TRUE(at::equal(record.weights, one_hot())) << normalize;
    EXPECT_TRUE(at::equal(record.selected, one_hot().gt(0))) << normalize;
  }
}

TEST_F(NearestGate, WithoutTheOnlyExpertNearbyTheBaseSpeaks) {
  at::Tensor out;
  const at::Tensor base = model_.forward(input());
  for (const char* select : {"", ", top_k: 1, normalize: renormalize"}) {
    Mixture mixture = filled(std::string(kOneNeighbour) + select);
    const nn::GateRecord record = routed(mixture, /*disabled=*/1, &out);
    at::Tensor expected = one_hot();
    expected.select(1, 1).zero_();
    EXPECT_TRUE(at::equal(record.weights, expected));
    for (int64_t t = 0; t < kTokens; ++t)
      EXPECT_EQ(at::equal(out[t], base[t]), t % kExperts == 1) << t;
  }
}

TEST_F(NearestGate, TheMemoryIsNoParameterAndTravelsWithTheTensors) {
  Mixture mixture = filled(kOneNeighbour);
  for (const nn::NamedTensor& parameter : mixture.parameters())
    EXPECT_THAT(parameter.name, ::testing::Not(HasSubstr("gate.")));
  const std::vector<nn::NamedTensor> buffers = mixture.buffers();
  ASSERT_EQ(buffers.size(), 2U);
  EXPECT_EQ(buffers[0].name, "layers.0.self_attn.q_proj.gate.references");
  EXPECT_EQ(buffers[1].name, "layers.0.self_attn.q_proj.gate.reference_experts");
  Mixture other(mixture.spec(), model_.sockets(), 4, at::kDouble);
  other.copy_from(mixture);
  EXPECT_TRUE(at::equal(routed(other).weights, one_hot()));
}

TEST_F(NearestGate, ProjectionsThatShareTheirInputShareOneMemory) {
  Mixture mixture(read_section("{experts: {count: 3, rank: 2}, losses: [],"
                               " target_modules: [q_proj, k_proj, down_proj]," +
                               std::string(kOneNeighbour) + "}"),
                  model_.sockets(), 3, at::kDouble);
  EXPECT_EQ(mixture.sites().size(), 3U);
  EXPECT_EQ(mixture.buffers().size(), 4U);
}

TEST_F(NearestGate, AnEmptyMemoryIsRefusedWhereItIsAsked) {
  Mixture mixture(read_section(section(kOneNeighbour)), model_.sockets(), 3, at::kDouble);
  try {
    routed(mixture);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("is empty"));
    EXPECT_THAT(error.what(), HasSubstr("refit --net nearest"));
  }
}

TEST_F(NearestGate, FilesWithExpertsThatDoNotExistAreRefused) {
  for (const double wrong : {-1.0, 3.0, 0.5}) {
    const Mixture mixture = filled(kOneNeighbour);
    mixture.gates().at(0)->references()->values[4].fill_(wrong);
    const TempFolder folder;
    mixture.save(folder.path(), "tiny");
    try {
      Mixture::load(folder.path(), model_.sockets());
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorruptData);
      EXPECT_THAT(error.what(), HasSubstr("router.safetensors"));
      EXPECT_THAT(error.what(), HasSubstr("reference_experts"));
    }
  }
}

TEST_F(NearestGate, HeadsHaveToDivideWhatTheGateReads) {
  try {
    const Mixture mixture(
        read_section(section("gate: {net: nearest, references: 6, neighbours: 1, heads: 4}")),
        model_.sockets(), 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("heads: given 4"));
  }
}

}  // namespace
}  // namespace lmoe::test
