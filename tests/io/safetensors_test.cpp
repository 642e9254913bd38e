#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "support/temp_folder.h"

namespace lmoe::io {
namespace {

using test::TempFolder;

const fs::path kFixtures = fs::path(LMOE_FIXTURES) / "io";

std::vector<float> floats(const WeightSource& source, const std::string& name) {
  const TensorView* view = source.find(name);
  if (view == nullptr) throw std::runtime_error("no tensor " + name);
  std::vector<float> values(static_cast<size_t>(view->elements()));
  to_float32(*view, values);
  return values;
}

TEST(Safetensors, ReadsWhatThePackageWrote) {
  const auto file = SafetensorsFile::open(kFixtures / "half.safetensors");
  EXPECT_EQ(file->metadata().at("format"), "pt");
  EXPECT_EQ(file->find("half")->shape, (std::vector<int64_t>{256, 256}));
  EXPECT_EQ(file->find("half")->dtype, DType::kF16);
  EXPECT_EQ(file->find("scalar")->shape_text(), "[]");
  EXPECT_EQ(floats(*file, "scalar"), std::vector<float>{3.5F});
  EXPECT_TRUE(floats(*file, "empty").empty());
  EXPECT_EQ(file->find("nothing"), nullptr);
}

TEST(Safetensors, HalvesConvertExactly) {
  const auto file = SafetensorsFile::open(kFixtures / "half.safetensors");
  const auto expected = SafetensorsFile::open(kFixtures / "half_values.safetensors");
  for (const char* name : {"half", "brain"}) {
    const std::vector<float> got = floats(*file, name);
    const std::vector<float> want = floats(*expected, name);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      const bool same = std::isnan(want[i])
                            ? std::isnan(got[i])
                            : got[i] == want[i] && std::signbit(got[i]) == std::signbit(want[i]);
      ASSERT_TRUE(same) << name << " " << i << ": " << got[i] << " " << want[i];
    }
  }
}

TEST(Safetensors, RoundTrip) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.safetensors";
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::vector<int32_t> ids = {7};
  write_safetensors(path,
                    {{"b \"quoted\"", DType::kF32, {2, 3}, std::as_bytes(std::span(values))},
                     {"a", DType::kI32, {}, std::as_bytes(std::span(ids))},
                     {"none", DType::kF16, {0}, {}}},
                    {{"step", "3"}});
  const auto file = SafetensorsFile::open(path);
  EXPECT_EQ(file->names(), (std::vector<std::string>{"b \"quoted\"", "a", "none"}));
  EXPECT_EQ(floats(*file, "b \"quoted\""), values);
  EXPECT_EQ(file->metadata().at("step"), "3");
  EXPECT_THROW(floats(*file, "a"), Error) << "integers are not converted";
  uint64_t header = 0;
  std::memcpy(&header, read_file(path).data(), 8);
  EXPECT_EQ(header % 8, 0U) << "data must start aligned";
}

TEST(Safetensors, ImpossibleWritesLeaveNothing) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.safetensors";
  const std::vector<float> values = {1, 2};
  const auto bytes = std::as_bytes(std::span(values));
  EXPECT_THROW(write_safetensors(path, {{"a", DType::kF32, {3}, bytes}}), Error);
  EXPECT_THROW(
      write_safetensors(path, {{"a", DType::kF32, {2}, bytes}, {"a", DType::kF32, {2}, bytes}}),
      Error);
  EXPECT_THROW(write_safetensors(path, {{"__metadata__", DType::kF32, {2}, bytes}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"\xff", DType::kF32, {2}, bytes}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"a", DType::kQ4_0, {32}, bytes}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"a", DType::kF32, {-2}, bytes}}), Error);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(WeightSource, ClaimsNameWhatIsWrong) {
  const auto file = SafetensorsFile::open(kFixtures / "half.safetensors");
  const auto message = [&](const std::string& name, const std::vector<int64_t>& shape) {
    try {
      file->claim(name, shape);
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  EXPECT_NE(message("halb", {256, 256}).find("nearest is \"half\""), std::string::npos);
  EXPECT_NE(message("half", {256, 128}).find("[256, 256], expected [256, 128]"), std::string::npos);
  EXPECT_EQ(message("half", {-1, 256}), "");
  try {
    file->check_all_claimed("load_base");
    FAIL();
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("brain"), std::string::npos);
    EXPECT_EQ(what.find("half,"), std::string::npos);
  }
}

TEST(ToFloat32, SizesMustAgree) {
  std::vector<float> out(2);
  const std::vector<float> values = {1, 2, 3};
  const auto bytes = std::as_bytes(std::span(values));
  EXPECT_THROW(to_float32({"a", DType::kF32, {3}, bytes}, out), Error);
  EXPECT_THROW(to_float32({"a", DType::kF32, {2}, bytes}, out), Error);
  EXPECT_THROW(to_float32({"a", DType::kQ8_0, {2}, bytes}, out), Error);
}

}  // namespace
}  // namespace lmoe::io
