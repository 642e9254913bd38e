// Names and paths of base models, and files damaged at random.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "arch/base_model.h"
#include "base/error.h"
#include "base/files.h"
#include "base/rng.h"
#include "support/temp_folder.h"

namespace lmoe::arch {
namespace {

const fs::path kModels = fs::path(LMOE_FIXTURES) / "arch" / "models";

TEST(OpenBaseModel, NamesAndPathsThatAreNoModel) {
  const auto message = [](const std::string& name) {
    try {
      open_base_model(name);
      return std::string();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kNotFound);
      return std::string(error.what());
    }
  };
  EXPECT_NE(message("smollm2-135").find("nearest is \"smollm2-135m\""), std::string::npos);
  EXPECT_NE(message("/nowhere/model").find("expected a GGUF file, a Hugging Face folder or one of"),
            std::string::npos);
  const test::TempFolder empty;
  EXPECT_THROW(open_base_model(empty.path().string()), Error);
  EXPECT_THROW(open_base_model((kModels / "qwen2" / "model.safetensors").string()), Error);
}

TEST(OpenBaseModel, FolderOfModelsFromTheEnvironment) {
  const test::TempFolder folder;
  fs::copy_file(kModels / "qwen2.gguf", folder.path() / "smollm2-135m.gguf");
  ::setenv("LMOE_MODELS", folder.path().c_str(), 1);
  const auto model = open_base_model("smollm2-135m");
  EXPECT_EQ(model->path, (folder.path() / "smollm2-135m.gguf").string());
  EXPECT_EQ(known_base_models().front().second, model->path);
  ::unsetenv("LMOE_MODELS");
}

/// Damage at random places gives a model or an Error, never anything else.
TEST(OpenBaseModel, DamagedGgufFiles) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "m.gguf";
  const std::string whole = read_file(kModels / "qwen2.gguf");
  Rng rng(1);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string bytes = whole;
    // The first 12,000 bytes are the metadata and the descriptions of the tensors.
    for (int i = 0; i < 3; ++i) bytes[rng.below(12'000)] = static_cast<char>(rng.below(256));
    std::ofstream(path, std::ios::binary) << bytes;
    try {
      open_base_model(path.string());
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace lmoe::arch
