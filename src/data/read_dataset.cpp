#include <algorithm>
#include <set>

#include "base/error.h"
#include "data/json_records.h"
#include "data/record.h"
#include "data/record_shapes.h"

namespace lmoe::data {
namespace {

constexpr int64_t kDetectionRecords = 100;

class DatasetReader {
 public:
  DatasetReader(const ResolvedPath& resolved, RecordType type, Purpose purpose)
      : resolved_(resolved), purpose_(purpose), given_(type) {
    set_.name = resolved.name;
    set_.file = resolved.file.string();
    set_.type = type;
  }

  bool take(const Json& object, int64_t line) {
    if (given_ == RecordType::kAuto) detect(object, line);
    set_.records.push_back(read_record(set_.type, object, set_.file, line));
    note_extra_keys(object);
    return resolved_.slice.is_slice || resolved_.max_samples == 0 ||
           std::ssize(set_.records) < resolved_.max_samples;
  }

  Dataset finish() {
    LMOE_CHECK_ARG(!set_.records.empty(), "[data] ", set_.file,
                   ": the file holds no records; expected at least one");
    if (resolved_.slice.is_slice) cut();
    return std::move(set_);
  }

 private:
  void cut() {
    auto [first, last] = resolved_.slice.range(std::ssize(set_.records));
    if (resolved_.max_samples > 0) last = std::min(last, first + resolved_.max_samples);
    set_.records.erase(set_.records.begin() + last, set_.records.end());
    set_.records.erase(set_.records.begin(), set_.records.begin() + first);
  }

  void detect(const Json& object, int64_t line) {
    if (static_cast<int64_t>(set_.records.size()) >= kDetectionRecords) return;
    const RecordType found = detected(object, line);
    if (set_.records.empty()) {
      set_.type = found;
      first_line_ = line;
    }
    LMOE_CHECK_DATA(found == set_.type, "[data] ", set_.file, ":", line,
                    ": two shapes in one file: given ", enum_name(found), ", expected ",
                    enum_name(set_.type), " as in line ", first_line_,
                    "; hint: one shape per file, or give `type`");
  }

  RecordType detected(const Json& object, int64_t line) const {
    const RecordType found = detect_type(object, purpose_);
    if (found != RecordType::kAuto) return found;
    std::string keys;
    for (const auto& [key, value] : object.items()) keys += (keys.empty() ? "" : ", ") + key;
    fail(ErrorCode::kInvalidArgument, "[data] ", set_.file, ":", line,
         ": the shape of the record is not known: given the keys ", keys.empty() ? "none" : keys,
         "; expected one of ", shapes_text());
  }

  void note_extra_keys(const Json& object) {
    const auto known = known_keys(set_.type);
    for (const auto& [key, value] : object.items()) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      if (seen_extra_.insert(key).second) set_.extra_keys.push_back(key);
    }
  }

  const ResolvedPath& resolved_;
  Purpose purpose_;
  RecordType given_;
  int64_t first_line_ = 0;
  std::set<std::string> seen_extra_;
  Dataset set_;
};

}  // namespace

Dataset read_dataset(const DatasetOptions& options, Purpose purpose) {
  const ResolvedPath resolved = resolve_dataset(options);
  DatasetReader reader(resolved, options.type, purpose);
  read_json_records(resolved.file,
                    [&](const Json& object, int64_t line) { return reader.take(object, line); });
  Dataset set = reader.finish();
  set.task = options.task;
  return set;
}

}  // namespace lmoe::data
