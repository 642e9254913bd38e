// Logits of every family against transformers (tests/fixtures/models/generate.py).
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "arch/base_model.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "models/decoder.h"
#include "support/gradient_check.h"
#include "support/tiny_decoder.h"

namespace lmoe::models {
namespace {

const fs::path kFixtures = fs::path(LMOE_FIXTURES) / "models";

/// The promise of the project: largest difference relative to the largest logit.
constexpr double kAllowed = 1e-4;

class Expected {
 public:
  explicit Expected(const std::string& name)
      : file_(io::SafetensorsFile::open(kFixtures / "expected" / (name + ".safetensors"))) {}

  at::Tensor get(const std::string& name) const {
    const io::TensorView* view = file_->find(name);
    if (view == nullptr) throw std::runtime_error("fixture has no tensor " + name);
    const at::ScalarType dtype = view->dtype == io::DType::kI64   ? at::kLong
                                 : view->dtype == io::DType::kF64 ? at::kDouble
                                                                  : at::kFloat;
    return at::from_blob(const_cast<std::byte*>(view->bytes.data()), view->shape, dtype).clone();
  }
  at::Tensor get(const std::string& name, int index) const {
    return get(name + "." + std::to_string(index));
  }

 private:
  std::unique_ptr<io::SafetensorsFile> file_;
};

class Family : public testing::TestWithParam<const char*> {};

TEST_P(Family, logits_equal_those_of_transformers) {
  const c10::NoGradGuard no_grad;
  const auto base = arch::open_base_model((kFixtures / GetParam()).string());
  const auto decoder = Decoder::load(*base, {});
  EXPECT_EQ(decoder->parameter_count(), base->parameter_count());
  const Expected expected(GetParam());
  for (int i = 0; i < 2; ++i) {
    const at::Tensor ids = expected.get("ids", i);
    nn::ForwardContext context = test::packed_documents({ids.size(0)});
    const at::Tensor logits = decoder->logits(decoder->forward(ids, context));
    EXPECT_LT(test::relative_error(logits, expected.get("logits", i)), kAllowed);
  }
}

TEST_P(Family, two_documents_packed_equal_each_alone) {
  const c10::NoGradGuard no_grad;
  const auto base = arch::open_base_model((kFixtures / GetParam()).string());
  const auto decoder = Decoder::load(*base, {});
  const Expected expected(GetParam());
  const at::Tensor first = expected.get("ids", 0), second = expected.get("ids", 1);
  nn::ForwardContext context = test::packed_documents({second.size(0), first.size(0)});
  const at::Tensor logits = decoder->logits(decoder->forward(at::cat({second, first}), context));
  EXPECT_LT(
      test::relative_error(logits, at::cat({expected.get("logits", 1), expected.get("logits", 0)})),
      kAllowed);
}

INSTANTIATE_TEST_SUITE_P(families,
                         Family,
                         testing::Values("llama2",
                                         "llama3",
                                         "llama_bias",
                                         "llama_linear",
                                         "llama_dynamic",
                                         "llama_yarn",
                                         "smollm2",
                                         "mistral",
                                         "qwen2",
                                         "qwen2_window",
                                         "qwen3",
                                         "gemma2"),
                         [](const auto& test) { return std::string(test.param); });

TEST(SmolLm2, logits_equal_those_of_transformers_from_the_same_gguf) {
  const c10::NoGradGuard no_grad;
  const auto base = arch::open_base_model("smollm2-135m");
  const auto decoder = Decoder::load(*base, {});
  const Expected expected("smollm2_135m");
  const at::Tensor columns = expected.get("columns");
  for (int i = 0; i < 3; ++i) {
    const at::Tensor ids = expected.get("ids", i);
    nn::ForwardContext context = test::packed_documents({ids.size(0)});
    const at::Tensor logits = decoder->logits(decoder->forward(ids, context));
    EXPECT_LT(test::relative_error(logits.index_select(1, columns), expected.get("selected", i)),
              kAllowed);
    EXPECT_LT(test::relative_error(logits.gather(1, expected.get("top_ids", i)),
                                   expected.get("top_logits", i)),
              kAllowed);
    EXPECT_LT(
        test::relative_error(logits.to(at::kDouble).logsumexp(1), expected.get("log_sum_exp", i)),
        kAllowed);
  }
}

TEST(SmolLm2, in_bfloat16_stays_close_to_float32) {
  const c10::NoGradGuard no_grad;
  const auto base = arch::open_base_model("smollm2-135m");
  const auto decoder = Decoder::load(*base, {.dtype = at::kBFloat16});
  EXPECT_EQ(decoder->weight_bytes(), 2 * decoder->parameter_count() + 2 * 61 * 576);
  const Expected expected("smollm2_135m");
  const at::Tensor ids = expected.get("ids", 0);
  nn::ForwardContext context = test::packed_documents({ids.size(0)});
  const at::Tensor logits = decoder->logits(decoder->forward(ids, context));
  EXPECT_LT(test::relative_error(logits.index_select(1, expected.get("columns")),
                                 expected.get("selected", 0)),
            0.05);
}

}  // namespace
}  // namespace lmoe::models
