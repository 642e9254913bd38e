#include "nn/document_cache.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace lmoe::nn {
namespace {

at::Tensor ids_of(int64_t count, int64_t first) {
  return at::arange(first, first + count, at::kLong);
}

TEST(DocumentCache, KeepsWhatFitsAndNoMore) {
  const at::Tensor ids = ids_of(4, 1), others = ids_of(5, 2);
  DocumentCache cache(4 * 8 + 4 * 3 * 4);
  cache.keep(ids, at::ones({4, 3}));
  EXPECT_FALSE(cache.is_full());
  cache.keep(others, at::ones({5, 3}));
  EXPECT_TRUE(cache.is_full());
  EXPECT_TRUE(at::equal(cache.find(ids), at::ones({4, 3})));
  EXPECT_FALSE(cache.find(others).defined());
  EXPECT_FALSE(cache.find(ids_of(3, 1)).defined());
  EXPECT_EQ(cache.documents(), 1);
  EXPECT_EQ(cache.bytes(), 4 * 8 + 4 * 3 * 4);
}

TEST(DocumentCache, TheSameTokensWithOtherPassagesAreAnotherDocument) {
  const at::Tensor ids = ids_of(4, 1);
  const Passages passages = {{1, 3, 1}}, others = {{1, 3, 2}};
  DocumentCache cache(1 << 20);
  cache.keep(ids, at::ones({4, 3}), passages);
  EXPECT_FALSE(cache.find(ids).defined());
  EXPECT_FALSE(cache.find(ids, others).defined());
  cache.keep(ids, at::zeros({4, 3}));
  EXPECT_TRUE(at::equal(cache.find(ids, passages), at::ones({4, 3})));
  EXPECT_TRUE(at::equal(cache.find(ids), at::zeros({4, 3})));
}

TEST(DocumentCache, KeepsInAFileWhatDoesNotFitInMemory) {
  const test::TempFolder folder;
  ScratchFile file(folder.path(), 1 << 16);
  DocumentCache cache(4 * 8 + 4 * 3 * 4, &file);
  const std::vector<at::Tensor> ids = {ids_of(4, 1), ids_of(5, 2), ids_of(7, 3)};
  const auto hidden_of = [](const at::Tensor& own, at::ScalarType type) {
    return at::sin(at::arange(own.size(0) * 3, at::kDouble) + own[0].item<int64_t>())
        .to(type)
        .view({own.size(0), 3});
  };
  for (const at::Tensor& own : ids) cache.keep(own, hidden_of(own, at::kBFloat16));
  cache.forget_pages();
  for (const at::Tensor& own : ids) {
    ASSERT_TRUE(cache.find(own).defined());
    EXPECT_TRUE(at::equal(cache.find(own), hidden_of(own, at::kBFloat16)));
  }
  EXPECT_EQ(cache.documents(), 3);
  EXPECT_FALSE(cache.is_full());
  const int64_t in_file = cache.file_bytes();
  EXPECT_GT(in_file, 0);
  EXPECT_LE(in_file, (5 + 7) * 3 * 2);

  const at::Tensor large = at::ones({1 << 14, 3}), many = ids_of(1 << 14, 9);
  cache.keep(many, large);
  EXPECT_TRUE(cache.is_full()) << "more than the file may hold";
  EXPECT_FALSE(cache.find(many).defined());
  EXPECT_EQ(cache.file_bytes(), in_file);
  EXPECT_TRUE(at::equal(cache.find(ids[2]), hidden_of(ids[2], at::kBFloat16)));
}

/// Hidden states that say which token they belong to, and its position.
class HiddenOfDocuments : public ::testing::Test {
 protected:
  HiddenOfDocuments() { at::set_num_threads(1); }

  at::Tensor run(const std::vector<at::Tensor>& documents) {
    std::vector<Segment> segments;
    for (const at::Tensor& document : documents)
      segments.push_back(
          {.start = segments.empty() ? 0 : segments.back().start + segments.back().length,
           .length = document.size(0)});
    computed_ = 0;
    return hidden_of_documents(at::cat(documents), segments, cache_,
                               [&](const at::Tensor& ids, ForwardContext& context) {
                                 computed_ += ids.size(0);
                                 EXPECT_EQ(context.positions.size(0), ids.size(0));
                                 return at::stack({ids, context.positions}, 1).to(at::kFloat);
                               });
  }

  static at::Tensor expected(const std::vector<at::Tensor>& documents) {
    std::vector<at::Tensor> all;
    for (const at::Tensor& ids : documents)
      all.push_back(at::stack({ids, at::arange(ids.size(0), at::kLong)}, 1).to(at::kFloat));
    return at::cat(all);
  }

  DocumentCache cache_{1 << 20};
  int64_t computed_ = 0;
};

TEST_F(HiddenOfDocuments, AreComputedForThoseThatAreNotKept) {
  const at::Tensor a = ids_of(20, 0), b = ids_of(30, 50), c = ids_of(25, 7);
  for (const auto& [documents, tokens] :
       {std::pair{std::vector{a, b}, 50}, std::pair{std::vector{b, a}, 0},
        std::pair{std::vector{b, c, a}, 25}, std::pair{std::vector{c, a, b}, 0}}) {
    EXPECT_TRUE(at::equal(run(documents), expected(documents)));
    EXPECT_EQ(computed_, tokens);
  }
}

TEST_F(HiddenOfDocuments, AreTheSameFromMemoryAndFromAFile) {
  const test::TempFolder folder;
  ScratchFile file(folder.path(), 1 << 16);
  cache_ = DocumentCache(30 * 8 + 30 * 2 * 4, &file);
  const at::Tensor a = ids_of(20, 0), b = ids_of(30, 50), c = ids_of(25, 7);
  for (const auto& [documents, tokens] :
       {std::pair{std::vector{a, b}, 50}, std::pair{std::vector{b, c, a}, 25},
        std::pair{std::vector{c, a, b}, 0}, std::pair{std::vector{b}, 0}}) {
    const at::Tensor hidden = run(documents);
    EXPECT_TRUE(at::equal(hidden, expected(documents)));
    EXPECT_EQ(computed_, tokens);
    hidden.zero_();  // nobody else's
  }
  EXPECT_GT(cache_.file_bytes(), 0);
}

TEST_F(HiddenOfDocuments, AreNeverComputedByAFewRows) {
  const at::Tensor a = ids_of(20, 0), few = ids_of(5, 50);
  EXPECT_TRUE(at::equal(run({few}), expected({few})));
  EXPECT_EQ(cache_.documents(), 0);
  run({a});
  EXPECT_TRUE(at::equal(run({a, few}), expected({a, few})));
  EXPECT_EQ(computed_, 25);
  run({few, a});
  EXPECT_EQ(computed_, 0);
}

}  // namespace
}  // namespace lmoe::nn
