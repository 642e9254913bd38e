// `lmoe export`: a run's adapters in the format of another tool.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/torch/commands.h"
#include "cli/torch/model_choice.h"
#include "mixture/moe_peft_folder.h"
#include "mixture/x_lora_folder.h"

namespace lmoe::cli {

int run_export(const std::vector<std::string>& arguments) {
  CLI::App app{"Writes the experts and routers of a run as another tool keeps them.",
               "lmoe export"};
  app.footer(
      "examples:\n"
      "  lmoe export runs/mixlora --to moe-peft -o exported\n"
      "  lmoe generate exported --base smollm2-135m --prompt Hello   # such folders are read, too\n"
      "moe-peft holds MixLoRA, LoRAMoE and MoLA with linear routers; what it cannot hold is "
      "named. x-lora is PEFT's layout of X-LoRA.\n"
      "Each folder under RUN/experts is an adapter for PEFT already.");
  ModelChoice choice;
  choice.add_to(app);
  std::string format, output;
  app.add_option("--to", format, "moe-peft or x-lora")
      ->required()
      ->check(CLI::IsMember({"moe-peft", "x-lora"}));
  app.add_option("-o,--output", output, "the folder to make")->required();
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  LMOE_CHECK_ARG(!choice.run.empty(), "[export] no run named; hint: lmoe export RUN --to ", format);
  LMOE_CHECK_ARG(!fs::exists(output), "[export] ", output, " is there already; hint: another -o");
  const ChosenModel model = open_model(choice);
  const auto save =
      format == "x-lora" ? mixture::save_x_lora_folder : mixture::save_moe_peft_folder;
  save(*model.loaded->mixture, output, model.loaded->base->name);
  std::printf("%s\n", output.c_str());
  return 0;
}

}  // namespace lmoe::cli
