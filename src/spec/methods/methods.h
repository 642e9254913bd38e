// One constant per file of this folder; all_methods.cpp lists them.
#pragma once

#include "spec/method_info.h"

namespace lmoe::spec {

/// q, k, v, o, gate, up, down: what the methods adapt unless a recipe says otherwise.
std::vector<std::string> all_seven_projections();

/// What the variants of MixLoRA have in common: the preset mixlora.
MixtureSpec mixlora_parts();

extern const MethodInfo kCat;
extern const MethodInfo kComol;
extern const MethodInfo kDmoerm;
extern const MethodInfo kDora;
extern const MethodInfo kDynMole;
extern const MethodInfo kEpt;
extern const MethodInfo kFlexMore;
extern const MethodInfo kFlyLora;
extern const MethodInfo kHydra;
extern const MethodInfo kKShot;
extern const MethodInfo kLMoe;
extern const MethodInfo kLlavaMole;
extern const MethodInfo kLora;
extern const MethodInfo kLoraFactoryMola;
extern const MethodInfo kLoraMixer;
extern const MethodInfo kLoraMoe;
extern const MethodInfo kMeteora;
extern const MethodInfo kMixLora;
extern const MethodInfo kMixLoraDynamic;
extern const MethodInfo kMixLoraSwitch;
extern const MethodInfo kMoa;
extern const MethodInfo kMola;
extern const MethodInfo kMoram;
extern const MethodInfo kRemix;
extern const MethodInfo kRsLora;
extern const MethodInfo kScaleZero;
extern const MethodInfo kSmora;
extern const MethodInfo kSmore;
extern const MethodInfo kXLora;

}  // namespace lmoe::spec
