#include "eval/samples.h"

#include <algorithm>

#include "eval/answer_requests.h"
#include "eval/progress.h"
#include "generate/generator.h"
#include "text/detokenizer.h"

namespace lmoe::eval {
namespace {

std::vector<SampleToken> sample_tokens(const EvalContext& context,
                                       const generate::Generation& answer) {
  const decode::RouterInfo* info = context.model.router();
  text::Detokenizer detokenizer(context.tokenizer);
  std::vector<SampleToken> tokens;
  for (size_t i = 0; i < answer.ids.size(); ++i) {
    SampleToken token{detokenizer.add(answer.ids[i]), -1, {}};
    if (info != nullptr && i < answer.routing.size()) {
      token.weights =
          mean_over_sites(answer.routing[i], static_cast<int>(info->expert_names.size()));
      const auto best = std::max_element(token.weights.begin(), token.weights.end());
      token.expert = static_cast<int>(best - token.weights.begin());
    }
    tokens.push_back(std::move(token));
  }
  if (!tokens.empty()) tokens.back().text += detokenizer.finish();
  return tokens;
}

}  // namespace

std::vector<float> mean_over_sites(const decode::TokenRouting& routing, int num_experts) {
  const auto experts = static_cast<size_t>(num_experts);
  LMOE_ASSERT(experts > 0 && routing.weights.size() % experts == 0);
  std::vector<double> sums(experts);
  for (size_t i = 0; i < routing.weights.size(); ++i) sums[i % experts] += routing.weights[i];
  const double sites = static_cast<double>(routing.weights.size() / experts);
  std::vector<float> means;
  for (const double sum : sums) means.push_back(static_cast<float>(sum / sites));
  return means;
}

std::vector<Sample> make_samples(const EvalContext& context, const EvalTask& task) {
  if (!task.has_answers || context.options.sample_generations == 0) return {};
  EvalTask part = first_items(task, context.options.sample_generations);
  std::erase_if(part.items, [](const EvalItem& item) { return item.prompt.empty(); });
  Progress progress(context.hooks, task.name, "samples", std::ssize(part.items));
  auto requests = answer_requests(context, part).requests;
  for (auto& request : requests) request.want_routing = true;
  generate::Generator generator(context.model, context.tokenizer);
  const auto answers = generator.run_batch(
      requests, {.on_finish = [&](size_t, const generate::Generation&) { progress.add(1); },
                 .is_cancelled = [&] { return progress.is_cancelled(); }});
  progress.check_cancelled();
  std::vector<Sample> samples;
  for (size_t i = 0; i < answers.size(); ++i) {
    const EvalItem& item = part.items[i];
    samples.push_back({item.line, context.tokenizer.decode(item.prompt), item.expected,
                       answers[i].text, sample_tokens(context, answers[i])});
  }
  return samples;
}

Json sample_json(const Sample& sample) {
  Json json = {{"line", sample.line},
               {"prompt", sample.prompt},
               {"expected", sample.expected},
               {"answer", sample.answer},
               {"tokens", Json::array()}};
  for (const SampleToken& token : sample.tokens) {
    Json entry = {{"text", token.text}};
    if (token.expert >= 0) {
      entry["expert"] = token.expert;
      entry["weights"] = token.weights;
    }
    json["tokens"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace lmoe::eval
