#include "cli/command.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>

#include "base/error.h"
#include "base/path_error.h"

namespace lmoe::cli {
namespace {

void complain(const std::string& message) {
  std::fprintf(stderr, "lmoe: error: %s\n", message.c_str());
}

bool is_override(const std::string& text) {
  const size_t equals = text.find('=');
  return equals != std::string::npos && equals > 0 && text[0] != '-' && text.find('/') > equals;
}

/// Whether `before` is an option that takes what follows as its value.
bool takes_value(const CLI::App& app, const std::string& before) {
  if (before.rfind('-', 0) != 0) return false;
  const CLI::Option* option = app.get_option_no_throw(before);
  return option != nullptr && option->get_items_expected_max() > 0;
}

std::string without_dashes(const std::string& text) {
  const size_t start = text.find_first_not_of('-');
  return start == std::string::npos ? std::string() : text.substr(start);
}

/// What CLI11 did not know: `--key value` pairs become `key=value`.
std::vector<std::string> overrides_from_extras(const std::vector<std::string>& extras) {
  std::vector<std::string> overrides;
  for (size_t i = 0; i < extras.size(); ++i) {
    const std::string& text = extras[i];
    LMOE_CHECK_ARG(text.rfind("--", 0) == 0, "[arguments] unexpected argument: given \"", text,
                   "\"; hint: settings are written key=value, see --help");
    if (text.find('=') != std::string::npos) {
      overrides.push_back(without_dashes(text));
    } else {
      LMOE_CHECK_ARG(i + 1 < extras.size(), "[arguments] ", text,
                     " has no value: given nothing after it, expected one; see --help");
      overrides.push_back(without_dashes(text) + "=" + extras[++i]);
    }
  }
  return overrides;
}

/// A full disk behind `> file` shows only when the buffers are emptied.
void check_output_written() {
  std::cout.flush();
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout) {
    fail(ErrorCode::kIo,
         "[output] cannot write all results to standard output: disk full or closed");
  }
}

}  // namespace

int guarded(int (*body)(const std::vector<std::string>&),
            const std::vector<std::string>& arguments) {
  try {
    const int code = body(arguments);
    check_output_written();
    return code;
  } catch (const Error& error) {
    complain(error.what());
    return exit_code(error.code());
  } catch (const std::bad_alloc&) {
    complain("[memory] out of memory");
    return exit_code(ErrorCode::kOutOfMemory);
  } catch (const std::filesystem::filesystem_error& error) {
    complain("[files] " + error.path1().string() + ": " + error.code().message());
    return exit_code(path_error_code(error.code().value()));
  } catch (const std::exception& error) {
    complain(std::string("[internal] ") + error.what() + "; this is a bug of lmoe");
    return exit_code(ErrorCode::kInternal);
  }
}

CLI::Validator number_between(double least, double most) {
  const std::string range = concat("[", least, " - ", most, "]");
  return {[=](const std::string& text) {
            double value = 0.0;
            if (CLI::detail::lexical_cast(text, value) && value >= least && value <= most)
              return std::string();
            return concat("Value ", text, " not in range ", range);
          },
          "FLOAT in " + range};
}

void check_new_file(const std::string& file, const std::string& operation, const char* hint) {
  namespace fs = std::filesystem;
  LMOE_CHECK_ARG(!fs::exists(file), "[", operation, "] ", file, " is there already; hint: another ",
                 hint);
  const fs::path folder = fs::absolute(file).parent_path();
  LMOE_CHECK_ARG(fs::is_directory(folder), "[", operation, "] ", file,
                 " cannot be written: ", folder.string(), " is no folder");
}

ParseOutcome parse_arguments(CLI::App& app,
                             const std::vector<std::string>& arguments,
                             std::vector<std::string>* overrides) {
  std::vector<std::string> plain;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& text = arguments[i];
    const bool is_value = i > 0 && takes_value(app, arguments[i - 1]);
    if (overrides != nullptr && !is_value && is_override(text)) {
      overrides->push_back(text);
    } else {
      plain.push_back(text);
    }
  }
  if (overrides != nullptr) app.allow_extras();
  app.footer(app.get_footer() + "\n");
  std::reverse(plain.begin(), plain.end());  // CLI11 takes them last first
  try {
    app.parse(plain);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return {true, app.exit(error)};
    complain("[arguments] " + std::string(error.what()) + "; see `" + app.get_name() + " --help`");
    return {true, 2};
  }
  if (overrides != nullptr) {
    for (std::string& text : overrides_from_extras(app.remaining()))
      overrides->push_back(std::move(text));
  }
  return {};
}

void open_missing_streams() {
  for (int descriptor = 0; descriptor < 3; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    [[maybe_unused]] const int opened = ::open("/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY);
  }
}

}  // namespace lmoe::cli
