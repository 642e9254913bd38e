#include "data/record.h"

#include "data/data_files.h"
#include "data/json_records.h"

namespace lmoe::data {
namespace {

using test::expect_error;
using test::TempFolder;
using test::write;

Dataset read(const std::string& path, Purpose purpose = Purpose::kTraining) {
  DatasetOptions options;
  options.path = path;
  return read_dataset(options, purpose);
}

TEST(Records, ShapesAreFoundFromTheirKeys) {
  const auto type = [](const char* json, Purpose purpose = Purpose::kTraining) {
    return detect_type(Json::parse(json), purpose);
  };
  EXPECT_EQ(type(R"({"messages": [], "text": ""})"), RecordType::kMessages);
  EXPECT_EQ(type(R"({"conversations": []})"), RecordType::kShareGpt);
  EXPECT_EQ(type(R"({"instruction": "", "output": ""})"), RecordType::kAlpaca);
  EXPECT_EQ(type(R"({"prompt": "", "completion": "", "text": ""})"), RecordType::kPromptCompletion);
  EXPECT_EQ(type(R"({"prompt": "", "response": ""})"), RecordType::kPromptCompletion);
  EXPECT_EQ(type(R"({"text": ""})"), RecordType::kText);
  EXPECT_EQ(type(R"({"prompt": ""})"), RecordType::kAuto);
  const char* arc = R"({"prompt": "", "response": "", "choices": [], "label": 0})";
  EXPECT_EQ(type(arc), RecordType::kPromptCompletion);
  EXPECT_EQ(type(arc, Purpose::kEvaluation), RecordType::kChoice);
  EXPECT_EQ(type(R"({"prompt": "", "choices": [], "label": 0})"), RecordType::kChoice);
}

TEST(Records, JsonLinesWithEveryKindOfLineEnd) {
  const TempFolder folder;
  const auto path = write(folder, "a.jsonl",
                          "\xEF\xBB\xBF{\"prompt\": \"a\", \"response\": \"b\", \"x\": 1}\r\n\n  \n"
                          "{\"prompt\": \"c\", \"response\": \"d\", \"y\": 1, \"x\": 2}");
  const Dataset set = read(path);
  EXPECT_EQ(set.type, RecordType::kPromptCompletion);
  EXPECT_EQ(set.name, "a");
  ASSERT_EQ(set.records.size(), 2u);
  EXPECT_EQ(set.records[0].line, 1);
  EXPECT_EQ(set.records[1].line, 4);
  EXPECT_EQ(set.records[1].prompt, "c");
  EXPECT_EQ(set.records[1].response, "d");
  EXPECT_EQ(set.extra_keys, (std::vector<std::string>{"x", "y"}));
}

TEST(Records, JsonListFolderAndCounts) {
  const TempFolder folder;
  const auto list = write(folder, "list.json", " [{\"text\": \"a\"}, {\"text\": \"b\"}]\n");
  EXPECT_EQ(read(list).records[1].line, 2);
  EXPECT_EQ(read(list + "#1").records.size(), 1u);
  write(folder, "scan/train.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n");
  write(folder, "scan/valid.jsonl", "{\"text\": \"v\"}\n");
  DatasetOptions options;
  options.path = (folder.path() / "scan").string();
  EXPECT_EQ(read_dataset(options, Purpose::kTraining).records.size(), 3u);
  EXPECT_EQ(read_dataset(options, Purpose::kTraining).name, "scan");
  options.max_samples = 2;
  EXPECT_EQ(read_dataset(options, Purpose::kTraining).records.size(), 2u);
  options.split = "validation";
  options.name = "mine";
  EXPECT_EQ(read_dataset(options, Purpose::kTraining).records[0].text, "v");
  EXPECT_EQ(read_dataset(options, Purpose::kTraining).name, "mine");
  options.split = "test";
  expect_error(ErrorCode::kNotFound, "test.jsonl",
               [&] { read_dataset(options, Purpose::kTraining); });
  options.split = "../scan/train";
  expect_error(ErrorCode::kInvalidArgument, "split",
               [&] { read_dataset(options, Purpose::kTraining); });
  expect_error(ErrorCode::kNotFound, "/nowhere.jsonl", [] { read("/nowhere.jsonl"); });
  expect_error(ErrorCode::kNotFound, "/nowhere.jsonl", [] { read("/nowhere.jsonl#5"); });
}

TEST(Records, ASplitMayBeAPartOfItsFile) {
  const TempFolder folder;
  std::string lines;
  for (const char* text : {"a", "b", "c", "d", "e", "f", "g"})
    lines += concat("{\"text\": \"", text, "\"}\n");
  write(folder, "scan/train.jsonl", lines);
  DatasetOptions options;
  options.path = (folder.path() / "scan").string();
  const auto texts = [&](const std::string& split, int64_t max_samples = 0) {
    options.split = split;
    options.max_samples = max_samples;
    std::string all;
    for (const Record& record : read_dataset(options, Purpose::kTraining).records)
      all += record.text;
    return all;
  };
  EXPECT_EQ(texts("train[:60%]"), "abcd");  // 4.2 of 7
  EXPECT_EQ(texts("train[60%:]"), "efg");
  EXPECT_EQ(texts("train[2:5]"), "cde");
  EXPECT_EQ(texts("train[:]"), "abcdefg");
  EXPECT_EQ(texts("train[60%:]", 2), "ef");
  EXPECT_EQ(texts("train[5:100]"), "fg");
  options.path = (folder.path() / "scan" / "train.jsonl").string();
  EXPECT_EQ(texts("train[:1]"), "a");
  for (const char* split : {"train[60%]", "train[a:]", "train[:101%]", "train[-2:]", "train[3:3]",
                            "train[:5", "[:5]", "train[9:]"})
    expect_error(ErrorCode::kInvalidArgument, "split", [&] { texts(split); });
}

TEST(Records, ConversationsBecomeMessages) {
  const TempFolder folder;
  const auto alpaca = read(write(
      folder, "alpaca.jsonl",
      R"({"instruction": "Do", "input": "this", "output": "ok", "system": "S", "history": [["q", "a"]]})"));
  EXPECT_EQ(alpaca.records[0].messages, Json::parse(R"([
      {"role": "system", "content": "S"}, {"role": "user", "content": "q"},
      {"role": "assistant", "content": "a"}, {"role": "user", "content": "Do\nthis"},
      {"role": "assistant", "content": "ok"}])"));
  const auto sharegpt = read(write(folder, "sharegpt.json",
                                   R"([{"conversations": [{"from": "human", "value": "h"},
          {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"},
          {"from": "observation", "value": "o"}, {"from": "gpt", "value": "g"}],
          "system": "S", "tools": "[{\"name\": \"f\"}]"}])"));
  EXPECT_EQ(sharegpt.records[0].messages, Json::parse(R"([
      {"role": "system", "content": "S"}, {"role": "user", "content": "h"},
      {"role": "assistant", "content": "", "tool_calls":
        [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]},
      {"role": "tool", "content": "o"}, {"role": "assistant", "content": "g"}])"));
  EXPECT_EQ(sharegpt.records[0].tools, Json::parse(R"([{"name": "f"}])"));
}

TEST(Records, ChoiceKeepsTheRightAnswer) {
  const TempFolder folder;
  const auto path = write(folder, "c.jsonl",
                          R"({"prompt": "p", "choices": ["x", "y"], "label": 1, "response": "z"})");
  const Dataset set = read(path, Purpose::kEvaluation);
  EXPECT_EQ(set.records[0].response, "y");
  EXPECT_EQ(set.records[0].label, 1);
  EXPECT_EQ(read(path).records[0].response, "z");
}

struct BadFile {
  const char* content;
  ErrorCode code;
  const char* message;
};

TEST(Records, BadFilesAreRefusedWithFileAndLine) {
  const TempFolder folder;
  const BadFile files[] = {
      {"", ErrorCode::kInvalidArgument, "no records"},
      {"\n\n", ErrorCode::kInvalidArgument, "no records"},
      {"{\"text\": \"a\"}\n{\"text\": }\n", ErrorCode::kCorruptData, ":2: no valid JSON"},
      {"{\"text\": \"a\"}\n{\"text\": \"\xFF\"}\n", ErrorCode::kCorruptData,
       "ill-formed UTF-8 byte; expected one object per line"},
      {"{\"text\": \"a\"} {\"text\": \"b\"}", ErrorCode::kCorruptData, ":1: no valid JSON"},
      {"\"text\"", ErrorCode::kCorruptData, ":1: given string"},
      {"[1]", ErrorCode::kCorruptData, ":1: given number"},
      {"{\"a\": 1, \"b\": 2}", ErrorCode::kInvalidArgument, "given the keys a, b"},
      {"{\"text\": \"a\"}\n{\"prompt\": \"a\", \"response\": \"b\"}", ErrorCode::kCorruptData,
       ":2: two shapes in one file: given prompt_completion, expected text as in line 1"},
      {"{\"text\": null}", ErrorCode::kCorruptData, ":1: the field \"text\" is missing or null"},
      {"{\"text\": 5}", ErrorCode::kCorruptData, "\"text\": given number, expected text"},
      {"{\"prompt\": \"a\", \"response\": null}", ErrorCode::kCorruptData, "\"completion\""},
      {"{\"prompt\": \"a\", \"response\": \"b\", \"completion\": \"c\"}", ErrorCode::kCorruptData,
       "differ"},
      {"{\"prompt\": \"a\", \"choices\": [\"b\"], \"label\": 0}", ErrorCode::kCorruptData,
       "at least two"},
      {"{\"prompt\": \"a\", \"choices\": [\"b\", \"c\"], \"label\": 2}", ErrorCode::kCorruptData,
       "from 0 to 1"},
      {"{\"prompt\": \"a\", \"choices\": [\"b\", \"c\"], \"label\": 0.5}", ErrorCode::kCorruptData,
       "\"label\""},
      {"{\"prompt\": \"a\", \"choices\": [\"b\", 3], \"label\": 0}", ErrorCode::kCorruptData,
       "\"choices\""},
      {"{\"messages\": []}", ErrorCode::kCorruptData, "an empty array"},
      {"{\"messages\": [{\"role\": \"user\"}]}", ErrorCode::kCorruptData, "neither"},
      {"{\"messages\": [{\"content\": \"x\"}]}", ErrorCode::kCorruptData, "\"role\""},
      {"{\"messages\": [{\"role\": \"user\", \"content\": 1}]}", ErrorCode::kCorruptData,
       "\"content\""},
      {"{\"conversations\": [{\"from\": \"alien\", \"value\": \"x\"}]}", ErrorCode::kCorruptData,
       "given \"alien\""},
      {"{\"conversations\": [{\"from\": \"function_call\", \"value\": \"x\"}]}",
       ErrorCode::kCorruptData, "function_call"},
      {"{\"instruction\": \"x\"}", ErrorCode::kCorruptData, "\"output\""},
      {"{\"instruction\": \"x\", \"output\": \"y\", \"history\": [[\"q\"]]}",
       ErrorCode::kCorruptData, "\"history\""},
      {"{\"chosen\": \"y\", \"rejected\": \"z\"}", ErrorCode::kCorruptData,
       ":1: the field \"prompt\""},
      {"{\"prompt\": \"x\", \"chosen\": [], \"rejected\": \"z\"}", ErrorCode::kCorruptData,
       "\"chosen\": given array, expected text"},
      {"{\"prompt\": \"x\", \"chosen\": \"y\", \"rejected\": \"\"}", ErrorCode::kCorruptData,
       "\"rejected\" is empty"},
      {"{\"prompt\": \"x\", \"chosen\": \"y\", \"rejected\": \"y\"}", ErrorCode::kCorruptData,
       "are the same"},
      {"{\"prompt\": \"x\", \"messages\": [], \"chosen\": \"y\", \"rejected\": \"z\"}",
       ErrorCode::kCorruptData, "both there"},
      {"{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}], \"chosen\": \"y\", "
       "\"rejected\": \"z\"}",
       ErrorCode::kCorruptData, "the last turn is one of assistant"},
  };
  for (const BadFile& file : files) {
    const auto path = write(folder, "bad.jsonl", file.content);
    SCOPED_TRACE(file.content);
    expect_error(file.code, file.message, [&] { read(path); });
    expect_error(file.code, "bad.jsonl", [&] { read(path); });
  }
  expect_error(ErrorCode::kCorruptData, "too deep: given brackets", [&] {
    read(write(folder, "deep.jsonl", "{\"text\": " + std::string(100000, '[')));
  });
}

TEST(Records, AGivenTypeIsNotQuestioned) {
  const TempFolder folder;
  DatasetOptions options;
  options.path =
      write(folder, "a.jsonl", "{\"prompt\": \"p\", \"response\": \"r\", \"text\": \"t\"}");
  options.type = RecordType::kText;
  EXPECT_EQ(read_dataset(options, Purpose::kTraining).records[0].text, "t");
  options.type = RecordType::kAlpaca;
  expect_error(ErrorCode::kCorruptData, "\"instruction\"",
               [&] { read_dataset(options, Purpose::kTraining); });
}

TEST(Records, OneEnormousLineIsRefused) {
  const TempFolder folder;
  const auto path = write(folder, "huge.jsonl", "{\"text\": \"a\"}\n");
  std::filesystem::resize_file(path, kMaxLineBytes + 100);  // sparse: zeros to the end
  expect_error(ErrorCode::kCorruptData, ":2: the line has", [&] { read(path); });
}

}  // namespace
}  // namespace lmoe::data
