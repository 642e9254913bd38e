#include "eval/samples.h"

#include <algorithm>

#include "eval/answer_requests.h"
#include "eval/progress.h"
#include "generate/generator.h"
#include "text/detokenizer.h"

namespace lmoe::eval {
namespace {

/// Mean over sites of one token's weights.
std::vector<float> mean_over_sites(const decode::TokenRouting& routing, size_t num_experts) {
  LMOE_ASSERT(num_experts > 0 && routing.weights.size() % num_experts == 0);
  std::vector<double> sums(num_experts);
  for (size_t i = 0; i < routing.weights.size(); ++i) sums[i % num_experts] += routing.weights[i];
  const size_t sites = routing.weights.size() / num_experts;
  std::vector<float> means;
  for (const double sum : sums)
    means.push_back(static_cast<float>(sum / static_cast<double>(sites)));
  return means;
}

}  // namespace

std::vector<SampleToken> answer_tokens(const text::Tokenizer& tokenizer,
                                       const decode::RouterInfo* router,
                                       const generate::Generation& answer) {
  text::Detokenizer detokenizer(tokenizer);
  std::vector<SampleToken> tokens;
  for (size_t i = 0; i < answer.ids.size(); ++i) {
    SampleToken token{detokenizer.add(answer.ids[i]), -1, {}};
    if (router != nullptr && i < answer.routing.size()) {
      token.weights = mean_over_sites(answer.routing[i], router->expert_names.size());
      const auto best = std::max_element(token.weights.begin(), token.weights.end());
      if (*best > 0) token.expert = static_cast<int>(best - token.weights.begin());
    }
    tokens.push_back(std::move(token));
  }
  if (!tokens.empty()) tokens.back().text += detokenizer.finish();
  return tokens;
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
                       answers[i].text,
                       answer_tokens(context.tokenizer, context.model.router(), answers[i])});
  }
  return samples;
}

Json tokens_json(const std::vector<SampleToken>& tokens) {
  Json json = Json::array();
  for (const SampleToken& token : tokens) {
    Json entry = {{"text", token.text}};
    if (token.expert >= 0) {
      entry["expert"] = token.expert;
      entry["weight"] = token.weights[static_cast<size_t>(token.expert)];
      entry["weights"] = token.weights;
    }
    json.push_back(std::move(entry));
  }
  return json;
}

Json sample_json(const Sample& sample) {
  return {{"line", sample.line},
          {"prompt", sample.prompt},
          {"expected", sample.expected},
          {"answer", sample.answer},
          {"tokens", tokens_json(sample.tokens)}};
}

}  // namespace lmoe::eval
