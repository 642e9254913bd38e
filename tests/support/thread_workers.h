// Workers of a run as threads of one process; c10d does not mind.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "distributed/gloo_group.h"

namespace lmoe::test {

/// A port of the loopback device that nobody listens at.
inline uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(socket, reinterpret_cast<const sockaddr*>(&address), size);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(socket);
  return ntohs(address.sin_port);
}

/// Runs `work` in `size` workers, each with its group, and waits for all of them.
inline void run_workers(
    int size, const std::function<void(std::unique_ptr<distributed::ProcessGroup>)>& work) {
  const uint16_t port = free_port();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      distributed::WorkerEnvironment environment;
      environment.rank = rank;
      environment.size = size;
      environment.port = port;
      try {
        work(distributed::join_gloo_group(environment, std::chrono::seconds(60)));
      } catch (const std::exception& error) {
        ADD_FAILURE() << "worker " << rank << ": " << error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace lmoe::test
