#include "text/bpe_merge.h"

#include <algorithm>
#include <functional>

#include "base/error.h"

namespace lmoe::text {

namespace {

constexpr size_t kShortWord = 24;
constexpr uint32_t kNone = UINT32_MAX;

/// Scans for the best pair each time: quickest for words of a few symbols.
void merge_short(const PairTable& merges, std::vector<TokenId>& symbols, size_t begin) {
  const Merge* found[kShortWord] = {};
  size_t count = symbols.size() - begin;
  TokenId* const word = symbols.data() + begin;
  for (size_t i = 0; i + 1 < count; ++i) found[i] = merges.find(word[i], word[i + 1]);
  while (count > 1) {
    size_t best = count;
    for (size_t i = 0; i + 1 < count; ++i) {
      if (found[i] != nullptr && (best == count || found[i]->rank < found[best]->rank)) best = i;
    }
    if (best == count) break;
    word[best] = found[best]->result;
    std::copy(word + best + 2, word + count, word + best + 1);
    std::copy(found + best + 2, found + count, found + best + 1);
    --count;
    if (best > 0) found[best - 1] = merges.find(word[best - 1], word[best]);
    if (best + 1 < count) found[best] = merges.find(word[best], word[best + 1]);
  }
  symbols.resize(begin + count);
}

/// A linked list of symbols and a heap of (rank, position); stale entries are dropped when they
/// surface.
class LongWord {
 public:
  LongWord(const PairTable& merges, std::vector<TokenId>& symbols, size_t begin)
      : merges_(merges), symbols_(symbols), begin_(begin) {
    const size_t count = symbols.size() - begin;
    LMOE_CHECK_ARG(count < kNone, "[tokenizer] one word of ", count, " symbols is too long");
    links_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      links_[i] = {i == 0 ? kNone : static_cast<uint32_t>(i - 1),
                   i + 1 == count ? kNone : static_cast<uint32_t>(i + 1)};
    }
  }

  void run() {
    for (uint32_t i = 0; i + 1 < links_.size(); ++i) {
      if (const Merge* merge = find(i)) heap_.push_back(entry(merge->rank, i));
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      const uint64_t top = heap_.back();
      heap_.pop_back();
      const auto at = static_cast<uint32_t>(top);
      const Merge* merge = at_word(at) == kGone ? nullptr : find(at);
      if (merge != nullptr && merge->rank == top >> 32) apply(at, merge->result);
    }
    const auto first = symbols_.begin() + static_cast<std::ptrdiff_t>(begin_);
    symbols_.erase(std::remove(first, symbols_.end(), kGone), symbols_.end());
  }

 private:
  static constexpr TokenId kGone = -1;
  struct Link {
    uint32_t previous, next;
  };

  static uint64_t entry(uint32_t rank, uint32_t at) { return (uint64_t{rank} << 32) | at; }
  TokenId& at_word(uint32_t at) { return symbols_[begin_ + at]; }

  const Merge* find(uint32_t at) {
    const uint32_t next = links_[at].next;
    return next == kNone ? nullptr : merges_.find(at_word(at), at_word(next));
  }

  void apply(uint32_t at, TokenId result) {
    const uint32_t gone = links_[at].next;
    at_word(at) = result;
    at_word(gone) = kGone;
    links_[at].next = links_[gone].next;
    if (links_[at].next != kNone) links_[links_[at].next].previous = at;
    push(at);
    if (links_[at].previous != kNone) push(links_[at].previous);
  }

  void push(uint32_t at) {
    if (const Merge* merge = find(at)) {
      heap_.push_back(entry(merge->rank, at));
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    }
  }

  const PairTable& merges_;
  std::vector<TokenId>& symbols_;
  size_t begin_;
  std::vector<Link> links_;
  std::vector<uint64_t> heap_;
};

}  // namespace

void merge_symbols(const PairTable& merges, std::vector<TokenId>& symbols, size_t begin) {
  const size_t count = symbols.size() - begin;
  if (count < 2) return;
  if (count <= kShortWord) return merge_short(merges, symbols, begin);
  LongWord(merges, symbols, begin).run();
}

}  // namespace lmoe::text
