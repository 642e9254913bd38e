#include "cli/compare/child_program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "cli/interrupt.h"

namespace lmoe::cli {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{50};
constexpr int kCannotStart = 127;

/// What the child needs, made before the fork: afterwards only calls that are safe in a signal
/// handler are allowed.
struct Start {
  std::vector<char*> arguments, environment;
  std::vector<std::string> variables;

  Start(const std::vector<std::string>& command, int threads) {
    for (const std::string& text : command) arguments.push_back(const_cast<char*>(text.c_str()));
    arguments.push_back(nullptr);
    for (char** variable = environ; *variable != nullptr; ++variable)
      environment.push_back(*variable);
    if (threads > 0 && std::getenv("OMP_NUM_THREADS") == nullptr) {
      variables.push_back("OMP_NUM_THREADS=" + std::to_string(threads));
      environment.push_back(variables.back().data());
    }
    environment.push_back(nullptr);
  }
};

/// A group of its own, so that Ctrl-C on the terminal reaches only the parent, which passes it on;
/// it ends with its parent all the same.
[[noreturn]] void become(const Start& start, int log) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGINT);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execve(start.arguments[0], start.arguments.data(), start.environment.data());
  ::_exit(kCannotStart);
}

int wait_for(pid_t child) {
  bool was_told = false;
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (ended < 0 && errno != EINTR)
      fail(ErrorCode::kIo, "[start] cannot wait for a program: ", std::strerror(errno));
    if (interrupted() && !was_told) {
      ::kill(child, SIGINT);
      was_told = true;
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

std::string last_error(const std::string& log) {
  constexpr std::string_view kMark = "lmoe: error: ";
  const size_t found = log.rfind(kMark);
  if (found == std::string::npos) return "";
  const size_t begin = found + kMark.size();
  return log.substr(begin, log.find('\n', begin) - begin);
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& command, const fs::path& log, int threads) {
  const Start start(command, threads);
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (output < 0)
    fail(ErrorCode::kIo, "[start] cannot write ", log.string(), ": ", std::strerror(errno));
  const pid_t child = ::fork();
  if (child == 0) become(start, output);
  ::close(output);
  if (child < 0)
    fail(ErrorCode::kIo, "[start] cannot start ", command[0], ": ", std::strerror(errno));
  ChildResult result{wait_for(child), ""};
  if (result.exit_code == kCannotStart)
    fail(ErrorCode::kNotFound, "[start] cannot start ", command[0],
         "; hint: build the target lmoe-torch");
  result.error = last_error(read_file(log));
  return result;
}

}  // namespace lmoe::cli
