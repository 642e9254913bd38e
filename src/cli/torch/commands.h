// The verbs of `lmoe-torch`.
#pragma once

#include <string>
#include <vector>

namespace lmoe::cli {

int run_bench(const std::vector<std::string>& arguments);
int run_chat(const std::vector<std::string>& arguments);
int run_eval(const std::vector<std::string>& arguments);
int run_experts(const std::vector<std::string>& arguments);
int run_export(const std::vector<std::string>& arguments);
int run_extract(const std::vector<std::string>& arguments);
int run_generate(const std::vector<std::string>& arguments);
int run_prompts(const std::vector<std::string>& arguments);
int run_resume(const std::vector<std::string>& arguments);
int run_score(const std::vector<std::string>& arguments);
int run_select(const std::vector<std::string>& arguments);
int run_train(const std::vector<std::string>& arguments);

}  // namespace lmoe::cli
