#include "report/assets.h"

// Defined in the generated assets.S.
#define LMOE_ASSET(name)                         \
  extern const char lmoe_asset_##name##_begin[]; \
  extern const char lmoe_asset_##name##_end[];

extern "C" {
LMOE_ASSET(page)
LMOE_ASSET(style)
LMOE_ASSET(d3)
LMOE_ASSET(plot)
LMOE_ASSET(licence)
LMOE_ASSET(scripts)
}

namespace lmoe::report {

static std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

Assets assets() {
  return {between(lmoe_asset_page_begin, lmoe_asset_page_end),
          between(lmoe_asset_style_begin, lmoe_asset_style_end),
          between(lmoe_asset_d3_begin, lmoe_asset_d3_end),
          between(lmoe_asset_plot_begin, lmoe_asset_plot_end),
          between(lmoe_asset_licence_begin, lmoe_asset_licence_end),
          between(lmoe_asset_scripts_begin, lmoe_asset_scripts_end)};
}

}  // namespace lmoe::report
