#include "mixture/allowed_experts.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace lmoe::mixture {

std::vector<TokenGroup> token_groups(const std::vector<nn::Segment>& segments,
                                     const spec::SelectSpec& select) {
  std::vector<TokenGroup> all;
  const auto add = [&](int64_t index, int64_t start, int64_t length) {
    if (length > 0) all.push_back({index, start, length});
  };
  for (const nn::Segment& segment : segments) {
    if (select.private_by == spec::PrivateBy::kRole) {
      if (segment.prompt < 0) continue;
      const int64_t asked = std::clamp<int64_t>(segment.prompt - segment.past, 0, segment.length);
      add(kPromptGroup, segment.start, asked);
      add(kAnswerGroup, segment.start + asked, segment.length - asked);
      continue;
    }
    if (select.private_by == spec::PrivateBy::kPassage) {
      for (const Passage& passage :
           passages_within(segment.passages, segment.past, segment.length)) {
        LMOE_CHECK_ARG(passage.number <= select.private_groups(), "[route] passage ",
                       passage.number, " reached a gate that has experts for ",
                       select.private_groups(), " passages");
        add(passage.number - 1, segment.start + passage.begin, passage.end - passage.begin);
      }
      continue;
    }
    if (segment.task < 0) continue;
    LMOE_CHECK_ARG(segment.task < select.private_groups(), "[route] a document of task ",
                   segment.task, " reached a gate that has experts for ", select.private_groups(),
                   " tasks");
    add(segment.task, segment.start, segment.length);
  }
  return all;
}

at::Tensor forbidden_experts(const nn::ForwardContext& context,
                             int64_t tokens,
                             int64_t experts,
                             const spec::SelectSpec& select) {
  if (select.private_experts == 0) return {};
  const int64_t groups = select.private_groups(), own = select.private_experts;
  at::Tensor forbidden = at::zeros({tokens, experts}, at::TensorOptions().dtype(at::kBool));
  forbidden.narrow(/*dim=*/1, 0, groups * own).fill_(true);
  for (const TokenGroup& group : token_groups(context.segments, select)) {
    forbidden.narrow(/*dim=*/0, group.start, group.length)
        .narrow(/*dim=*/1, group.index * own, own)
        .fill_(false);
  }
  return forbidden;
}

}  // namespace lmoe::mixture
