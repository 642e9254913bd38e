#include "io/gguf.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "kernels/every_target.h"

namespace lmoe::io {
namespace {

const fs::path kFixtures = fs::path(LMOE_FIXTURES) / "io";

std::vector<float> floats(const WeightSource& source, const std::string& name) {
  const TensorView& view = *source.find(name);
  std::vector<float> values(static_cast<size_t>(view.elements()));
  to_float32(view, values);
  return values;
}

TEST(Gguf, DequantisesLikeThePackageBitForBit) {
  const auto file = GgufFile::open(kFixtures / "quantised.gguf");
  const auto expected = SafetensorsFile::open(kFixtures / "quantised.safetensors");
  EXPECT_EQ(file->names().size(), 12U);
  kernels::test::on_every_target([&] {
    for (const std::string& name : file->names()) {
      const TensorView& view = *file->find(name);
      EXPECT_EQ(dtype_name(view.dtype), name);
      EXPECT_EQ(view.shape, expected->find(name)->shape) << name;
      EXPECT_EQ(floats(*file, name), floats(*expected, name)) << name;
    }
  });
}

TEST(Gguf, ReadsMetadataOfEveryType) {
  const auto file = GgufFile::open(kFixtures / "quantised.gguf");
  EXPECT_EQ(file->require_string("general.architecture"), "llama");
  EXPECT_EQ(file->require_int("test.u32"), 7);
  EXPECT_EQ(file->get_int("test.i8", 0), -3);
  EXPECT_EQ(std::get<uint64_t>(file->metadata().at("test.u64")), (uint64_t{1} << 63) + 1);
  EXPECT_EQ(file->get_double("test.f32", 0), 0.25);
  EXPECT_EQ(file->get_double("test.f64", 0), 1e300);
  EXPECT_EQ(file->get_double("test.u32", 0), 7);
  EXPECT_TRUE(file->get_bool("test.bool", false));
  EXPECT_EQ(file->get_string("test.string", ""), "grüße");
  EXPECT_EQ(file->get_ints("test.ints"), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(file->get_ints("test.u32"), (std::vector<int64_t>{7}));
  EXPECT_EQ(file->get_doubles("test.doubles"), (std::vector<double>{0.5, -1.5}));
  EXPECT_EQ(file->get_strings("test.strings"), (std::vector<std::string>{"a", "", "ß"}));
  EXPECT_EQ(std::get<std::vector<bool>>(file->metadata().at("test.bools")),
            (std::vector<bool>{true, false}));
}

TEST(Gguf, LookUpsCheckPresenceAndType) {
  const auto file = GgufFile::open(kFixtures / "quantised.gguf");
  EXPECT_EQ(file->get_int("nothing", 5), 5);
  EXPECT_TRUE(file->get_strings("nothing").empty());
  EXPECT_THROW(file->require_int("nothing"), Error);
  EXPECT_THROW(file->require_string("test.u32"), Error);
  EXPECT_THROW(file->get_int("test.string", 0), Error);
  EXPECT_THROW(file->get_int("test.u64", 0), Error);
  EXPECT_THROW(file->get_int("test.f32", 0), Error);
  EXPECT_THROW(file->get_bool("test.u32", false), Error);
  EXPECT_THROW(file->get_strings("test.ints"), Error);
}

}  // namespace
}  // namespace lmoe::io
