#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "io/safetensors_cases.h"
#include "support/temp_folder.h"

namespace lmoe::io {
namespace {

using test::SafetensorsCase;
using test::TempFolder;
using test::Verdict;

TEST(SafetensorsHostile, EveryCaseHasItsVerdict) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.safetensors";
  for (const SafetensorsCase& item : test::safetensors_cases()) {
    write_file_atomically(path, item.bytes);
    if (item.verdict == Verdict::kValid) {
      EXPECT_NO_THROW(SafetensorsFile::open(path)) << item.name;
    } else {
      EXPECT_THROW(SafetensorsFile::open(path), Error) << item.name;
    }
  }
}

/// Damage at random places gives a file or an Error, never anything else.
TEST(SafetensorsHostile, DamagedHeaders) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.safetensors";
  const std::string whole = read_file(fs::path(LMOE_FIXTURES) / "io" / "quantised.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof(header));
  Rng rng(1);
  int refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string bytes = whole;
    for (int i = 0; i < 2; ++i) bytes[rng.below(header + 8)] = static_cast<char>(rng.below(256));
    std::ofstream(path, std::ios::binary) << bytes;
    try {
      SafetensorsFile::open(path);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 250);
}

TEST(SafetensorsHostile, OnlyRegularFiles) {
  const TempFolder folder;
  EXPECT_THROW(SafetensorsFile::open(folder.path()), Error);
  EXPECT_THROW(SafetensorsFile::open("/dev/zero"), Error);
  EXPECT_THROW(SafetensorsFile::open(folder.path() / "nothing"), Error);
  const fs::path fifo = folder.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THROW(SafetensorsFile::open(fifo), Error);
}

TEST(SafetensorsHostile, TruncationWhileMappedIsAnError) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.safetensors";
  write_file_atomically(path, test::safetensors_cases().front().bytes);
  const auto file = SafetensorsFile::open(path);
  EXPECT_NO_THROW(file->claim("a", {1}));
  fs::resize_file(path, 10);
  EXPECT_THROW(file->claim("a", {1}), Error);
}

TEST(SafetensorsHostile, TypesWeDoNotReadAreNamed) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.safetensors";
  write_file_atomically(path, test::one_tensor("F8_E4M3", "[4]", "[0,4]"));
  try {
    SafetensorsFile::open(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("F8_E4M3"), std::string::npos);
  }
}

/// A folder with two shards, x in the first, y in the second, and the given index.
class ShardedFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    const float value = 1;
    const auto bytes = std::as_bytes(std::span(&value, 1));
    write_safetensors(folder_.path() / "1.safetensors", {{"x", DType::kF32, {1}, bytes}});
    write_safetensors(folder_.path() / "2.safetensors", {{"y", DType::kF32, {1}, bytes}});
  }
  std::unique_ptr<WeightSource> open(const std::string& index) {
    write_file_atomically(folder_.path() / "model.safetensors.index.json", index);
    return open_safetensors_folder(folder_.path());
  }
  TempFolder folder_;
};

TEST_F(ShardedFolder, OpensAllShards) {
  const auto source = open(
      R"({"metadata":{"total_size":8},"weight_map":{"x":"1.safetensors","y":"2.safetensors"}})");
  EXPECT_EQ(source->names(), (std::vector<std::string>{"x", "y"}));
  source->claim("y", {1});
  EXPECT_THROW(source->check_all_claimed("test"), Error);
  source->ignore("x");
  EXPECT_NO_THROW(source->check_all_claimed("test"));
}

TEST_F(ShardedFolder, WrongIndexIsAnError) {
  EXPECT_THROW(open(R"({"weight_map":{"x":"1.safetensors","y":"3.safetensors"}})"), Error)
      << "missing shard";
  EXPECT_THROW(
      open(R"({"weight_map":{"x":"1.safetensors","y":"2.safetensors","z":"2.safetensors"}})"),
      Error);
  EXPECT_THROW(open(R"({"weight_map":{"x":"1.safetensors","y":"../2.safetensors"}})"), Error)
      << "path";
  EXPECT_THROW(open(R"({"weight_map":{"x":"1.safetensors","y":"./2.safetensors"}})"), Error)
      << "shard twice";
  EXPECT_THROW(open(R"({"weight_map":{"x":"1.safetensors","y":".."}})"), Error);
  EXPECT_THROW(
      open(R"({"weight_map":{"x":"1.safetensors","y":"2.safetensors","x":"2.safetensors"}})"),
      Error);
  EXPECT_THROW(open(R"({"weight_map":{"x":"1.safetensors","y":2}})"), Error);
  EXPECT_THROW(open(R"({"weight_map":[]})"), Error);
  EXPECT_THROW(open(R"({"weight_map":{}})"), Error);
  EXPECT_THROW(open("[]"), Error);
  EXPECT_THROW(open("{"), Error);
  EXPECT_THROW(open(test::repeat("[", 100'000)), Error);
}

TEST_F(ShardedFolder, TensorInTwoShardsIsAnError) {
  const float value = 1;
  const auto bytes = std::as_bytes(std::span(&value, 1));
  write_safetensors(folder_.path() / "2.safetensors",
                    {{"y", DType::kF32, {1}, bytes}, {"x", DType::kF32, {1}, bytes}});
  EXPECT_THROW(open(R"({"weight_map":{"x":"1.safetensors","y":"2.safetensors"}})"), Error);
}

TEST_F(ShardedFolder, ATruncatedShardIsNoticedByItsOwnTensorsOnly) {
  const auto source = open(R"({"weight_map":{"x":"1.safetensors","y":"2.safetensors"}})");
  fs::resize_file(folder_.path() / "2.safetensors", 10);
  EXPECT_NO_THROW(source->claim("x", {1})) << "asking every shard at every tensor is quadratic";
  EXPECT_THROW(source->claim("y", {1}), Error);
  EXPECT_THROW(source->check_not_truncated(), Error);
}

TEST(SafetensorsFolder, PicklesAreRefused) {
  const TempFolder folder;
  EXPECT_THROW(open_safetensors_folder(folder.path()), Error);
  write_file_atomically(folder.path() / "pytorch_model.bin", "x");
  try {
    open_safetensors_folder(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace lmoe::io
