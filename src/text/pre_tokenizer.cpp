#include "text/pre_tokenizer.h"

namespace lmoe::text {

PreTokenizer::PreTokenizer(const Json& json) {
  if (!json.is_null()) stages_ = make_stages(json, "pre_tokenizer", is_byte_level_);
}

void PreTokenizer::split_from(size_t stage, Piece piece, const PieceSink& sink) const {
  if (piece.text.empty()) return;
  if (stage == stages_.size()) return sink(piece);
  stages_[stage]->split(piece, [&](Piece part) { split_from(stage + 1, part, sink); });
}

}  // namespace lmoe::text
