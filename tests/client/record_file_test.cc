// Files of records of any kind: here heads, a pair of numbers a line.
#include "client/record_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/exit_code.h"
#include "common/atomic_file.h"
#include "common/status.h"
#include "induct/v1/causal.pb.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

absl::Status ReadHead(const std::string&, const std::string& line, google::protobuf::Message* record) {
  const auto object = ParseRecord(line, {"layer", "head"});
  if (!object.ok()) return object.status();
  if (!object->contains("layer")) return absl::OkStatus();
  const auto layer = AsUint32((*object)["layer"]);
  if (!layer) return absl::InvalidArgumentError(absl::StrCat(Quoted((*object)["layer"]), " is no layer"));
  dynamic_cast<v1::HeadRef&>(*record).set_layer(*layer);
  return absl::OkStatus();
}

const RecordKind kHeads = {.field = "heads", .noun = "head", .most = 3, .read = ReadHead};

class RecordFileTest : public testing::Test {
 protected:
  absl::Status Read(const std::string& bytes) {
    spec_.Clear();
    EXPECT_TRUE(WriteFileAtomically(path_, bytes).ok());
    return ReadRecords(path_, kHeads, &spec_);
  }
  std::string Named(const std::string& field) {
    return std::string(
        NameFileAndLine(InvalidField(field, "no such head"), {.holder = spec_, .kind = kHeads, .path = path_})
            .message());
  }
  TemporaryFolder folder_;
  const std::string path_ = folder_ / "h.jsonl";
  v1::CausalSpec spec_;
};

TEST_F(RecordFileTest, ARecordALineGoesIntoItsField) {
  ASSERT_TRUE(Read("\xef\xbb\xbf{\"layer\": 4}\r\n\n  \n{\"layer\": 5}").ok());
  ASSERT_THAT(spec_.heads(), SizeIs(2));
  EXPECT_EQ(spec_.heads(1).layer(), 5u);
}

TEST_F(RecordFileTest, ErrorsNameFileAndLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"{}\n\n[]", "h.jsonl:3: no JSON object"},
      {"{\"layer\": 1e400}", "h.jsonl:1: no JSON object"},
      {"{}\n{\"laier\": 1}", "h.jsonl:2: there is no key \"laier\"; did you mean layer?"},
      {"{\"x\": 1}", "h.jsonl:1: there is no key \"x\"; known are layer, head"},
      {"{\"layer\": -1}", "h.jsonl:1: -1 is no layer"},
      {"{\"layer\": 1.0}", "h.jsonl:1: 1.0 is no layer"},
      {"{\"layer\": 4294967296}", "h.jsonl:1: 4294967296 is no layer"},
      {"{}\n\"\xff\"", "h.jsonl:2: no valid UTF-8"},
      {"\n\n", "h.jsonl: holds no head"},
      {"{}\n\n{}\n{}\n{}\n[", "h.jsonl:5: more than 3 heads, which is what a job may have"}};
  for (const auto& [bytes, error] : cases) {
    const absl::Status status = Read(bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bytes;
    EXPECT_THAT(std::string(status.message()), HasSubstr(error));
  }
}

TEST_F(RecordFileTest, WhatAServerSaysOfARecordNamesItsLine) {
  ASSERT_TRUE(Read("{\"layer\": 4}\n\n{\"layer\": 5}").ok());
  EXPECT_EQ(Named("heads[1]"), path_ + ":3: no such head");
  EXPECT_EQ(Named("heads[1].layer"), path_ + ":3: no such head");
  EXPECT_EQ(Named("heads[2]"), "heads[2]: no such head");
  EXPECT_EQ(Named("heads"), "heads: no such head");
  EXPECT_TRUE(WriteFileAtomically(path_, "{\"layer\": 4}\n\n{\"layer\": 6}").ok());
  EXPECT_EQ(Named("heads[1]"), path_ + ": no such head") << "the file has changed";
}

TEST_F(RecordFileTest, AFileThatCannotBeReadIsTheUsersToMend) {
  EXPECT_EQ(ExitCodeOf(ReadRecords(folder_ / "none", kHeads, &spec_)), ExitCode::kUsage);
}

}  // namespace
}  // namespace induct::client
