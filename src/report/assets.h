// Files that the build embeds into the program: the page's own and the plot libraries.
#pragma once

#include <string_view>

namespace lmoe::report {

struct Assets {
  std::string_view page;     ///< HTML with {{placeholders}}
  std::string_view style;    ///< CSS
  std::string_view d3;       ///< d3.min.js
  std::string_view plot;     ///< plot.umd.min.js (Observable Plot)
  std::string_view licence;  ///< notices of both
  std::string_view scripts;  ///< the page's own JavaScript
};

Assets assets();

}  // namespace lmoe::report
