// A mixture's folder: what is written, and what a damaged or foreign one is answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "io/peft_folder.h"
#include "io/safetensors.h"
#include "mixture/site_bank.h"
#include "spec/method_info.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::AllOf;
using ::testing::HasSubstr;

spec::MixtureSpec small_spec() {
  spec::MixtureSpec spec = spec::find_method("l-moe").preset();
  spec.experts.count = 2;
  spec.experts.rank = 2;
  spec.experts.names = {"math", "code"};
  return spec;
}

class SaveLoad : public ::testing::Test {
 protected:
  SaveLoad() : model_(2, at::kFloat) { save(small_spec()); }

  void save(const spec::MixtureSpec& spec) {
    fs::remove_all(path());
    fs::create_directory(path());
    Mixture mixture(spec, model_.groups(), 3);
    randomize(mixture, 5);
    mixture.save(path(), "tiny");
  }

  fs::path path() const { return folder_.path() / "run"; }

  std::string refusal(const TinyModel& model) const {
    try {
      Mixture::load(path(), model.groups());
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kCorruptData || error.code() == ErrorCode::kNotFound)
          << error.what();
      return error.what();
    }
    return "loaded";
  }
  std::string refusal() const { return refusal(model_); }

  /// Rewrites a safetensors file with some tensors changed, left out (empty shape) or added.
  static void rewrite(const fs::path& file,
                      const std::function<void(std::map<std::string, at::Tensor>&)>& change) {
    std::map<std::string, at::Tensor> tensors;
    {
      const auto source = io::SafetensorsFile::open(file);
      for (const std::string& name : source->names()) {
        const io::TensorView& view = *source->find(name);
        tensors[name] = at::empty(view.shape, at::kFloat);
        io::to_float32(
            view, {tensors[name].data_ptr<float>(), static_cast<size_t>(tensors[name].numel())});
      }
    }
    change(tensors);
    std::vector<io::TensorView> views;
    for (const auto& [name, tensor] : tensors) {
      io::TensorView view;
      view.name = name;
      view.shape = tensor.sizes().vec();
      view.bytes = {static_cast<const std::byte*>(tensor.data_ptr()), tensor.nbytes()};
      views.push_back(view);
    }
    io::write_safetensors(file, views);
  }

  void replace_in(const fs::path& file, const std::string& from, const std::string& to) const {
    std::string text = read_file(file);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from << " in " << text;
    text.replace(at, from.size(), to);
    write_file_atomically(file, text);
  }

  TempFolder folder_;
  TinyModel model_;
};

TEST_F(SaveLoad, EveryExpertIsAnAdapterFolderOfItsOwn) {
  const auto loaded = Mixture::load(path(), model_.groups());
  EXPECT_THAT(loaded->spec().expert_names(), ::testing::ElementsAre("math", "code"));
  const io::LoraFolder code = io::read_peft_folder(path() / "experts" / "code");
  EXPECT_EQ(code.config.rank, 2);
  EXPECT_EQ(code.config.alpha, 4);
  EXPECT_EQ(code.config.base_model_name_or_path, "tiny");
  EXPECT_EQ(code.config.target_modules.size(), 7u);
  ASSERT_EQ(code.pairs.size(), 14u);
  EXPECT_EQ(code.pairs[0].scaling, 2.0);
}

TEST_F(SaveLoad, RankStabilisedScalingIsWrittenAsSuch) {
  spec::MixtureSpec spec = small_spec();
  spec.experts.rank = 4;
  spec.experts.alpha = 3;
  spec.experts.use_rslora = true;
  save(spec);
  const io::LoraFolder math = io::read_peft_folder(path() / "experts" / "math");
  EXPECT_TRUE(math.config.use_rslora);
  EXPECT_EQ(math.config.alpha, 3);
  EXPECT_EQ(math.pairs[0].scaling, 1.5);
  EXPECT_EQ(refusal(), "loaded");
}

TEST_F(SaveLoad, RouterTensorsAreNamedBySite) {
  const auto router = io::SafetensorsFile::open(path() / "router.safetensors");
  EXPECT_EQ(router->names().size(), 14u);
  const io::TensorView* gate = router->find("layers.1.self_attn.v_proj.gate.weight");
  ASSERT_NE(gate, nullptr);
  EXPECT_EQ(gate->shape_text(), "[2, 6]");
}

TEST_F(SaveLoad, MissingOrUnknownExperts) {
  fs::rename(path() / "experts" / "code", path() / "experts" / "poetry");
  EXPECT_THAT(refusal(), HasSubstr("experts/code is missing"));
  fs::rename(path() / "experts" / "poetry", path() / "experts" / "code");
  fs::create_directory(path() / "experts" / "stray");
  EXPECT_THAT(refusal(), HasSubstr("experts/stray is not among the experts"));
  fs::remove_all(path() / "experts");
  EXPECT_THAT(refusal(), HasSubstr("experts/math is missing"));
}

TEST_F(SaveLoad, NamesThatCollide) {
  replace_in(path() / "mixture.yaml", "[math, code]", "[math, Math]");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("mixture.yaml"), HasSubstr("\"Math\" twice")));
}

