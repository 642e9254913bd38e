// Experts of passages, and mixtures that cannot keep passages apart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "spec/mixture_spec.h"

namespace lmoe::spec {
namespace {

using ::testing::HasSubstr;

MixtureSpec read(const std::string& section) {
  ReadReport report;
  return read_mixture(parse_config(section, "r.yaml"), report);
}

template <class Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "accepted";
}

std::string refusal_of(const std::string& section) {
  return refusal([&] { read(section); });
}

std::string of_data(const std::string& section, int64_t passages) {
  return refusal([&] { check_passages(read(section), passages); });
}

constexpr const char* kTwo =
    "{experts: {count: 2}, losses: [], select: {private_experts: 1, private_by: passage, groups: "
    "2}}";

TEST(ExpertsOfPassages, MayLeaveOtherTokensAsTheyAre) {
  EXPECT_EQ(read(kTwo).private_total(), 2);
  EXPECT_EQ(refusal_of("{experts: {count: 5}, losses: [], top_k: 1,"
                       " select: {private_experts: 2, private_by: passage, groups: 2}}"),
            "accepted");
  EXPECT_THAT(refusal_of("{experts: {count: 4}, losses: [], top_k: 3,"
                         " select: {private_experts: 2, private_by: passage, groups: 2}}"),
              HasSubstr("mixture.select.k: given 3, expected at most 2"));
  EXPECT_THAT(refusal_of("{experts: {count: 3}, losses: [],"
                         " select: {private_experts: 2, private_by: passage, groups: 2}}"),
              HasSubstr("for each of 2 passages, which leaves -1 of 3"));
  EXPECT_THAT(refusal_of("{experts: {count: 5}, losses: [], top_k: 2,"
                         " select: {private_experts: 2, private_by: passage, groups: 2}}"),
              HasSubstr("leaves 1 of 5 experts for all: expected at least 2"));
  EXPECT_THAT(refusal_of("{method: mixlora, experts: {count: 2}, losses: [], top_k: 1,"
                         " select: {private_experts: 1, private_by: passage, groups: 2}}"),
              HasSubstr("given attach ffn_block, expected projection"));
  EXPECT_THAT(refusal_of("{experts: {count: 2}, losses: [{kind: cv2}], select: {private_experts: 1,"
                         " private_by: passage, groups: 2}}"),
              HasSubstr("cv2: would count tokens of no passage"));
}

TEST(ExpertsOfPassages, NeedToKnowHowManyThereAre) {
  EXPECT_THAT(refusal_of("{experts: {count: 2}, losses: [], select: {private_experts: 1,"
                         " private_by: passage}}"),
              HasSubstr("mixture.select.groups is missing"));
  EXPECT_THAT(refusal_of("{losses: [], select: {private_by: passage}}"),
              HasSubstr("private_by cannot act"));
}

TEST(DataWithPassages, FitTheMixture) {
  EXPECT_EQ(of_data(kTwo, 2), "accepted");
  EXPECT_EQ(of_data(kTwo, 1), "accepted");
  EXPECT_EQ(of_data("{method: x-lora, experts: {count: 2}}", 9), "accepted");
  EXPECT_THAT(of_data(kTwo, 0), HasSubstr("private_by passage cannot act: given data without"));
  EXPECT_THAT(of_data(kTwo, 3), HasSubstr("given passage 3, expected at most 2"));
  EXPECT_THAT(of_data("{gate: {pool: prompt}}", 1), HasSubstr("gate.pool prompt would let"));
  EXPECT_THAT(of_data("{prompts: {count: 4, length: 2, select: 1}}", 1),
              HasSubstr("mixture.prompts would let"));
  EXPECT_THAT(of_data("{method: mixlora-switch}", 1), HasSubstr("select.capacity would let"));
  EXPECT_EQ(of_data("{method: mixlora-switch}", 0), "accepted");
}

}  // namespace
}  // namespace lmoe::spec
