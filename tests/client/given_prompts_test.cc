#include "client/given_prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/atomic_file.h"
#include "common/npy.h"
#include "common/status.h"
#include "induct/v1/profile.pb.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

using Prompts = google::protobuf::RepeatedPtrField<v1::Prompt>;

absl::StatusOr<Prompts> PromptsOf(const std::string& path) {
  v1::ProfileSpec spec;
  const absl::Status read = ReadPromptFile(path, GivenPrompts(), &spec);
  if (!read.ok()) return read;
  return spec.given_prompts();
}

absl::StatusOr<Prompts> RowsOf(const std::string& path) {
  v1::ProfileSpec spec;
  const absl::Status read = ReadTokenFile(path, &spec);
  if (!read.ok()) return read;
  return spec.given_prompts();
}

class GivenPromptsTest : public testing::Test {
 protected:
  std::string File(const std::string& name, const std::string& bytes) {
    EXPECT_TRUE(WriteFileAtomically(folder_ / name, bytes).ok());
    return folder_ / name;
  }
  std::string ErrorOf(const std::string& name, const std::string& bytes) {
    const auto prompts = PromptsOf(File(name, bytes));
    EXPECT_EQ(prompts.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(prompts.status().message());
  }
  TemporaryFolder folder_;
};

TEST_F(GivenPromptsTest, ATextFileGivesAPromptALine) {
  const auto prompts =
      PromptsOf(File("p.txt", "\xef\xbb\xbf first\r\n\n   \nsecond \xc3\xa9\nlast without an end"));
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  ASSERT_THAT(*prompts, SizeIs(3));
  EXPECT_EQ((*prompts)[0].text(), " first");
  EXPECT_EQ((*prompts)[1].text(), "second \xc3\xa9");
  EXPECT_EQ((*prompts)[2].text(), "last without an end");
  EXPECT_EQ((*prompts)[0].task(), "");
}

TEST_F(GivenPromptsTest, RecordsOfARunComeBackWhole) {
  const auto prompts =
      PromptsOf(File("p.jsonl",
                     "{\"task\":\"ABAB\",\"lag\":4,\"text\":\" a "
                     "b\",\"token_ids\":[0,4294967295],\"n_bos\":1}\n{\"text\":\"x\\ny\"}\n"));
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  ASSERT_THAT(*prompts, SizeIs(2));
  const v1::Prompt& record = (*prompts)[0];
  EXPECT_EQ(record.task(), "ABAB");
  EXPECT_EQ(record.lag(), 4u);
  EXPECT_EQ(record.text(), " a b");
  EXPECT_THAT(record.token_ids(), ElementsAre(0u, 4294967295u));
  EXPECT_EQ(record.n_bos(), 1u);
  EXPECT_EQ((*prompts)[1].text(), "x\ny");
}

TEST_F(GivenPromptsTest, ErrorsNameFileAndLine) {
  EXPECT_THAT(ErrorOf("p.txt", "good\nbad \xff\n"), HasSubstr("p.txt:2: no valid UTF-8"));
  EXPECT_THAT(ErrorOf("p.txt", "\n \r\n\t\n"), HasSubstr("holds no prompt"));
  EXPECT_THAT(ErrorOf("p.txt", ""), HasSubstr("holds no prompt"));
  const std::pair<const char*, const char*> bad_lines[] = {
      {"{\"text\": 3}", "text must be a string"},
      {"{}", "neither text nor token_ids"},
      {"{\"text\": \"a\", \"token_id\": [1]}", "there is no key \"token_id\"; did you mean token_ids?"},
      {"{\"prompt\": \"a\"}", "there is no key \"prompt\"; known are task, lag, text, token_ids, n_bos"},
      {"[1]", "no JSON object"},
      {"{\"text\": \"a\"", "no JSON object"},
      {"{\"token_ids\": \"1\"}", "token_ids must be a list"},
      {"{\"token_ids\": []}", "token_ids must be a list"},
      {"{\"token_ids\": [1, -1]}", "token_ids: -1 is no token id"},
      {"{\"token_ids\": [4294967296]}", "token_ids: 4294967296 is no token id"},
      {"{\"token_ids\": [1.5]}", "token_ids: 1.5 is no token id"},
      {"{\"text\": \"a\", \"n_bos\": 2}", "n_bos must be a whole number from 0 to 1"},
      {"{\"text\": \"a\", \"lag\": \"4\"}", "lag must be a whole number"},
      {"{\"text\": \"a\", \"task\": 1}", "task must be a string"},
  };
  for (const auto& [line, error] : bad_lines) {
    EXPECT_THAT(ErrorOf("p.jsonl", std::string("{\"text\":\"good\"}\n\n") + line + "\n"),
                HasSubstr(std::string("p.jsonl:3: ") + error));
  }
}

// What NameFileAndLine makes of an error of the second prompt, which came from `path`.
class NamedPlaceTest : public GivenPromptsTest {
 protected:
  absl::Status Named(const std::string& path, bool are_rows, const std::string& field) {
    const auto prompts = are_rows ? RowsOf(path) : PromptsOf(path);
    if (spec_.given_prompts().empty())
      spec_.mutable_given_prompts()->Assign(prompts->begin(), prompts->end());
    return NameFileAndLine(InvalidField(field, "prompt 1: no"),
                           {.holder = spec_, .kind = GivenPrompts(), .path = path, .are_rows = are_rows});
  }
  v1::ProfileSpec spec_;
};

TEST_F(NamedPlaceTest, TheLineIsTheEditorsWhereBlankLinesWereSkipped) {
  const std::string text = File("p.txt", "\n\nfirst\r\n \nsecond\n");
  const absl::Status named = Named(text, false, "given_prompts[1]");
  EXPECT_EQ(named.message(), text + ":5: prompt 1: no");
  EXPECT_EQ(ReasonOf(named), reason::kInvalidField);
  spec_.clear_given_prompts();
  const std::string records = File("p.jsonl", "{\"token_ids\":[1]}\n\n{\"token_ids\":[2,3]}\n");
  EXPECT_EQ(Named(records, false, "given_prompts[1].token_ids[0]").message(), records + ":3: prompt 1: no");
}

TEST_F(NamedPlaceTest, ARowOfAnArrayCountsFrom0) {
  const std::vector<uint32_t> ids = {1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> shape = {2, 3};
  const std::string path = File("t.npy", NpyBytes(ids, shape));
  EXPECT_EQ(Named(path, true, "given_prompts[1].token_ids[2]").message(), path + ", row 1: prompt 1: no");
}

TEST_F(NamedPlaceTest, AFileThatHasChangedIsNamedWithoutALine) {
  const std::string path = File("p.txt", "first\nsecond\n");
  EXPECT_EQ(Named(path, false, "given_prompts[1]").message(), path + ":2: prompt 1: no");
  File("p.txt", "first\nanother\nsecond\n");
  EXPECT_EQ(Named(path, false, "given_prompts[1]").message(), path + ": prompt 1: no");
}

TEST_F(NamedPlaceTest, OtherErrorsStayAsTheyAre) {
  const std::string path = File("p.txt", "first\nsecond\n");
  for (const std::string field : {"given_prompts", "given_prompts[2]", "given_prompts[", "given_prompts[-1]",
                                  "control_prompts[1]", "model"})
    EXPECT_EQ(Named(path, false, field), InvalidField(field, "prompt 1: no"));
}

TEST_F(GivenPromptsTest, DeeplyNestedJsonIsRefusedWithoutACrash) {
  EXPECT_THAT(ErrorOf("p.jsonl", std::string(200000, '[')), HasSubstr("no JSON object"));
}

TEST_F(GivenPromptsTest, AMissingFileIsNamed) {
  const auto prompts = PromptsOf(folder_ / "none.txt");
  EXPECT_EQ(prompts.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(prompts.status().message()), HasSubstr("none.txt"));
}

TEST_F(GivenPromptsTest, TokenRowsAreRead) {
  const std::vector<uint32_t> ids = {1, 2, 3, 4, 5, 4294967295u};
  const std::vector<int64_t> shape = {2, 3};
  const auto prompts = RowsOf(File("t.npy", NpyBytes(ids, shape)));
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  ASSERT_THAT(*prompts, SizeIs(2));
  EXPECT_THAT((*prompts)[1].token_ids(), ElementsAre(4u, 5u, 4294967295u));
  EXPECT_EQ((*prompts)[1].task(), "TOKENS");
}

// An int64 array [1, 2], written by hand: NpyBytes writes no signed integers.
std::string Int64Npy(int64_t first, int64_t second) {
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }";
  header.append(117 - header.size(), ' ');
  std::string bytes("\x93NUMPY\x01\x00\x76\x00", 10);
  bytes += header + "\n";
  for (const int64_t value : {first, second}) bytes.append(reinterpret_cast<const char*>(&value), 8);
  return bytes;
}

TEST_F(GivenPromptsTest, IdsThatCanBeNoTokenAreNamedWithTheirPlace) {
  EXPECT_TRUE(RowsOf(File("t.npy", Int64Npy(0, 7))).ok());
  for (const int64_t bad : {int64_t{-1}, int64_t{1} << 32}) {
    const auto prompts = RowsOf(File("t.npy", Int64Npy(0, bad)));
    EXPECT_EQ(prompts.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(prompts.status().message()),
                HasSubstr("row 0, column 1, both from 0, holds " + std::to_string(bad)));
  }
}

TEST_F(GivenPromptsTest, OtherArraysAreRefusedWithTheFilesName) {
  const std::vector<float> values = {1, 2};
  const std::vector<int64_t> shape = {1, 2};
  for (const std::string& bytes : {NpyBytes(values, shape), std::string("no array"), std::string()}) {
    const auto prompts = RowsOf(File("t.npy", bytes));
    EXPECT_EQ(prompts.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(prompts.status().message()), HasSubstr("t.npy"));
  }
}

}  // namespace
}  // namespace induct::client
