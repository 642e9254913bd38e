#include "generate/generate_options.h"

namespace lmoe::generate {
namespace {

/// Ranges are listed once, in for_each_field; this applies them to values set from code.
template <class Options>
void check_ranges(const Options& options) {
  const_cast<Options&>(options).for_each_field([](auto&& item) {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(item.value)>>) {
      const double value = static_cast<double>(item.value);
      LMOE_CHECK_ARG(value >= item.info.minimum && value <= item.info.maximum, "[generate] ",
                     item.info.name, " is out of range: given ", value, ", expected ",
                     item.info.minimum, " to ", item.info.maximum);
    }
  });
}

}  // namespace

void check_sample_options(const SampleOptions& options) { check_ranges(options); }

void check_generate_options(const GenerateOptions& options) {
  check_ranges(options);
  for (const std::string& stop : options.stop)
    LMOE_CHECK_ARG(
        !stop.empty(),
        "[generate] a stop text is empty: given \"\", expected text; every answer would end at "
        "once");
}

}  // namespace lmoe::generate