TEST_F(SaveLoad, RouterOfAnotherWidth) {
  const std::string name = "layers.0.mlp.up_proj.gate.weight";
  rewrite(path() / "router.safetensors", [&](auto& t) { t[name] = at::zeros({3, 6}); });
  EXPECT_THAT(refusal(), AllOf(HasSubstr(name), HasSubstr("[3, 6], expected [2, 6]")));
}

TEST_F(SaveLoad, RouterTensorsMissingOrLeftOver) {
  const std::string name = "layers.0.mlp.up_proj.gate.weight";
  rewrite(path() / "router.safetensors", [&](auto& t) { t.erase(name); });
  EXPECT_THAT(refusal(), HasSubstr("has no tensor \"" + name));
  save(small_spec());
  rewrite(path() / "router.safetensors", [](auto& t) { t["layers.9.x"] = at::zeros({1}); });
  EXPECT_THAT(refusal(), HasSubstr("nothing uses: layers.9.x"));
  fs::remove(path() / "router.safetensors");
  EXPECT_THAT(refusal(), HasSubstr("router.safetensors"));
}

TEST_F(SaveLoad, ARouterWhereNoneBelongs) {
  const std::string router = read_file(path() / "router.safetensors");
  save(spec::find_method("lora").preset());
  EXPECT_EQ(refusal(), "loaded");
  write_file_atomically(path() / "router.safetensors", router);
  EXPECT_THAT(refusal(), HasSubstr("gate.source constant"));
}

TEST_F(SaveLoad, HalfPairsAndMissingModules) {
  const fs::path file = path() / "experts" / "math" / "adapter_model.safetensors";
  const std::string module = "base_model.model.model.layers.1.mlp.up_proj";
  rewrite(file, [&](auto& t) { t.erase(module + ".lora_B.weight"); });
  EXPECT_THAT(refusal(), HasSubstr("layers.1.mlp.up_proj has lora_A but no lora_B"));
  rewrite(file, [&](auto& t) { t.erase(module + ".lora_A.weight"); });
  EXPECT_THAT(refusal(), AllOf(HasSubstr("experts/math"),
                               HasSubstr("has no module model.layers.1.mlp.up_proj"),
                               HasSubstr("13 modules"), HasSubstr("has 14")));
}

TEST_F(SaveLoad, AnotherBaseIsNamedByTheDifference) {
  EXPECT_THAT(refusal(TinyModel(3, at::kFloat)),
              AllOf(HasSubstr("has no module model.layers.2."), HasSubstr("another base model")));
  EXPECT_THAT(refusal(TinyModel(1, at::kFloat)),
              AllOf(HasSubstr("model.layers.1."), HasSubstr("another base model")));
  EXPECT_THAT(refusal(TinyModel(2, at::kFloat, kHidden + 2)),
              AllOf(HasSubstr("model.layers.0.self_attn.q_proj.lora_A has shape [2, 6], "
                              "expected [2, 8]"),
                    HasSubstr("another base model")));
}

TEST_F(SaveLoad, SpecAndAdaptersMustAgree) {
  replace_in(path() / "mixture.yaml", "rank: 2", "rank: 3");
  EXPECT_THAT(refusal(), HasSubstr("rank 3 in mixture.yaml"));
  save(small_spec());
  replace_in(path() / "experts" / "math" / "adapter_config.json", "\"lora_alpha\": 4",
             "\"lora_alpha\": 6");
  EXPECT_THAT(refusal(), HasSubstr("has scaling 3 in adapter_config.json, expected 2"));
  save(small_spec());
  replace_in(path() / "mixture.yaml", "down_proj", "dwon_proj");
  EXPECT_THAT(refusal(), HasSubstr("given dwon_proj"));
  replace_in(path() / "mixture.yaml", "method: l-moe", "method: l-mow");
  EXPECT_THAT(refusal(), HasSubstr("unknown method"));
  fs::remove(path() / "mixture.yaml");
  EXPECT_THAT(refusal(), HasSubstr("mixture.yaml"));
}

TEST_F(SaveLoad, AdaptersInHalfPrecisionAreRead) {
  const fs::path folder = path() / "experts" / "math";
  const io::LoraFolder before = io::read_peft_folder(folder);
  std::vector<io::LoraPair> pairs = before.pairs;
  std::vector<at::Tensor> halves;
  for (io::LoraPair& pair : pairs) {
    for (io::TensorView* view : {&pair.a, &pair.b}) {
      at::Tensor values = at::empty(view->shape, at::kFloat);
      io::to_float32(*view, {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
      halves.push_back(values.to(at::kBFloat16));
      view->dtype = io::DType::kBF16;
      view->bytes = {static_cast<const std::byte*>(halves.back().data_ptr()),
                     halves.back().nbytes()};
    }
  }
  io::write_peft_folder(folder, before.config, pairs);
  const auto loaded = Mixture::load(path(), model_.groups());
  const at::Tensor a = loaded->banks()[0]->bank().folder_factors(0, 0).a;
  EXPECT_EQ(a.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(a, halves[0].to(at::kFloat)));
}

}  // namespace
}  // namespace lmoe::test
