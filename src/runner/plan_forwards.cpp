#include "runner/plan_forwards.h"

#include <algorithm>

#include "runner/packs.h"

namespace lmoe::runner {

std::vector<std::vector<Piece>> plan_forwards(std::span<const decode::StepInput> inputs,
                                              bool stay_whole,
                                              int64_t extra) {
  std::vector<std::vector<Piece>> forwards;
  int64_t room = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const int64_t size = std::ssize(inputs[i].ids);
    for (int64_t first = 0; first < size;) {
      if (room <= 0) {
        forwards.emplace_back();
        room = kTokensPerForward;
      }
      if (first == 0) room = std::max<int64_t>(room - extra, 1);
      const int64_t count = stay_whole ? size : std::min(room, size - first);
      forwards.back().push_back(
          {i, static_cast<size_t>(first), static_cast<size_t>(count), first + count == size});
      room -= count;
      first += count;
    }
  }
  return forwards;
}

}  // namespace lmoe::runner
