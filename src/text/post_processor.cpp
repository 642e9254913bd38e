#include "text/post_processor.h"

#include "base/error.h"
#include "text/json_fields.h"

namespace lmoe::text {

namespace {

std::vector<TokenId> ids_of(const JsonFields& special_tokens,
                            const std::string& name,
                            int64_t id_bound) {
  const JsonFields token(special_tokens.at(name), special_tokens.path_of(name));
  const Json& ids = token.array_at("ids");
  std::vector<TokenId> out;
  for (const Json& id : ids) {
    const bool valid = id.is_number_integer() && id >= 0 && id < id_bound;
    LMOE_CHECK_DATA(valid, "[tokenizer] ", token.path_of("ids"),
                    ": id beyond the vocabulary: given ", id.dump(), ", expected 0 to ",
                    id_bound - 1);
    out.push_back(id.get<TokenId>());
  }
  return out;
}

PostProcessor make_template(const JsonFields& fields, int64_t id_bound) {
  PostProcessor out;
  bool seen_text = false;
  const Json& single = fields.array_at("single");
  for (size_t i = 0; i < single.size(); ++i) {
    const JsonFields item(single[i], concat(fields.path(), ".single[", i, "]"));
    if (item.find("SpecialToken") != nullptr) {
      const JsonFields special(item.at("SpecialToken"), item.path_of("SpecialToken"));
      const JsonFields table(fields.at("special_tokens"), fields.path_of("special_tokens"));
      for (const TokenId id : ids_of(table, special.string_at("id"), id_bound)) {
        (seen_text ? out.after : out.before).push_back(id);
      }
      continue;
    }
    const JsonFields sequence(item.at("Sequence"), item.path_of("Sequence"));
    if (seen_text || sequence.string_at("id") != "A") {
      fail(ErrorCode::kUnsupported, "[tokenizer] ", item.path(),
           ": a template for one text must hold A once");
    }
    seen_text = true;
  }
  LMOE_CHECK_DATA(seen_text, "[tokenizer] ", fields.path(), ".single has no place for the text");
  if (fields.find("special_tokens") == nullptr) return out;
  const JsonFields table(fields.at("special_tokens"), fields.path_of("special_tokens"));
  for (const auto& [name, field] : kSpecialTokenNames) {
    if (table.find(name) == nullptr) continue;
    const auto ids = ids_of(table, name, id_bound);
    if (ids.size() == 1) out.special.*field = ids[0];
  }
  return out;
}

PostProcessor make(const Json& json, const std::string& path, int64_t id_bound) {
  const JsonFields fields(json, path);
  const std::string type = fields.string_at("type");
  if (type == "ByteLevel") return {};  // only adjusts offsets
  if (type == "TemplateProcessing") return make_template(fields, id_bound);
  if (type != "Sequence") {
    fail(ErrorCode::kUnsupported, "[tokenizer] ", path, " of type '", type,
         "' is not supported; known: ByteLevel, Sequence, TemplateProcessing");
  }
  PostProcessor out;
  const Json& members = fields.array_at("processors");
  for (size_t i = 0; i < members.size(); ++i) {
    const PostProcessor outer = make(members[i], concat(path, "[", i, "]"), id_bound);
    out.before.insert(out.before.begin(), outer.before.begin(), outer.before.end());
    for (const auto& [name, field] : kSpecialTokenNames) {
      if (outer.special.*field) out.special.*field = outer.special.*field;
    }
    out.after.insert(out.after.end(), outer.after.begin(), outer.after.end());
  }
  return out;
}

}  // namespace

PostProcessor make_post_processor(const Json& json, int64_t id_bound) {
  return json.is_null() ? PostProcessor{} : make(json, "post_processor", id_bound);
}

}  // namespace lmoe::text
