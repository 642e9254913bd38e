// render_sample DATA.json PAGE.html: writes the report of a file, for tests that look at the page.
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "report/report.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: render_sample DATA.json PAGE.html\n";
    return 2;
  }
  const auto data = lmoe::Json::parse(lmoe::read_file(argv[1]));
  lmoe::write_file_atomically(argv[2], lmoe::report::render_report(data));
  return 0;
}
