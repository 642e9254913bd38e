// Good files with very many tensors. Opening one whose work grows with the square of their number
// would take many minutes; the limit of processor time ends the test long before.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "io/gguf.h"
#include "io/peft_folder.h"
#include "io/safetensors.h"
#include "io/strict_json.h"
#include "support/gguf_builder.h"
#include "support/temp_folder.h"

namespace lmoe::io {
namespace {

using test::GgufBuilder;

constexpr int64_t kTensors = 100'000;
constexpr uint64_t kTensorBytes = 64 * 64 * sizeof(float);
/// More than ten times what all tests of this file take together.
#ifdef __SANITIZE_ADDRESS__
constexpr rlim_t kProcessorSeconds = 300;
#else
constexpr rlim_t kProcessorSeconds = 60;
#endif

/// Equally long and different only at their ends, so that comparing two takes long.
std::string tensor_name(int64_t i) {
  return std::string(200, 'x') + "." + std::to_string(kTensors + i);
}

class LargeFiles : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_CPU, &limit), 0);
    limit.rlim_cur = std::min(limit.rlim_max, kProcessorSeconds);
    ASSERT_EQ(::setrlimit(RLIMIT_CPU, &limit), 0);
  }
  /// A file that begins with these bytes; the rest is a hole that takes no disk.
  fs::path write(const std::string& name, const std::string& head, uint64_t size) {
    fs::path path = folder_.path() / name;
    std::ofstream(path, std::ios::binary) << head;
    fs::resize_file(path, size);
    return path;
  }
  /// All tensors of [begin, end) in one file.
  fs::path write_safetensors_file(const std::string& name, int64_t begin, int64_t end) {
    std::string header = "{";
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t offset = static_cast<uint64_t>(i - begin) * kTensorBytes;
      header += concat(i > begin ? ",\"" : "\"", tensor_name(i),
                       R"(":{"dtype":"F32","shape":[64,64],"data_offsets":[)", offset, ",",
                       offset + kTensorBytes, "]}");
    }
    header += "}";
    return write(name, GgufBuilder::number<uint64_t>(header.size()) + header,
                 8 + header.size() + static_cast<uint64_t>(end - begin) * kTensorBytes);
  }
  static void claim_all(WeightSource& source) {
    EXPECT_EQ(source.names().size(), static_cast<size_t>(kTensors));
    for (int64_t i = 0; i < kTensors; ++i) source.claim(tensor_name(i), {64, 64});
    EXPECT_NO_THROW(source.check_all_claimed("test"));
  }
  test::TempFolder folder_;
};

TEST_F(LargeFiles, Safetensors) {
  const auto file = SafetensorsFile::open(write_safetensors_file("a.safetensors", 0, kTensors));
  claim_all(*file);
}

TEST_F(LargeFiles, SafetensorsInShards) {
  constexpr int64_t kShards = 8;
  std::string index = R"({"weight_map":{)";
  for (int64_t shard = 0; shard < kShards; ++shard) {
    const int64_t begin = shard * kTensors / kShards, end = (shard + 1) * kTensors / kShards;
    const std::string name = concat(shard, ".safetensors");
    write_safetensors_file(name, begin, end);
    for (int64_t i = begin; i < end; ++i)
      index += concat(i > 0 ? ",\"" : "\"", tensor_name(i), R"(":")", name, "\"");
  }
  write_file_atomically(folder_.path() / "model.safetensors.index.json", index + "}}");
  const auto source = open_safetensors_folder(folder_.path());
  claim_all(*source);
}

TEST_F(LargeFiles, Gguf) {
  GgufBuilder builder;
  std::vector<std::string> tokens;
  for (int64_t i = 0; i < kTensors; ++i) {
    tokens.push_back(concat("token ", i));
    builder.u32(concat("test.key.", i), static_cast<uint32_t>(i));
    builder.describe(tensor_name(i), {64, 64}, 0, static_cast<uint64_t>(i) * kTensorBytes);
  }
  builder.strings("tokenizer.ggml.tokens", tokens);
  const std::string head = builder.bytes();
  const auto file = GgufFile::open(write("a.gguf", head, head.size() + kTensors * kTensorBytes));
  EXPECT_EQ(file->get_strings("tokenizer.ggml.tokens"), tokens);
  EXPECT_EQ(file->require_int(concat("test.key.", kTensors - 1)), kTensors - 1);
  claim_all(*file);
}

TEST_F(LargeFiles, AdaptersThatNameEveryModule) {
  const std::array<float, 1> value = {1};
  const TensorView factor = {"", DType::kF32, {1, 1}, std::as_bytes(std::span(value))};
  std::vector<LoraPair> pairs;
  for (int64_t i = 0; i < kTensors / 2; ++i) pairs.push_back({tensor_name(i), factor, factor});
  LoraConfig config;
  config.rank = 1;
  write_peft_folder(folder_.path() / "a", config, pairs);
  const LoraFolder read = read_peft_folder(folder_.path() / "a");
  EXPECT_EQ(read.pairs.size(), pairs.size());
  EXPECT_EQ(read.config.target_modules.size(), pairs.size());
}

TEST_F(LargeFiles, JsonWithManyObjects) {
  std::string list = "[", object = "{";
  for (int64_t i = 0; i < kTensors; ++i) {
    list += i > 0 ? ",{}" : "{}";
    object += concat(i > 0 ? ",\"" : "\"", i, "\":{}");
  }
  EXPECT_EQ(parse_json(list + "]", "list").size(), static_cast<size_t>(kTensors));
  EXPECT_EQ(parse_large_json(object + "}", "object").size(), static_cast<size_t>(kTensors));
}

}  // namespace
}  // namespace lmoe::io
