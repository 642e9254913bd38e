// Opening a base with the mixture of a run folder, and refusing one of another base.
#include "runner/loaded_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "io/manifest.h"
#include "runner/base_record.h"
#include "support/temp_folder.h"

namespace lmoe::runner {
namespace {

std::string fixture(const std::string& name) {
  return (fs::path(LMOE_FIXTURES) / "models" / name).string();
}

/// A run folder with a random mixture for the base called `name`; returns the scores it gives.
std::vector<float> make_run(const fs::path& folder, const std::string& name) {
  const auto model = load_model({.base = fixture(name), .dtype = ComputeType::kF32});
  spec::MixtureSpec spec;
  spec.target_modules = {"v_proj", "up_proj"};
  spec.experts.count = 2;
  spec.experts.rank = 2;
  mixture::Mixture mixture(spec, model->decoder->projection_groups(), 1);
  {
    const c10::NoGradGuard no_grad;
    for (const nn::NamedTensor& parameter : mixture.parameters())
      at::Tensor(parameter.tensor).add_(0.3 * at::randn(parameter.tensor.sizes()));
  }
  mixture.save(folder, model->base->name);
  write_file_atomically(folder / "base.json",
                        describe_base(*model->base, model->base->content_hash()).dump());
  io::write_manifest(folder);
  mixture.plug(model->decoder->projection_groups());
  return model->steps->score(std::vector<std::vector<int32_t>>{{5, 9, 20, 3, 7}})[0].logprobs;
}

std::string message_of(const LoadOptions& options) {
  try {
    load_model(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(LoadModel, RoundsTheBaseAsTrainingDid) {
  const test::TempFolder folder;
  make_run(folder.path(), "llama2");
  const auto exact =
      load_model({.base = fixture("llama2"), .run = folder.path(), .dtype = ComputeType::kF32});
  EXPECT_TRUE(exact->decoder->lm_head().is_dense());
  const auto record =
      describe_base(*exact->base, exact->base->content_hash(), arch::FrozenWeights::kBf16);
  write_file_atomically(folder.path() / "base.json", record.dump());
  io::write_manifest(folder.path());
  const auto rounded =
      load_model({.base = fixture("llama2"), .run = folder.path(), .dtype = ComputeType::kF32});
  EXPECT_FALSE(rounded->decoder->lm_head().is_dense());
}

TEST(LoadModel, a_run_gives_the_same_scores_again_with_or_without_naming_its_base) {
  const test::TempFolder folder;
  const std::vector<float> expected = make_run(folder.path(), "llama3");
  const std::vector<std::vector<int32_t>> text = {{5, 9, 20, 3, 7}};
  for (const std::string& base : {fixture("llama3"), std::string()}) {
    const auto model = load_model({.base = base, .run = folder.path(), .dtype = ComputeType::kF32});
    EXPECT_EQ(model->steps->score(text)[0].logprobs, expected);
    EXPECT_EQ(model->steps->router()->expert_names.size(), 2u);
  }
  const auto plain = load_model({.base = fixture("llama3"), .dtype = ComputeType::kF32});
  EXPECT_EQ(plain->mixture, nullptr);
  EXPECT_NE(plain->steps->score(text)[0].logprobs, expected);
}

TEST(LoadModel, tells_how_far_it_is) {
  const test::TempFolder folder;
  make_run(folder.path(), "llama3");
  std::vector<std::string> seen;
  const auto note = [&](const std::string& what) {
    return [&seen, what](int64_t done, int64_t total) {
      EXPECT_LE(done, total);
      if (done == total) seen.push_back(what + " " + std::to_string(total));
    };
  };
  const auto model = load_model({.run = folder.path(),
                                 .dtype = ComputeType::kBf16,
                                 .on_hash = note("hash"),
                                 .on_read = note("read")});
  const int64_t parameters = model->base->parameter_count();
  EXPECT_THAT(seen, testing::ElementsAre("hash " + std::to_string(4 * parameters),
                                         "read " + std::to_string(2 * parameters)));
}

TEST(LoadModel, a_run_of_another_base_is_refused_with_the_difference) {
  const test::TempFolder folder;
  make_run(folder.path(), "llama3");
  using testing::HasSubstr;
  // Same shapes, other weights; then other shapes.
  EXPECT_THAT(message_of({.base = fixture("llama_linear"), .run = folder.path()}),
              HasSubstr("the SHA-256 of its weights is not that of"));
  EXPECT_THAT(message_of({.base = fixture("smollm2"), .run = folder.path()}),
              HasSubstr("hidden_size is 32"));
}

TEST(LoadModel, folders_that_are_no_runs_are_refused) {
  const test::TempFolder folder;
  using testing::HasSubstr;
  EXPECT_THAT(message_of({.base = fixture("llama3"), .run = folder.path()}),
              HasSubstr("has neither manifest.json nor a complete checkpoint"));
  io::write_manifest(folder.path());
  EXPECT_THAT(message_of({.base = fixture("llama3"), .run = folder.path()}),
              HasSubstr("has no base.json"));
  for (const char* content : {"{", "[]", "{\"name\": 3}"}) {
    write_file_atomically(folder.path() / "base.json", content);
    io::write_manifest(folder.path());
    EXPECT_THAT(message_of({.base = fixture("llama3"), .run = folder.path()}),
                HasSubstr("base.json: expected a JSON object"));
  }
  EXPECT_THAT(message_of({}), HasSubstr("no model named"));
}

TEST(LoadModel, a_changed_file_of_a_run_is_named_and_one_of_the_users_is_not) {
  const test::TempFolder folder;
  make_run(folder.path(), "llama3");
  write_file_atomically(folder.path() / "notes.txt", "mine");
  EXPECT_EQ(message_of({.run = folder.path()}), "no error");
  write_file_atomically(folder.path() / "mixture.yaml",
                        read_file(folder.path() / "mixture.yaml") + "\n");
  EXPECT_THAT(message_of({.run = folder.path()}), testing::HasSubstr("file mixture.yaml: given"));
}

TEST(LoadModel, an_unfinished_run_is_its_newest_checkpoint) {
  const test::TempFolder folder;
  const fs::path checkpoint = folder.path() / "checkpoints" / "step-000003";
  const std::vector<float> expected = make_run(checkpoint, "llama3");
  const auto model = load_model({.run = folder.path(), .dtype = ComputeType::kF32});
  EXPECT_EQ(model->run, checkpoint);
  EXPECT_EQ(model->steps->score(std::vector<std::vector<int32_t>>{{5, 9, 20, 3, 7}})[0].logprobs,
            expected);
}

TEST(ComputeType, has_the_names_people_use) {
  EXPECT_EQ(compute_type("auto"), ComputeType::kAuto);
  for (const char* name : {"f32", "float32"}) EXPECT_EQ(compute_type(name), ComputeType::kF32);
  for (const char* name : {"bf16", "bfloat16"}) EXPECT_EQ(compute_type(name), ComputeType::kBf16);
  EXPECT_THROW(compute_type("float16"), Error);
}

TEST(ComputeType, explicit_choices_are_kept) {
  EXPECT_EQ(choose_dtype(ComputeType::kF32), at::kFloat);
  EXPECT_EQ(choose_dtype(ComputeType::kBf16), at::kBFloat16);
}

}  // namespace
}  // namespace lmoe::runner
