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

/// What the gates read of one document.
nn::RouterLog read_document(const models::Decoder& decoder, const Document& document) {
  nn::RouterLog log;
  log.keeps_inputs = true;
  nn::ForwardContext context;
  context.router_log = &log;
  context.segments = {{.start = 0,
                       .length = static_cast<int64_t>(document.ids.size()),
                       .passages = document.passages}};
  decoder.forward(at::tensor(document.ids, at::kInt).to(at::kLong), context);
  return log;
}

/// Mean of -log p over the labels.
double mean_loss(const models::Decoder& decoder, const Document& document) {
  const auto scored =
      score_sequences(decoder, {&document.ids, 1}, {.passages = {&document.passages, 1}},
                      /*disabled_expert=*/-1);
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

/// Counts forwards: of every document once, then with each expert alone.
class CountedForwards {
 public:
  CountedForwards(int64_t total, const std::function<void(int64_t, int64_t)>& progress)
      : total_(total), progress_(progress) {}
  void count_one() {
    if (progress_) progress_(++done_, total_);
  }

 private:
  int64_t done_ = 0, total_;
  const std::function<void(int64_t, int64_t)>& progress_;
};

/// [documents, experts], with the mixture that `alone` makes of each expert in the place of the
/// one that is plugged in.
at::Tensor losses_alone(const models::Decoder& decoder,
                        mixture::Mixture& mixture,
                        std::span<const Document> documents,
                        std::unique_ptr<mixture::Mixture> (*alone)(const mixture::Mixture&,
                                                                   const nn::Sockets&,
                                                                   int64_t),
                        CountedForwards& forwards) {
  const nn::Sockets& sockets = decoder.sockets();
  const int64_t experts = mixture.spec().experts.count;
  at::Tensor losses = at::zeros({std::ssize(documents), experts}, at::kDouble);
  for (int64_t e = 0; e < experts; ++e) {
    const auto other = alone(mixture, sockets, e);
    const InPlaceOf swap(mixture, *other, sockets);
    for (int64_t n = 0; n < std::ssize(documents); ++n) {
      losses[n][e] = mean_loss(decoder, documents[static_cast<size_t>(n)]);
      forwards.count_one();
    }
  }
  return losses;
}

}  // namespace

mixture::RefittedGates refit_on_documents(const models::Decoder& decoder,
                                          mixture::Mixture& mixture,
                                          std::span<const Document> documents,
                                          double ridge,
                                          const std::function<void(int64_t, int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  CountedForwards forwards(std::ssize(documents) * (mixture.spec().experts.count + 1), progress);
  mixture::DocumentContexts contexts(mixture);
  for (const Document& document : documents) {
    contexts.add(read_document(decoder, document));
    forwards.count_one();
  }
  const at::Tensor losses =
      losses_alone(decoder, mixture, documents, mixture::expert_alone, forwards);
  return mixture::with_gates_refitted(mixture, decoder.sockets(), contexts, losses, ridge);
}

RefittedReferences refit_references(const models::Decoder& decoder,
                                    mixture::Mixture& mixture,
                                    std::span<const Document> documents,
                                    const ReferenceOptions& options,
                                    const std::function<void(int64_t, int64_t)>& progress) {
  const c10::NoGradGuard no_grad;
  LMOE_CHECK_ARG(!documents.empty(), "[experts] refit: given no documents, expected some");
  CountedForwards forwards(std::ssize(documents) * (mixture.spec().experts.count + 1), progress);
  mixture::DocumentReferences references(mixture, options.references / std::ssize(documents));
  for (const Document& document : documents) {
    references.add(read_document(decoder, document));
    forwards.count_one();
  }
  const auto of = [&](const std::vector<int64_t>& experts) {
    return mixture::with_references(mixture, decoder.sockets(), references.of(experts),
                                    options.retrieval);
  };
  of(std::vector<int64_t>(documents.size(), 0));  // what does not fit is refused before the wait
  const at::Tensor best =
      losses_alone(decoder, mixture, documents, mixture::with_one_expert, forwards)
          .argmin(/*dim=*/1);
  RefittedReferences result;
  const auto* first = best.const_data_ptr<int64_t>();
  result.expert_of.assign(first, first + best.numel());
  result.mixture = of(result.expert_of);
  return result;
}

}  // namespace lmoe::runner
