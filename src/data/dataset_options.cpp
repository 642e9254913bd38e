#include "data/dataset_options.h"

#include "base/error.h"

namespace lmoe::data {

std::span<const EnumName<RecordType>> enum_names(RecordType) {
  static constexpr EnumName<RecordType> kNames[] = {
      {"auto", RecordType::kAuto},
      {"alpaca", RecordType::kAlpaca},
      {"sharegpt", RecordType::kShareGpt},
      {"messages", RecordType::kMessages},
      {"prompt_completion", RecordType::kPromptCompletion},
      {"text", RecordType::kText},
      {"choice", RecordType::kChoice},
      {"preference", RecordType::kPreference},
  };
  return kNames;
}

std::span<const EnumName<ExcessLength>> enum_names(ExcessLength) {
  static constexpr EnumName<ExcessLength> kNames[] = {
      {"truncate", ExcessLength::kTruncate},
      {"drop", ExcessLength::kDrop},
      {"raise", ExcessLength::kRaise},
  };
  return kNames;
}

void DatasetOptions::check_options(const SourcePosition& where) const {
  LMOE_CHECK_ARG(!path.empty(), "[config] ", where.text(),
                 ": datasets: an entry has no path; expected a file or a folder");
  LMOE_CHECK_ARG(weight > 0.0, "[config] ", where.text(), ": datasets: given weight 0 for ", path,
                 ", expected more; hint: leave the entry out");
}

}  // namespace lmoe::data
