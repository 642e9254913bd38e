#include "train/trainer_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "support/temp_folder.h"

namespace lmoe::train {
namespace {

using ::testing::HasSubstr;

TrainerState sample() {
  TrainerState state;
  state.step = 3;
  state.total_steps = 9;
  state.total_tokens = 1234;
  state.elapsed_seconds = 1.0 / 3.0;
  state.data = {{"row", 5}};
  state.config = {
      {"learning_rate", 0.1}, {"output_dir", "a"}, {"mixture", {{"experts", {{"rank", 8}}}}}};
  state.config["frozen_weights"] = "int8";
  state.rounded_to = arch::FrozenWeights::kInt8;
  state.base_name = "b";
  state.base_hash = {std::string(64, 'f'), std::string(64, 'e')};
  state.dtype = "Float";
  state.threads = 2;
  state.kernels = "AVX2";
  return state;
}

std::string refusal(const TrainerState& now) {
  try {
    check_same_run(sample(), now);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(TrainerState, WritesAndReadsEveryField) {
  const test::TempFolder folder;
  write_file_atomically(folder.path() / "trainer_state.json", write_trainer_state(sample()).dump());
  const TrainerState read = read_trainer_state(folder.path());
  EXPECT_EQ(write_trainer_state(read), write_trainer_state(sample()));
  EXPECT_EQ(read.elapsed_seconds, sample().elapsed_seconds);
}

TEST(TrainerState, BrokenFilesAreErrors) {
  const test::TempFolder folder;
  EXPECT_THROW(read_trainer_state(folder.path()), Error);
  const auto with = [&](const char* key, const Json& value) {
    Json json = write_trainer_state(sample());
    json[key] = value;
    write_file_atomically(folder.path() / "trainer_state.json", json.dump());
  };
  for (const auto& [key, value] : std::vector<std::pair<const char*, Json>>{
           {"format", 1}, {"step", 99}, {"step", "x"}, {"base_weights", 7}}) {
    with(key, value);
    EXPECT_THROW(read_trainer_state(folder.path()), Error) << key << " " << value;
  }
  write_file_atomically(folder.path() / "trainer_state.json", "{\"format\"");
  EXPECT_THROW(read_trainer_state(folder.path()), Error);
}

TEST(CheckSameRun, NamesWhatDiffers) {
  EXPECT_EQ(refusal(sample()), "no error");
  TrainerState other = sample();
  other.base_hash.weights = std::string(64, '0');
  EXPECT_THAT(refusal(other), HasSubstr("base model differs: the SHA-256 of the weights of b"));
  other.base_hash.tokenizer = std::string(64, '0');
  EXPECT_THAT(refusal(other), HasSubstr("of the weights and tokenizer of b"));
  other = sample();
  other.dtype = "BFloat16";
  EXPECT_THAT(refusal(other), HasSubstr("type of the frozen model differs"));
  other = sample();
  other.total_steps = 10;
  EXPECT_THAT(refusal(other), HasSubstr("number of steps differs: checkpoint 9, given 10"));
  other = sample();
  other.config["mixture"]["experts"]["rank"] = 4;
  EXPECT_THAT(refusal(other),
              HasSubstr("recipe differs: mixture.experts.rank: checkpoint 8, given 4"));
  other = sample();
  other.config.erase("learning_rate");
  EXPECT_THAT(refusal(other), HasSubstr("learning_rate: checkpoint 0.1, given null"));
}

TrainerState with_frozen_weights(arch::FrozenWeights frozen, bool is_rounding) {
  TrainerState state = sample();
  state.config["frozen_weights"] = enum_name(frozen);
  state.rounded_to = is_rounding ? std::optional(frozen) : std::nullopt;
  return state;
}

TEST(CheckSameRun, FrozenWeightsMayBeKeptInAnotherWayWhereTheirValuesAreTheSame) {
  using arch::FrozenWeights;
  const TrainerState dense = with_frozen_weights(FrozenWeights::kDense, false),
                     file = with_frozen_weights(FrozenWeights::kFile, false),
                     int8 = with_frozen_weights(FrozenWeights::kInt8, true),
                     int4 = with_frozen_weights(FrozenWeights::kInt4, true),
                     as_stored = with_frozen_weights(FrozenWeights::kBf16, false);
  for (const TrainerState* a : {&dense, &file, &as_stored})
    for (const TrainerState* b : {&dense, &file, &as_stored})
      EXPECT_NO_THROW(check_same_run(*a, *b));
  for (const TrainerState* other : {&dense, &file, &as_stored, &int4}) {
    EXPECT_THROW(check_same_run(int8, *other), Error);
    EXPECT_THROW(check_same_run(*other, int8), Error);
  }
  EXPECT_THAT(refusal(file), HasSubstr("frozen_weights differs: checkpoint int8, values rounded to "
                                       "int8; given file, the file's values"));
}

TEST(CheckSameRun, SaysThatAnotherInstructionSetMayGiveOtherLastBits) {
  const auto said = [](const TrainerState& saved, const TrainerState& now) {
    testing::internal::CaptureStderr();
    check_same_run(saved, now);
    return testing::internal::GetCapturedStderr();
  };
  TrainerState other = sample();
  EXPECT_EQ(said(sample(), other), "");
  other.kernels = "AVX3";
  EXPECT_EQ(said(sample(), other),
            "warning: resuming with the kernels of AVX3, the checkpoint was made with those of "
            "AVX2: the last bits of sums may differ; hint: LMOE_KERNELS=AVX2\n");
}

TEST(CheckSameRun, WhereResultsGoMayDiffer) {
  TrainerState other = sample();
  other.config["output_dir"] = "b";
  other.threads = 7;
  EXPECT_EQ(refusal(other), "no error");
}

}  // namespace
}  // namespace lmoe::train
