#include "nn/document_prompts.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace lmoe::nn {

void PromptSocket::check_free() const {
  LMOE_CHECK_ARG(!is_taken(),
                 "[attach] another mixture puts prompts in front of documents; unplug it first");
}

void PromptSocket::plug(std::shared_ptr<const DocumentPrompts> prompts) {
  check_free();
  prompts_ = std::move(prompts);
}

LongerDocuments put_in_front(const at::Tensor& prompts,
                             const at::Tensor& embedded,
                             const std::vector<Segment>& segments) {
  const int64_t positions = prompts.size(1);
  LongerDocuments longer;
  std::vector<at::Tensor> parts, rows;
  int64_t begun = 0, start = 0;
  for (const Segment& segment : segments) {
    LMOE_ASSERT(segment.passages.empty());  // which the rows in front would move
    Segment own = segment;
    own.start = start;
    if (segment.past == 0) {
      own.length += positions;
      parts.push_back(prompts[begun++]);
    } else {
      own.past += positions;
    }
    if (segment.prompt >= 0) own.prompt += positions;
    parts.push_back(embedded.narrow(/*dim=*/0, segment.start, segment.length));
    start += own.length;
    rows.push_back(at::arange(start - segment.length, start, at::kLong));
    longer.segments.push_back(own);
  }
  LMOE_ASSERT(begun == prompts.size(0));
  longer.hidden = at::cat(parts);
  longer.token_rows = at::cat(rows).to(embedded.device());
  return longer;
}

void add_token_records(RouterLog& longer, const at::Tensor& token_rows, RouterLog& log) {
  for (GateRecord& record : longer.records) {
    for (at::Tensor* tensor : {&record.probabilities, &record.weights, &record.selected,
                               &record.logits, &record.log_draw, &record.input})
      if (tensor->defined()) *tensor = tensor->index_select(/*dim=*/0, token_rows);
    log.records.push_back(std::move(record));
  }
}

}  // namespace lmoe::nn
