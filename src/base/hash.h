// SHA-256 of bytes and files, in lower-case hex.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace lmoe {

/// Of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  /// Of all pieces; ends the work.
  std::string hex();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

std::string sha256_hex(std::string_view bytes);

/// Reads in blocks. Throws kNotFound or kIo.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace lmoe
