// Encodes and decodes what a Python script sends, so that it can compare with the `tokenizers`
// library.
//
//   text_tokenizer_driver TOKENIZER.json < requests > answers
//   text_tokenizer_driver --gguf METADATA.json …         tokenizer from the metadata of a GGUF
//   file, written as JSON text_tokenizer_driver … --write OUT.json             only writes
//   tokenizer_to_json
//
// Request: one line `KIND N`, then N bytes. Kinds: e encode, n without special tokens, u special
// text not parsed, d decode, s decode as a stream (the payload of d and s is int32 ids). Answer:
// one line with its size, then int32 ids or text.
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace lmoe::text {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  LMOE_CHECK_ARG(file, "cannot read ", path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::unique_ptr<Tokenizer> from_gguf_metadata(const std::string& path) {
  const Json json = Json::parse(read_file(path));
  GgufVocabulary v;
  v.model = json.at("model");
  v.pre = json.value("pre", "");
  v.tokens = json.at("tokens").get<std::vector<std::string>>();
  v.token_types = json.at("token_type").get<std::vector<int64_t>>();
  v.scores = json.value("scores", std::vector<double>());
  v.merges = json.value("merges", std::vector<std::string>());
  const auto id = [&](const char* key) {
    return json.contains(key) ? std::optional<TokenId>(json.at(key).get<TokenId>()) : std::nullopt;
  };
  v.special = {id("bos_token_id"), id("eos_token_id"), id("unknown_token_id"),
               id("padding_token_id")};
  v.add_bos = json.value("add_bos_token", false);
  v.add_eos = json.value("add_eos_token", false);
  v.add_space_prefix = json.value("add_space_prefix", true);
  return tokenizer_from_gguf(v);
}

std::string bytes_of(const std::vector<TokenId>& ids) {
  std::string out(ids.size() * sizeof(TokenId), '\0');
  if (!ids.empty()) std::memcpy(out.data(), ids.data(), out.size());
  return out;
}

std::string answer(const Tokenizer& tokenizer, char kind, const std::string& payload) {
  if (kind != 'd' && kind != 's') {
    return bytes_of(tokenizer.encode(payload, {kind == 'e', kind != 'u'}));
  }
  std::vector<TokenId> ids(payload.size() / sizeof(TokenId));
  if (!ids.empty()) std::memcpy(ids.data(), payload.data(), payload.size());
  if (kind == 'd') return tokenizer.decode(ids);
  Detokenizer stream(tokenizer);
  std::string out;
  for (const TokenId id : ids) out += stream.add(id);
  return out + stream.finish();
}

void run(const std::vector<std::string>& args) {
  const bool gguf = args.at(0) == "--gguf";
  const std::string& path = args.at(gguf ? 1 : 0);
  const auto tokenizer = gguf ? from_gguf_metadata(path) : tokenizer_from_json(read_file(path));
  if (args.size() >= 3 && args[args.size() - 2] == "--write") {
    std::ofstream(args.back(), std::ios::binary) << tokenizer_to_json(*tokenizer);
    return;
  }
  std::ios::sync_with_stdio(false);
  std::cin.tie(nullptr);
  char kind = 0;
  size_t size = 0;
  while (std::cin >> kind >> size) {
    std::cin.get();
    std::string payload(size, '\0');
    std::cin.read(payload.data(), static_cast<std::streamsize>(size));
    const std::string out = answer(*tokenizer, kind, payload);
    std::cout << out.size() << '\n' << out;
  }
}

}  // namespace
}  // namespace lmoe::text

int main(int argc, char** argv) {
  try {
    lmoe::text::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
