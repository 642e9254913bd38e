// Remembers the ids of short words. Bounded, and safe to share between threads.
#pragma once

#include <array>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace lmoe::text {

class WordCache {
 public:
  static constexpr size_t kMaxWordBytes = 64;

  /// Appends the ids of `word` and returns true when it is known.
  bool find(std::string_view word, std::vector<TokenId>& out) const {
    const size_t hash = std::hash<std::string_view>()(word);
    const Shard& shard = shards_[hash % kShards];
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.words.find(word);
    if (it == shard.words.end()) return false;
    out.insert(out.end(), it->second.begin(), it->second.end());
    return true;
  }

  void insert(std::string_view word, const TokenId* begin, const TokenId* end) const {
    const size_t hash = std::hash<std::string_view>()(word);
    Shard& shard = shards_[hash % kShards];
    const std::lock_guard lock(shard.mutex);
    if (shard.words.size() >= kMaxWordsPerShard) shard.words.clear();
    shard.words.try_emplace(std::string(word), begin, end);
  }

 private:
  static constexpr size_t kShards = 16;
  static constexpr size_t kMaxWordsPerShard = 4096;

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::vector<TokenId>, Hash, std::equal_to<>> words;
  };
  mutable std::array<Shard, kShards> shards_;
};

}  // namespace lmoe::text
