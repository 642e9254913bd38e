#include <algorithm>
#include <set>

#include "spec/check_parts.h"

namespace lmoe::spec {
namespace {

bool contains(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

void check_target_list(const std::vector<std::string>& targets, const std::string& key) {
  std::set<std::string> seen;
  for (const std::string& target : targets) {
    LMOE_CHECK_ARG(!target.empty(), key, " has an empty entry");
    LMOE_CHECK_ARG(seen.insert(target).second, key, " names \"", target, "\" twice");
  }
}

void check_plain(const MixtureSpec& spec, const std::string& where) {
  const std::vector<std::string>& plain = spec.plain.target_modules;
  if (plain.empty()) return;
  check_target_list(plain, where + ": mixture.plain.target_modules");
  for (const std::string& target : plain) {
    LMOE_CHECK_ARG(!contains(spec.target_modules, target), where,
                   ": mixture.plain.target_modules: given \"", target,
                   "\", which mixture.target_modules gives experts; hint: name it in one of them");
  }
  LMOE_CHECK_ARG(!contains(spec.adapter_folders(), kPlainFolder), where,
                 ": mixture.experts.names: given \"", kPlainFolder,
                 "\", the folder of the LoRAs of mixture.plain");
}

}  // namespace lmoe::spec
