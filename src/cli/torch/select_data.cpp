// `lmoe select data`: the records of open data that are most like a task's samples.
#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "cli/torch/model_choice.h"
#include "cli/torch/select.h"
#include "data/json_records.h"
#include "data/record.h"
#include "eval/table.h"
#include "kshot/choose_records.h"
#include "runner/embed_documents.h"

namespace lmoe::cli {
namespace {

struct SelectArguments {
  std::vector<std::string> open;
  std::string like, base, dtype = "auto", out;
  int64_t count = 1000;
  double threshold = 0.9;
  bool as_json = false;
};

std::vector<data::Dataset> read_sets(const std::vector<std::string>& paths) {
  std::vector<data::Dataset> sets;
  for (const std::string& path : paths) {
    sets.push_back(data::read_dataset({.path = path}, data::Purpose::kTraining));
    LMOE_CHECK_ARG(sets.back().type != data::RecordType::kPreference, "[select] ", sets.back().file,
                   ": given preference records, expected records with one answer, or text");
  }
  return sets;
}

/// They shall be in one file.
void check_one_shape(const std::vector<data::Dataset>& sets) {
  for (const data::Dataset& set : sets)
    LMOE_CHECK_ARG(set.type == sets.front().type, "[select] ", set.file,
                   ": two shapes cannot be in one file: given ", enum_name(set.type),
                   " records, expected ", enum_name(sets.front().type), " as in ",
                   sets.front().file, "; hint: select from each alone");
}

std::vector<std::vector<int32_t>> token_ids(const std::vector<data::Dataset>& sets,
                                            const data::Renderer& renderer) {
  std::vector<std::vector<int32_t>> documents;
  for (const data::Dataset& set : sets)
    for (const data::Record& record : set.records) {
      data::Example example = renderer.render(record, set.file);
      LMOE_CHECK_ARG(example.passages.empty(), "[select] ", set.file, ":", record.line,
                     ": records with passages cannot be embedded: given passages, expected plain "
                     "records");
      documents.push_back(std::move(example.ids));
    }
  return documents;
}

/// [D, H]
at::Tensor embed(const std::vector<data::Dataset>& sets,
                 const std::string& phase,
                 const ChosenModel& model) {
  Progress progress(phase);
  at::Tensor rows = runner::embed_documents(
      *model.loaded->decoder, token_ids(sets, *model.renderer), [&](int64_t done, int64_t total) {
        progress.update(done, total);
        if (interrupted() && done < total)
          fail(ErrorCode::kInterrupted, "[select] interrupted; nothing was written");
      });
  progress.finish();
  return rows;
}

/// In place: what all have in common is taken away, and each gets length 1. Hidden states share a
/// few very large components: without this, of pairs of one task's records under SmolLM2-135M 97 in
/// 100 had cosines above 0.9, with it 2 in 100.
void centre_and_scale(at::Tensor& open, at::Tensor& samples) {
  const at::Tensor mean = at::cat({open, samples}).to(at::kDouble).mean(/*dim=*/0).to(at::kFloat);
  for (at::Tensor* rows : {&open, &samples}) {
    rows->sub_(mean);
    rows->div_(rows->norm(2, /*dim=*/1, /*keepdim=*/true).clamp_min_(1e-12));
  }
}

kshot::UnitRows view_of(const at::Tensor& rows) {
  return {{rows.const_data_ptr<float>(), static_cast<size_t>(rows.numel())}, rows.size(1)};
}

struct DataSelection {
  size_t similar = 0;  ///< before copies were left out
  std::vector<kshot::SimilarRecord> kept;
};

DataSelection select(const SelectArguments& given,
                     const std::vector<data::Dataset>& open_sets,
                     const std::vector<data::Dataset>& sample_sets) {
  const ChosenModel model = open_model({.base = given.base, .dtype = given.dtype});
  at::Tensor samples = embed(sample_sets, "embedding the samples", model);
  at::Tensor open = embed(open_sets, "embedding open data", model);
  centre_and_scale(open, samples);
  const auto similar = kshot::most_similar(view_of(open), view_of(samples), given.count);
  return {similar.size(), kshot::without_copies(view_of(open), similar, given.threshold)};
}

/// Where a record of several data sets stands.
struct Place {
  const data::Dataset* set = nullptr;
  int64_t line = 0;
};

Place place_of(int64_t record, const std::vector<data::Dataset>& sets) {
  for (const data::Dataset& set : sets) {
    if (record < std::ssize(set.records))
      return {&set, set.records[static_cast<size_t>(record)].line};
    record -= std::ssize(set.records);
  }
  fail(ErrorCode::kInternal, "[select] record ", record, " is beyond the data");
}

/// The records as their files have them, keys that nobody uses included, in the order of `kept`.
std::string lines_of(const std::vector<kshot::SimilarRecord>& kept,
                     const std::vector<data::Dataset>& sets) {
  std::map<std::string, std::map<int64_t, std::string>> texts;  // file, line
  for (const kshot::SimilarRecord& one : kept) {
    const Place place = place_of(one.record, sets);
    texts[place.set->file][place.line];
  }
  for (auto& file : texts) {
    std::map<int64_t, std::string>& lines = file.second;
    data::read_json_records(file.first, [&](const Json& object, int64_t line) {
      if (const auto found = lines.find(line); found != lines.end()) found->second = object.dump();
      return line < lines.rbegin()->first;
    });
    for (const auto& [line, text] : lines)
      LMOE_CHECK_DATA(!text.empty(), "[select] ", file.first, ":", line,
                      " is no longer there: the file changed while it was read");
  }
  std::string all;
  for (const kshot::SimilarRecord& one : kept) {
    const Place place = place_of(one.record, sets);
    all += texts[place.set->file][place.line] + "\n";
  }
  return all;
}

Json json_of(const DataSelection& selection,
             const std::vector<data::Dataset>& open,
             const std::vector<data::Dataset>& samples) {
  Json json = {{"similar", selection.similar}, {"records", Json::array()}};
  for (const kshot::SimilarRecord& one : selection.kept) {
    const Place place = place_of(one.record, open);
    json["records"].push_back({{"file", place.set->file},
                               {"line", place.line},
                               {"cosine", one.cosine},
                               {"sample_line", place_of(one.sample, samples).line}});
  }
  return json;
}

/// How many records each file gave.
std::string table_of(const DataSelection& selection, const std::vector<data::Dataset>& open) {
  std::map<const data::Dataset*, int64_t> counts;
  for (const kshot::SimilarRecord& one : selection.kept) ++counts[place_of(one.record, open).set];
  std::vector<std::vector<std::string>> rows = {{"data", "records", "chosen"}};
  for (const data::Dataset& set : open)
    rows.push_back({set.file, std::to_string(set.records.size()), std::to_string(counts[&set])});
  const double last = selection.kept.back().cosine;
  return concat(eval::align_columns(rows), selection.similar, " most similar, ",
                selection.similar - selection.kept.size(), " of them copies; cosines ",
                eval::fixed(selection.kept.front().cosine, 3), " to ", eval::fixed(last, 3), "\n");
}

/// Near copies are looked for among all pairs of them.
constexpr int64_t kMostRecords = 20'000;

void check(const SelectArguments& given) {
  LMOE_CHECK_ARG(given.count >= 1 && given.count <= kMostRecords, "[select] --count: given ",
                 given.count, ", expected 1 to ", kMostRecords);
  LMOE_CHECK_ARG(given.threshold >= -1.0 && given.threshold <= 1.0, "[select] --threshold: given ",
                 given.threshold, ", expected a cosine, -1 to 1");
  check_new_file(given.out, "select", "--out");
}

}  // namespace

int run_select_data(const std::vector<std::string>& arguments) {
  SelectArguments given;
  CLI::App app{
      "Chooses records of open data by a few samples of a task: those most like a sample, without "
      "near\n"
      "copies of each other. A record is embedded as the mean of the base model's last hidden "
      "states over\n"
      "prompt and answer, less the mean of all records; likeness is the cosine.",
      "lmoe select data"};
  app.footer(
      "Of the most similar --count records, from the most similar down, each is left out whose "
      "cosine with\n"
      "one that was kept is above --threshold. The paper embeds with a sentence encoder (BGE).\n"
      "examples:\n"
      "  lmoe select data data/tasks/clinc150 data/tasks/snips --like data/tasks/scan#50 \\\n"
      "    --base smollm2-135m --count 1000 --threshold 0.9 --out open.jsonl");
  app.add_option("open", given.open, "JSON lines of one shape, or folders with train.jsonl")
      ->required();
  app.add_option("--like", given.like, "samples of the task; FILE#50")->required();
  app.add_option("--base", given.base, "the model that embeds")->required();
  app.add_option("--count", given.count, "how many of the most similar; default 1000");
  app.add_option("--threshold", given.threshold, "cosine above which two are copies; default 0.9");
  app.add_option("--out", given.out, "the file to write, as JSON lines")->required();
  app.add_option("--dtype", given.dtype, "auto, float32 or bfloat16");
  app.add_flag("--json", given.as_json, "machine-readable");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  check(given);
  catch_interrupts();
  const std::vector<data::Dataset> open = read_sets(given.open), samples = read_sets({given.like});
  check_one_shape(open);
  const DataSelection selection = select(given, open, samples);
  write_file_atomically(given.out, lines_of(selection.kept, open));
  std::printf("%s", given.as_json ? (json_of(selection, open, samples).dump() + "\n").c_str()
                                  : table_of(selection, open).c_str());
  std::fprintf(given.as_json ? stderr : stdout, "data: %s\n", given.out.c_str());
  return 0;
}

}  // namespace lmoe::cli
