// The two halves of `lmoe select`.
#pragma once

#include <string>
#include <vector>

namespace lmoe::cli {

int run_select_adapters(const std::vector<std::string>& arguments);
int run_select_data(const std::vector<std::string>& arguments);

}  // namespace lmoe::cli
