// How threads share the pairs of tokens and experts: each takes lanes, works through a lane expert
// by expert in chunks that stay in the cache, and adds gradients of the factors up on its own.
//
// A is float or double.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "mixture/expert_pairs.h"
#include "mixture/expert_rows.h"

namespace lmoe::mixture {

/// Pairs worked on at once.
inline constexpr int64_t kChunk = 64;

/// Some pairs of one expert.
struct Chunk {
  int64_t expert, first, count;
  const int32_t* token;
  const uint8_t* is_first;
};

/// A buffer for one row of each pair of a chunk; a single token needs no more than its own.
template <class A>
std::vector<A> chunk_rows(const ExpertPairs& pairs, int64_t width) {
  return std::vector<A>(static_cast<size_t>(std::min(kChunk, pairs.size()) * width));
}

/// body(chunk) for all pairs of a lane.
template <class Body>
void for_each_chunk(const ExpertPairs& pairs, int64_t lane, const Body& body) {
  for (int64_t e = 0; e < pairs.experts; ++e) {
    const int64_t end = pairs.begin(lane, e + 1);
    for (int64_t first = pairs.begin(lane, e); first < end; first += kChunk)
      body(Chunk{e, first, std::min(kChunk, end - first), pairs.token.data() + first,
                 pairs.is_first.data() + first});
  }
}

/// body(lane), lanes spread over threads.
template <class Body>
void for_each_lane(int64_t lanes, const Body& body) {
  at::parallel_for(0, lanes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t lane = begin; lane < end; ++lane) body(lane);
  });
}

/// The rows of a chunk's tokens, [count, width].
template <class T, class A>
void gather(const Chunk& chunk, const T* from, int64_t width, A* to) {
  for (int64_t i = 0; i < chunk.count; ++i)
    load_row(from + chunk.token[i] * width, width, to + i * width);
}

/// Sums that every lane adds to: where they are in the end, and how long.
template <class A>
using SharedSums = std::vector<std::pair<A*, int64_t>>;

/// One lane's own part of them, beginning with zeros.
template <class A>
class LaneSums {
 public:
  explicit LaneSums(SharedSums<A> total) : total_(std::move(total)) {
    int64_t size = 0;
    for (const auto& [begin, count] : total_) size += count;
    memory_.assign(static_cast<size_t>(size), A(0));
    A* place = memory_.data();
    for (const auto& [begin, count] : total_) {
      own_.push_back(place);
      place += count;
    }
  }
  LaneSums(LaneSums&&) noexcept = default;
  LaneSums(const LaneSums&) = delete;

  const std::vector<A*>& own() const { return own_; }

  void add_to_total() const {
    for (size_t i = 0; i < total_.size(); ++i) {
      A* to = total_[i].first;
      const A* from = own_[i];
      at::parallel_for(0, total_[i].second, 1 << 15, [&](int64_t first, int64_t last) {
        add_row<A>(false, A(1), from + first, last - first, to + first);
      });
    }
  }

 private:
  SharedSums<A> total_;
  std::vector<A> memory_;
  std::vector<A*> own_;
};

/// body(lane, sums) for each lane; the first lane adds to the total at once.
template <class A, class Body>
void sum_over_lanes(int64_t lanes, const SharedSums<A>& total, const Body& body) {
  std::vector<A*> first;
  for (const auto& [begin, count] : total) first.push_back(begin);
  std::vector<LaneSums<A>> others;
  for (int64_t lane = 1; lane < lanes; ++lane) others.emplace_back(total);
  for_each_lane(lanes, [&](int64_t lane) {
    body(lane, lane == 0 ? first : others[static_cast<size_t>(lane - 1)].own());
  });
  for (const LaneSums<A>& lane : others) lane.add_to_total();
}

}  // namespace lmoe::mixture
