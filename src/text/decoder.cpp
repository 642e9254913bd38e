#include "text/decoder.h"

#include "text/utf8.h"

namespace lmoe::text {

Decoder::Decoder(const Json& json) {
  if (json.is_null()) {
    strips_leading_space_ = true;
    return;
  }
  steps_ = make_decoder_steps(json, "decoder");
  strips_leading_space_ =
      first_bytes("\u2581") != inner_bytes("\u2581") || first_bytes(" ") != inner_bytes(" ");
}

std::string Decoder::decode(const std::function<const std::string*()>& next) const {
  std::string out;
  if (steps_.size() == 1 && steps_[0]->append_bytes(out, "")) {
    while (const std::string* token = next()) steps_[0]->append_bytes(out, *token);
    return is_valid_utf8(out) ? out : replace_invalid_utf8(out);
  }
  std::vector<std::string> tokens;
  while (const std::string* token = next()) tokens.push_back(*token);
  for (const auto& step : steps_) tokens = step->apply(std::move(tokens));
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && steps_.empty()) out += ' ';
    out += tokens[i];
  }
  return out;
}

std::string Decoder::inner_bytes(std::string token) const {
  if (steps_.empty()) return " " + token;
  for (const auto& step : steps_) token = step->inner(std::move(token));
  return token;
}

std::string Decoder::first_bytes(std::string token) const {
  for (const auto& step : steps_) token = step->first(std::move(token));
  return token;
}

}  // namespace lmoe::text
