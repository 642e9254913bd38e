#include "runner/refit_documents.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"
#include "runner/packed_scores.h"

namespace lmoe::runner {
namespace {

/// Another mixture in the place of the one that is plugged in.
class InPlaceOf {
 public:
  InPlaceOf(mixture::Mixture& original, mixture::Mixture& other, const nn::Sockets& sockets)
      : original_(original), other_(other), sockets_(sockets) {
    original_.unplug(sockets_);
    other_.plug(sockets_);
  }
  ~InPlaceOf() {
    other_.unplug(sockets_);
    original_.plug(sockets_);
  }
  InPlaceOf(const InPlaceOf&) = delete;
  InPlaceOf& operator=(const InPlaceOf&) = delete;

 private:
  mixture::Mixture &original_, &other_;
  const nn::Sockets& sockets_;
};

void add_context(const models::Decoder& decoder,
                 const Document& document,
                 mixture::DocumentContexts& contexts) {
  nn::RouterLog log;
  log.keeps_inputs = true;
  nn::ForwardContext context;
  context.router_log = &log;
  context.segments = {{0, static_cast<int64_t>(document.ids.size())}};
  decoder.forward(at::tensor(document.ids, at::kInt).to(at::kLong), context);
  contexts.add(log);
}

/// Mean of -log p over the labels.
double mean_loss(const models::Decoder& decoder, const Document& document) {
  const auto scored =
      score_sequences(decoder, {&document.ids, 1}, /*prompts=*/{}, /*disabled_expert=*/-1);
  double sum = 0.0;
  int64_t count = 0;
  for (size_t t = 1; t < document.labels.size(); ++t) {
    if (document.labels[t] < 0) continue;
    sum -= scored[0].logprobs[t - 1];
    ++count;
  }
  LMOE_CHECK_ARG(count > 0, "[experts] refit: a document has nothing to predict");
  return sum / static_cast<double>(count);
}

}  // namespace

mixture::RefittedGates refit_on_documents(const models::Decoder& decoder,
                                          mixture::Mixture& mixture,
                                          std::span<const Document> documents,
                                          double ridge,
                                          const std::function<void(int64_t, int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  const nn::Sockets& sockets = decoder.sockets();
  const int64_t experts = mixture.spec().experts.count;
  const int64_t total = std::ssize(documents) * (experts + 1);
  int64_t done = 0;
  const auto count_one = [&] {
    if (progress) progress(++done, total);
  };
  mixture::DocumentContexts contexts(mixture);
  for (const Document& document : documents) {
    add_context(decoder, document, contexts);
    count_one();
  }
  const at::Tensor losses = at::zeros({std::ssize(documents), experts}, at::kDouble);
  for (int64_t e = 0; e < experts; ++e) {
    const auto alone = mixture::expert_alone(mixture, sockets, e);
    const InPlaceOf swap(mixture, *alone, sockets);
    for (int64_t n = 0; n < std::ssize(documents); ++n) {
      losses[n][e] = mean_loss(decoder, documents[static_cast<size_t>(n)]);
      count_one();
    }
  }
  return mixture::with_gates_refitted(mixture, sockets, contexts, losses, ridge);
}

}  // namespace lmoe::runner
