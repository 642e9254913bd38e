#include "kernels/target.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/target.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

const char* own_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {
namespace {

/// Asked once, before anything was chosen: Highway forgets choices whenever it is asked.
const std::vector<int64_t>& runnable() {
  static const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  return targets;
}

void choose(const std::string& name, const std::string& given) {
  for (const int64_t target : runnable()) {
    if (hwy::TargetName(target) != name) continue;
    hwy::DisableTargets(target - 1);  // better ones have lower bits
    target_index();  // takes effect here, not in the first thread that runs a kernel
    return;
  }
  std::string names;
  for (const std::string& one : runnable_targets()) names += (names.empty() ? "" : ", ") + one;
  fail(ErrorCode::kInvalidArgument,
       "[kernels] no instruction set that this processor and program have: given ", given,
       ", expected one of ", names);
}

}  // namespace

std::vector<std::string> runnable_targets() {
  std::vector<std::string> names;
  for (const int64_t target : runnable()) names.emplace_back(hwy::TargetName(target));
  return names;
}

std::string chosen_target() { return LMOE_DISPATCH(own_name)(); }

void choose_target(const std::string& name) { choose(name, name); }

void choose_target_from_environment() {
  const char* name = std::getenv("LMOE_KERNELS");
  if (name != nullptr) choose(name, concat("LMOE_KERNELS=", name));
}

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
