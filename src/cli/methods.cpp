// `lmoe methods`: the list of methods; `lmoe methods NAME`: one, spelled out as a recipe.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string_view>

#include "arch/base_model.h"
#include "base/error.h"
#include "cli/method_card.h"
#include "cli/torch_free_commands.h"
#include "recipe/decoder_shape.h"
#include "spec/method_info.h"

namespace lmoe::cli {
namespace {

void print_list(bool names_only) {
  size_t width = 0;
  for (const spec::MethodInfo& method : spec::all_methods())
    width = std::max(width, std::string_view(method.name).size());
  for (const spec::MethodInfo& method : spec::all_methods()) {
    if (names_only) {
      std::printf("%s\n", method.name);
    } else {
      std::printf("%-*s  %s\n", static_cast<int>(width), method.name, method.summary);
    }
  }
}

/// SmolLM2-135M, so that a card needs no model on disk.
constexpr const char* kDefaultBase = "smollm2-135m";
constexpr spec::DecoderShape kDefaultShape = {.layers = 30,
                                              .hidden_size = 576,
                                              .query_size = 576,
                                              .key_size = 192,
                                              .intermediate_size = 1536};

void print_card(const spec::MethodInfo& method, const std::string& base) {
  const bool is_default = base.empty() || base == kDefaultBase;
  const spec::DecoderShape shape =
      is_default ? kDefaultShape : recipe::decoder_shape(arch::open_base_model(base)->config);
  std::printf("%s", method_card(method, is_default ? kDefaultBase : base, shape).c_str());
}

}  // namespace

int run_methods(const std::vector<std::string>& arguments) {
  CLI::App app{
      "Lists the methods, or prints one: the recipe section it stands for, what it costs and can "
      "do.",
      "lmoe methods"};
  app.footer(
      "examples:\n  lmoe methods\n  lmoe methods l-moe > my.yaml     # then change any part\n"
      "  lmoe methods mola --base models/llama-1b");
  std::string name, base;
  bool names_only = false;
  app.add_option("name", name, "a method");
  app.add_option("--base", base, "count for this base model; default smollm2-135m");
  app.add_flag("--names", names_only, "names only, one per line");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;
  LMOE_CHECK_ARG(base.empty() || !name.empty(),
                 "[methods] --base cannot act without a method; see `lmoe methods`");
  if (name.empty()) {
    print_list(names_only);
  } else {
    print_card(spec::find_method(name), base);
  }
  return 0;
}

}  // namespace lmoe::cli
