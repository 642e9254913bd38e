// Prints what lmoe computes with each expert of a mixture alone, for peft_parity.py.
//
//   driver make BASE RUN SECTION    writes a run folder with random experts, then as below
//   driver read BASE RUN            {"ids": […], "experts": {name: logits [N][V]}}
//
// One expert alone is a one-hot gate: all others but one are switched off, so mixtures here have
// one or two experts.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstdio>
#include <numeric>

#include "arch/base_model.h"
#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "spec/mixture_spec.h"

namespace lmoe::test {
namespace {

constexpr int64_t kTokens = 12, kIdStep = 7;

void make_run(const models::Decoder& decoder,
              const std::string& base,
              const std::string& run,
              const std::string& section) {
  ReadReport report;
  const spec::MixtureSpec spec = spec::read_mixture(parse_config(section, "section"), report);
  mixture::Mixture mixture(spec, decoder.projection_groups(), /*seed=*/1);
  Rng rng(2);
  for (const nn::NamedTensor& parameter : mixture.parameters()) {
    float* values = parameter.tensor.data_ptr<float>();
    for (int64_t i = 0; i < parameter.tensor.numel(); ++i)
      values[i] = static_cast<float>(rng.uniform(-0.2, 0.2));
  }
  mixture.save(run, base);
}

Json logits(const models::Decoder& decoder, const std::vector<int64_t>& ids, int disabled) {
  nn::ForwardContext context;
  context.segments = {{.start = 0, .length = kTokens}};
  context.positions = nn::make_positions(context.segments);
  context.disabled_expert = disabled;
  const at::Tensor rows = decoder.logits(decoder.forward(at::tensor(ids), context)).contiguous();
  Json json = Json::array();
  for (int64_t t = 0; t < rows.size(0); ++t) {
    const float* row = rows.data_ptr<float>() + t * rows.size(1);
    json.push_back(std::vector<float>(row, row + rows.size(1)));
  }
  return json;
}

void run(const std::vector<std::string>& arguments) {
  const c10::NoGradGuard no_grad;
  const auto base = arch::open_base_model(arguments.at(1));
  const auto decoder = models::Decoder::load(*base, {});
  if (arguments.at(0) == "make")
    make_run(*decoder, arguments.at(1), arguments.at(2), arguments.at(3));
  std::vector<int64_t> ids(kTokens);
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int64_t>(i * kIdStep + 3) % base->config.vocab_size;
  Json json = {{"ids", ids}};
  const auto mixture = mixture::Mixture::load(arguments.at(2), decoder->projection_groups());
  mixture->plug(decoder->projection_groups());
  const auto names = mixture->spec().expert_names();
  LMOE_CHECK_ARG(names.size() <= 2, "[driver] at most two experts: given ", names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    const int other = names.size() == 2 ? 1 - static_cast<int>(i) : -1;
    json["experts"][names[i]] = logits(*decoder, ids, other);
  }
  std::puts(json.dump().c_str());
}

}  // namespace
}  // namespace lmoe::test

int main(int argc, char** argv) {
  try {
    lmoe::test::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
