// The base model that comes with lmoe, as `make setup` puts it beside the program.
#include <gtest/gtest.h>

#include <cmath>

#include "arch/base_model.h"
#include "arch/tensor_names.h"
#include "base/error.h"

namespace lmoe::arch {
namespace {

TEST(SmolLM2, OpensByName) {
  const auto model = open_base_model("smollm2-135m");
  EXPECT_EQ(model->name, "smollm2-135m");
  EXPECT_EQ(model->config.family, "llama");
  EXPECT_EQ(model->config.hidden_size, 576);
  EXPECT_EQ(model->config.intermediate_size, 1536);
  EXPECT_EQ(model->config.num_hidden_layers, 30);
  EXPECT_EQ(model->config.num_attention_heads, 9);
  EXPECT_EQ(model->config.num_key_value_heads, 3);
  EXPECT_EQ(model->config.head_dim, 64);
  EXPECT_EQ(model->config.vocab_size, 49152);
  EXPECT_EQ(model->config.max_position_embeddings, 8192);
  EXPECT_DOUBLE_EQ(model->config.rope_theta, 100000);
  EXPECT_NEAR(model->config.rms_norm_eps, 1e-5, 1e-11);
  EXPECT_TRUE(model->config.tie_word_embeddings);
  EXPECT_TRUE(model->rope_rows_interleaved);
  EXPECT_EQ(model->config.eos_token_ids, std::vector<int64_t>{2});
  EXPECT_EQ(model->bos_token, "<|im_start|>");
  EXPECT_EQ(model->eos_token, "<|im_end|>");
  ASSERT_NE(model->tokenizer, nullptr);
  EXPECT_EQ(model->tokenizer->vocab_size(), 49152);
  const std::string text = "Hello <|im_end|> 12 größe\n";
  EXPECT_EQ(model->tokenizer->decode(model->tokenizer->encode(text), /*skip_special=*/false), text);
  ASSERT_TRUE(model->chat_template);
  EXPECT_NE(model->chat_template->find("<|im_start|>"), std::string::npos);
}

TEST(SmolLM2, HasThePublishedNumberOfParameters) {
  const auto model = open_base_model("smollm2-135m");
  EXPECT_EQ(model->parameter_count(), 134'515'008);
  int64_t stored = 0;
  for (const std::string& name : model->source->names())
    stored += model->source->find(name)->elements();
  EXPECT_EQ(stored, 134'515'008);
}

TEST(SmolLM2, EveryTensorReads) {
  const auto model = open_base_model("smollm2-135m");
  EXPECT_THROW(model->check_all_read(), Error);
  std::vector<float> values;
  for (const ExpectedTensor& tensor : expected_tensors(model->config)) {
    int64_t elements = 1;
    for (const int64_t size : tensor.shape) elements *= size;
    values.assign(static_cast<size_t>(elements), NAN);
    model->read(tensor.role, tensor.layer, tensor.shape, values);
    double sum = 0;
    for (const float value : values) sum += std::abs(value);
    EXPECT_TRUE(std::isfinite(sum) && sum > 0)
        << static_cast<int>(tensor.role) << " " << tensor.layer;
  }
  EXPECT_NO_THROW(model->check_all_read());
}

}  // namespace
}  // namespace lmoe::arch
