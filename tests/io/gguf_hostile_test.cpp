#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "io/gguf.h"
#include "support/gguf_builder.h"
#include "support/temp_folder.h"

namespace lmoe::io {
namespace {

using test::GgufBuilder;
using test::TempFolder;

class GgufHostile : public ::testing::Test {
 protected:
  std::unique_ptr<GgufFile> open(const std::string& bytes) {
    const fs::path path = folder_.path() / "a.gguf";
    write_file_atomically(path, bytes);
    return GgufFile::open(path);
  }
  std::unique_ptr<GgufFile> open(const GgufBuilder& builder) { return open(builder.bytes()); }
  TempFolder folder_;
};

GgufBuilder good() {
  return GgufBuilder{}
      .string("general.architecture", "llama")
      .tensor("a", {2, 3}, {1, 2, 3, 4, 5, 6});
}

/// One tensor "a" described like this, with 4096 bytes of data behind it.
GgufBuilder described(const std::vector<uint64_t>& dims, uint32_t type = 0, uint64_t offset = 0) {
  GgufBuilder builder;
  builder.describe("a", dims, type, offset);
  builder.data.resize(4096);
  return builder;
}

TEST_F(GgufHostile, TheBuilderMakesGoodFiles) {
  const auto file = open(good());
  EXPECT_EQ(file->find("a")->shape, (std::vector<int64_t>{3, 2}));
  EXPECT_NO_THROW(open(GgufBuilder{}));
  EXPECT_NO_THROW(open(described({32, 2, 2, 2})));
  GgufBuilder version2 = good();
  version2.version = 2;
  EXPECT_NO_THROW(open(version2));
}

TEST_F(GgufHostile, EveryTruncationIsAnError) {
  const std::string whole = good().bytes();
  const size_t end_of_data = whole.size() - 8;  // 24 bytes of data are padded to 32
  for (size_t size = 0; size < end_of_data; ++size)
    EXPECT_THROW(open(whole.substr(0, size)), Error) << size;
}

TEST_F(GgufHostile, MagicVersionAndByteOrder) {
  GgufBuilder builder = good();
  builder.magic = 0x46554746;
  EXPECT_THROW(open(builder), Error);
  for (const uint32_t version : {0U, 1U, 4U, 0x03000000U, UINT32_MAX}) {
    builder = good();
    builder.version = version;
    EXPECT_THROW(open(builder), Error) << version;
  }
}

TEST_F(GgufHostile, CountsNearTheLimit) {
  for (const uint64_t count : {uint64_t{1000}, uint64_t{1} << 32, uint64_t{1} << 63, UINT64_MAX}) {
    GgufBuilder builder = good();
    builder.tensors = count;
    EXPECT_THROW(open(builder), Error) << count;
    builder = good();
    builder.pairs = count;
    EXPECT_THROW(open(builder), Error) << count;
  }
}

TEST_F(GgufHostile, Dimensions) {
  EXPECT_THROW(open(described({})), Error);
  EXPECT_THROW(open(described({1, 1, 1, 1, 1})), Error);
  EXPECT_THROW(open(described(std::vector<uint64_t>(9, 1))), Error);
  EXPECT_THROW(open(described({0})), Error);
  EXPECT_THROW(open(described({4, 0})), Error);
  EXPECT_THROW(open(described({UINT64_MAX})), Error) << "-1";
  EXPECT_THROW(open(described({uint64_t{1} << 63})), Error);
  EXPECT_THROW(open(described({uint64_t{1} << 32, uint64_t{1} << 32})), Error)
      << "product wraps to 0";
  EXPECT_THROW(open(described({uint64_t{1} << 62})), Error) << "bytes wrap to 0";
  EXPECT_THROW(open(described({(uint64_t{1} << 62) + 1})), Error) << "bytes wrap to 4";
  EXPECT_THROW(open(described({1025})), Error) << "beyond the file";
  EXPECT_THROW(open(described({48}, /*type=*/2)), Error) << "half a block of q4_0";
  EXPECT_THROW(open(described({32}, /*type=*/12)), Error) << "half a block of q4_K";
}

TEST_F(GgufHostile, TooLargeShapesNameFileAndTensor) {
  try {
    open(described({uint64_t{1} << 32, uint64_t{1} << 32}));
    ADD_FAILURE();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(".gguf: tensor \"a\": given shape [4294967296, 4294967296] of F32"),
              std::string::npos)
        << message;
  }
}

TEST_F(GgufHostile, TensorTypes) {
  for (const uint32_t type : {4U, 5U, 31U, 100U, UINT32_MAX})
    EXPECT_THROW(open(described({256}, type)), Error) << type;
  try {
    constexpr uint32_t kQ2K = 10;
    open(described({256}, kQ2K));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("Q2_K"), std::string::npos);
  }
}

