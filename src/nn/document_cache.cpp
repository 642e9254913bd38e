#include "nn/document_cache.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace lmoe::nn {
namespace {

/// Measured with MKL of PyTorch 2.13 on AVX2: products of up to 3 rows with one thread, and up to
/// 11 with two, end in other bits than the same rows of a larger one.
constexpr int64_t kFewRowsPerThread = 16;

}  // namespace

at::Tensor DocumentCache::find(const at::Tensor& ids, const Passages& passages) const {
  const auto found = documents_.find(key(ids, passages));
  return found == documents_.end() ? at::Tensor() : found->second;
}

void DocumentCache::keep(const at::Tensor& ids,
                         const at::Tensor& hidden,
                         const Passages& passages) {
  if (!hidden.device().is_cpu())
    fail(ErrorCode::kUnsupported, "[document_cache] documents are kept in CPU memory alone: given ",
         hidden.device(), "; hint: forward without the cache");
  std::string document = key(ids, passages);
  if (documents_.count(document) > 0) return;
  const auto own = static_cast<int64_t>(ids.nbytes());
  const auto size = static_cast<int64_t>(hidden.nbytes()) + own;
  const bool fits = size <= left_;
  at::Tensor kept = fits ? hidden.detach().clone() : to_file(hidden);
  if (!kept.defined()) {
    is_full_ = true;
    return;
  }
  documents_.emplace(std::move(document), std::move(kept));
  bytes_ += fits ? size : own;
  if (fits) left_ -= size;
}

at::Tensor DocumentCache::to_file(const at::Tensor& hidden) {
  if (file_ == nullptr) return {};
  std::byte* place = file_->allocate(static_cast<int64_t>(hidden.nbytes()));
  if (place == nullptr) {
    if (!is_full_ && !file_->refusal().empty())
      log().warn(
          "the file of kept documents in {} cannot grow: {}; those that do not fit are "
          "computed each time",
          file_->folder().string(), file_->refusal());
    return {};
  }
  file_bytes_ += static_cast<int64_t>(hidden.nbytes());
  at::Tensor kept = at::from_blob(place, hidden.sizes(), hidden.detach().options());
  return kept.copy_(hidden.detach());
}

void DocumentCache::forget_pages() const {
  if (file_ != nullptr) file_->forget_pages();
}

std::string DocumentCache::key(const at::Tensor& ids, const Passages& passages) {
  const at::Tensor whole = ids.to(at::kCPU).contiguous();
  std::string key(static_cast<const char*>(whole.const_data_ptr()), whole.nbytes());
  for (const Passage& passage : passages)
    key += concat("|", passage.begin, ",", passage.end, ",", passage.number);
  return key;
}

at::Tensor hidden_of_documents(
    const at::Tensor& ids,
    const std::vector<Segment>& segments,
    DocumentCache& cache,
    const std::function<at::Tensor(const at::Tensor& ids, ForwardContext& context)>& compute) {
  const auto ids_of = [&](const Segment& segment) {
    return ids.narrow(/*dim=*/0, segment.start, segment.length);
  };
  std::vector<at::Tensor> all;
  int64_t missing = 0;
  for (const Segment& segment : segments) {
    all.push_back(cache.find(ids_of(segment), segment.passages));
    if (!all.back().defined()) missing += segment.length;
  }
  const auto joined = [&] {
    at::Tensor copy = at::cat(all);
    cache.forget_pages();
    return copy;
  };
  if (missing == 0) return joined();
  const int64_t few = kFewRowsPerThread * at::get_num_threads();
  if (missing < few) all.assign(segments.size(), at::Tensor());

  ForwardContext context;
  std::vector<at::Tensor> missing_ids;
  int64_t next = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    if (all[i].defined()) continue;
    missing_ids.push_back(ids_of(segments[i]));
    context.segments.push_back(
        {.start = next, .length = segments[i].length, .passages = segments[i].passages});
    next += segments[i].length;
  }
  context.positions = make_positions(context.segments);
  at::Tensor computed = compute(at::cat(missing_ids), context);
  size_t document = 0;
  for (at::Tensor& hidden : all) {
    if (hidden.defined()) continue;
    const Segment& segment = context.segments[document];
    hidden = computed.narrow(/*dim=*/0, segment.start, segment.length);
    if (next >= few) cache.keep(missing_ids[document], hidden, segment.passages);
    ++document;
  }
  if (document == all.size()) {
    cache.forget_pages();
    return computed;
  }
  return joined();
}

}  // namespace lmoe::nn
