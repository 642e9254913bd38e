// One vector for each document: packed together as alone, and nothing but its own tokens.
#include "runner/embed_documents.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "runner/packs.h"
#include "support/tiny_decoder.h"

namespace lmoe::runner {
namespace {

at::Tensor embed(const models::Decoder& decoder,
                 const std::vector<std::vector<int32_t>>& documents) {
  return embed_documents(decoder, documents, {});
}

TEST(EmbedDocuments, IsTheMeanOfTheFinalHiddenStates) {
  const auto decoder = test::tiny_decoder();
  const std::vector<std::vector<int32_t>> documents = {{3, 1, 4}, {15}, {9, 2, 6, 5}};
  const at::Tensor together = embed(*decoder, documents);
  ASSERT_EQ(together.sizes().vec(), (std::vector<int64_t>{3, 16}));
  for (size_t d = 0; d < documents.size(); ++d) {
    nn::ForwardContext context;
    context.segments = {{0, std::ssize(documents[d])}};
    const at::Tensor hidden =
        decoder->forward(at::tensor(documents[d], at::kInt).to(at::kLong), context);
    EXPECT_TRUE(at::allclose(together[static_cast<int64_t>(d)], hidden.mean(0), 1e-5, 1e-6)) << d;
  }
}

TEST(EmbedDocuments, TakesSeveralForwardsAndTellsHowFarItIs) {
  const auto decoder = test::tiny_decoder();
  std::vector<std::vector<int32_t>> documents;
  for (int i = 0; i < 30; ++i) documents.emplace_back(200, (i % 3) + 1);
  ASSERT_GT(30 * 200, kTokensPerForward);
  std::vector<int64_t> told;
  const at::Tensor rows = embed_documents(*decoder, documents, [&](int64_t done, int64_t total) {
    told.push_back(done);
    EXPECT_EQ(total, 30);
  });
  EXPECT_EQ(told, (std::vector<int64_t>{20, 30}));
  EXPECT_TRUE(at::allclose(rows[28], rows[1], 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(rows[29], rows[1], 1e-2, 1e-2));
}

TEST(EmbedDocuments, OfDocumentsBeyondThePositionsTheBeginningCounts) {
  const auto decoder = test::tiny_decoder();
  std::vector<int32_t> document(300, 7), beginning(256, 7);
  document[299] = 3;
  EXPECT_TRUE(at::equal(embed(*decoder, {document}), embed(*decoder, {beginning})));
  EXPECT_THROW(embed(*decoder, {{1}, {}}), Error);
}

}  // namespace
}  // namespace lmoe::runner
