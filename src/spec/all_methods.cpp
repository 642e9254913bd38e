#include <array>

#include "base/error.h"
#include "base/nearest.h"
#include "spec/methods/methods.h"

namespace lmoe::spec {

std::vector<std::string> all_seven_projections() {
  return {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
}

std::span<const MethodInfo> all_methods() {
  // Explicit, because a static library drops objects that hold only initialisers.
  static const std::array kMethods = {
      kLora,      kRsLora,    kDora,    kLMoe,  kMola,    kLoraFactoryMola, kDynMole,
      kLoraMoe,   kLoraMixer, kMoa,     kSmora, kRemix,   kFlyLora,         kMoram,
      kHydra,     kComol,     kEpt,     kSmore, kMixLora, kMixLoraDynamic,  kMixLoraSwitch,
      kLlavaMole, kXLora,     kMeteora, kKShot, kCat,     kFlexMore,        kScaleZero,
      kDmoerm};
  return kMethods;
}

const MethodInfo& find_method(const std::string& name) {
  std::vector<std::string> known;
  for (const MethodInfo& method : all_methods()) {
    if (method.name == name) return method;
    known.emplace_back(method.name);
  }
  std::string list;
  for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
  const std::string nearest = nearest_name(name, known);
  fail(ErrorCode::kNotFound, "[mixture] unknown method: given \"", name, "\", expected one of ",
       list, nearest.empty() ? "" : "; nearest is \"" + nearest + "\"");
}

}  // namespace lmoe::spec
