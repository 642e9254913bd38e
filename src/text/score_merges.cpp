#include "text/score_merges.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace lmoe::text {

namespace {

struct Candidate {
  double score;
  int64_t left_length, right_length;  ///< in characters
  TokenId left, right;
};

int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

}  // namespace

std::vector<std::pair<std::string, std::string>> merges_from_scores(
    const std::vector<std::pair<std::string, TokenId>>& vocab, const std::vector<double>& scores) {
  std::unordered_map<std::string_view, size_t> index;
  for (size_t i = 0; i < vocab.size(); ++i) index.emplace(vocab[i].first, i);
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < vocab.size(); ++i) {
    const std::string_view token = vocab[i].first;
    const size_t begin = candidates.size();
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = index.find(token.substr(0, cut));
      const auto right = index.find(token.substr(cut));
      if (left == index.end() || right == index.end()) continue;
      candidates.push_back({scores[i], count_characters(left->first),
                            count_characters(right->first), vocab[left->second].second,
                            vocab[right->second].second});
    }
    std::sort(candidates.begin() + static_cast<std::ptrdiff_t>(begin), candidates.end(),
              [](const Candidate& a, const Candidate& b) {
                return std::tie(a.left, a.right) < std::tie(b.left, b.right);
              });
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) {
                     return std::tie(a.score, a.left_length, a.right_length) >
                            std::tie(b.score, b.left_length, b.right_length);
                   });
  std::unordered_map<TokenId, const std::string*> text_of;
  for (const auto& [token, id] : vocab) text_of[id] = &token;
  std::vector<std::pair<std::string, std::string>> merges;
  merges.reserve(candidates.size());
  for (const Candidate& c : candidates) merges.emplace_back(*text_of[c.left], *text_of[c.right]);
  return merges;
}

}  // namespace lmoe::text
