// PEFT itself loads what we write.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "base/json.h"
#include "io/peft_folder.h"
#include "support/temp_folder.h"

namespace lmoe::io {
namespace {

constexpr const char* kScript = R"(
import json, sys, warnings
warnings.filterwarnings("error", message=".*(missing|unexpected).*")
from peft import PeftModel
from transformers import LlamaConfig, LlamaForCausalLM
model = LlamaForCausalLM(LlamaConfig(vocab_size=8, hidden_size=4, intermediate_size=6, num_hidden_layers=1,
                                     num_attention_heads=2, num_key_value_heads=1))
model = PeftModel.from_pretrained(model, sys.argv[1])
result = {name.removeprefix("base_model.model."): {"scaling": module.scaling["default"],
                                                   "a": module.lora_A["default"].weight.tolist(),
                                                   "b": module.lora_B["default"].weight.tolist()}
          for name, module in model.named_modules() if hasattr(module, "lora_A")}
json.dump(result, open(sys.argv[1] + "/result.json", "w"))
)";

TEST(PeftPython, LoadsWhatWeWrite) {
  const test::TempFolder folder;
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const auto view = [&](std::vector<int64_t> shape) {
    TensorView tensor{"", DType::kF32, std::move(shape), {}};
    tensor.bytes = std::as_bytes(std::span(values).first(static_cast<size_t>(tensor.elements())));
    return tensor;
  };
  LoraConfig config;
  config.rank = 2;
  config.alpha = 3;
  config.use_rslora = true;
  config.rank_pattern = {{"down_proj", 1}};
  const std::vector<LoraPair> pairs = {
      {"model.layers.0.self_attn.k_proj", view({2, 4}), view({2, 2})},
      {"model.layers.0.mlp.down_proj", view({1, 6}), view({4, 1})}};
  write_peft_folder(folder.path(), config, pairs);
  write_file_atomically(folder.path() / "ask.py", kScript);
  const std::string command = std::string(LMOE_PYTHON) + " " + (folder.path() / "ask.py").string() +
                              " " + folder.path().string();
  ASSERT_EQ(std::system(command.c_str()), 0);
  const Json result = Json::parse(read_file(folder.path() / "result.json"));
  EXPECT_EQ(result.size(), 2U);
  EXPECT_EQ(result.at(pairs[0].module).at("a"), Json({{1, 2, 3, 4}, {5, 6, 7, 8}}));
  EXPECT_EQ(result.at(pairs[0].module).at("b"), Json({{1, 2}, {3, 4}}));
  EXPECT_EQ(result.at(pairs[1].module).at("a"), Json({{1, 2, 3, 4, 5, 6}}));
  for (const LoraPair& pair : read_peft_folder(folder.path()).pairs)
    EXPECT_DOUBLE_EQ(result.at(pair.module).at("scaling").get<double>(), pair.scaling);
}

}  // namespace
}  // namespace lmoe::io
