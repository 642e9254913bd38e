#include "base/hash.h"

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"

namespace lmoe {

Sha256::Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
}

void Sha256::update(std::string_view bytes) {
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
  std::string text;
  constexpr char kDigits[] = "0123456789abcdef";
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file)
    fail(ErrorCode::kNotFound, "[hash] cannot open ", path.string(), ": ", std::strerror(errno));
  Sha256 hash;
  std::vector<char> block(1 << 20);
  while (const size_t count = std::fread(block.data(), 1, block.size(), file.get()))
    hash.update({block.data(), count});
  if (std::ferror(file.get()))
    fail(ErrorCode::kIo, "[hash] cannot read ", path.string(), ": ", std::strerror(errno));
  return hash.hex();
}

}  // namespace lmoe