TEST_F(GgufHostile, Offsets) {
  EXPECT_NO_THROW(open(described({8}, 0, 4064)));
  EXPECT_THROW(open(described({8}, 0, 4)), Error) << "not aligned";
  EXPECT_THROW(open(described({8}, 0, 4096)), Error) << "at the end";
  EXPECT_THROW(open(described({16}, 0, 4064)), Error) << "over the end";
  EXPECT_THROW(open(described({8}, 0, UINT64_MAX - 31)), Error) << "wraps";
  GgufBuilder builder = described({16});
  builder.describe("b", {8}, 0, 32);
  EXPECT_THROW(open(builder), Error) << "overlap";
  builder = described({16});
  builder.describe("b", {8}, 0, 64);
  EXPECT_NO_THROW(open(builder));
}

TEST_F(GgufHostile, Alignment) {
  for (const uint32_t alignment : {0U, 3U, 1U << 31, UINT32_MAX})
    EXPECT_THROW(open(good().u32("general.alignment", alignment)), Error) << alignment;
  EXPECT_THROW(open(good().string("general.alignment", "32")), Error);
  GgufBuilder wide;
  wide.alignment = 64;
  EXPECT_NO_THROW(
      open(wide.u32("general.alignment", 64).tensor("a", {1}, {1}).tensor("b", {1}, {2})));
}

TEST_F(GgufHostile, LengthsBeyondTheFile) {
  for (const uint64_t length : {uint64_t{1000}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 7}) {
    const std::string text = GgufBuilder::number(length);
    EXPECT_THROW(open(GgufBuilder{}.raw("a", 8, text)), Error);
    for (const uint32_t item : {0U, 4U, 6U, 7U, 8U, 10U, 12U})
      EXPECT_THROW(open(GgufBuilder{}.raw("a", 9, GgufBuilder::number(item) + text)), Error)
          << item;
  }
}

TEST_F(GgufHostile, ValueTypes) {
  EXPECT_THROW(open(GgufBuilder{}.raw("a", 13, std::string(64, '\0'))), Error);
  EXPECT_THROW(open(GgufBuilder{}.raw("a", UINT32_MAX, std::string(64, '\0'))), Error);
  EXPECT_THROW(open(GgufBuilder{}.raw("a", 9, GgufBuilder::number(99U) + std::string(64, '\0'))),
               Error);
  EXPECT_THROW(open(GgufBuilder{}.raw("a", 7, "\2")), Error) << "bool of 2";
  std::string nested;
  for (int i = 0; i < 10'000; ++i)
    nested += GgufBuilder::number(9U) + GgufBuilder::number(uint64_t{1});
  EXPECT_THROW(open(GgufBuilder{}.raw("a", 9, nested)), Error);
}

TEST_F(GgufHostile, Names) {
  EXPECT_THROW(open(good().tensor("a", {1}, {1})), Error) << "duplicate tensor";
  EXPECT_THROW(open(good().tensor("", {1}, {1})), Error) << "empty name";
  EXPECT_THROW(open(good().tensor(std::string(5000, 'x'), {1}, {1})), Error) << "long name";
  EXPECT_THROW(open(good().string("general.architecture", "llama")), Error) << "duplicate key";
  EXPECT_THROW(open(good().string("", "x")), Error) << "empty key";
}

TEST_F(GgufHostile, TruncationWhileMappedIsAnError) {
  const auto file = open(good());
  fs::resize_file(folder_.path() / "a.gguf", 20);
  EXPECT_THROW(file->claim("a", {3, 2}), Error);
}

}  // namespace
}  // namespace lmoe::io
