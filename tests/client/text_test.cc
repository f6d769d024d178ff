// The small pieces that text goes through: UTF-8, terminals, tables, addresses, command lines, errors.
#include "client/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "client/address.h"
#include "client/commands/command_line.h"
#include "client/exit_code.h"
#include "client/figures/captions.h"
#include "client/rpc_error.h"
#include "client/table.h"
#include "common/status.h"
#include "common/utf8.h"
#include "google/rpc/error_details.pb.h"
#include "tests/client/fake_server.h"

namespace induct::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(TextTest, CountsThatMessagesCarryAsDoublesAreNumbersOrNone) {
  EXPECT_EQ(AsCount(12345), 12345u);
  EXPECT_EQ(AsCount(-1), 0u);
  EXPECT_EQ(AsCount(std::nan("")), 0u);
  EXPECT_EQ(AsCount(HUGE_VAL), uint64_t{1} << 53);
}

TEST(TextTest, TellsUtf8FromOtherBytes) {
  for (const char* good :
       {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
    EXPECT_TRUE(IsUtf8(good)) << Printable(good);
  }
  for (const char* bad : {"\xff", "\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                          "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "a\xe2\x82"}) {
    EXPECT_FALSE(IsUtf8(bad)) << Printable(bad);
  }
}

TEST(TextTest, NothingPrintableSteersATerminal) {
  EXPECT_EQ(Printable("a\x1b[2J\n\t\x7f\xc2\x9b\xc3\xa9\xff"), "a\\x1b[2J\\n\\t\\x7f\\xc2\\x9b\xc3\xa9\\xff");
  EXPECT_EQ(Printable("a\u202eb\u2066"), "a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6") << "turns what follows";
}

// What bash makes of a word.
std::string ReadByShell(const std::string& word) {
  std::FILE* const shell =
      popen(absl::StrCat("exec bash -c ", ShellQuoted("printf %s " + word)).c_str(), "r");
  std::string text(100, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), shell));
  pclose(shell);
  return text;
}

TEST(TextTest, AShellReadsAWordAsItWasWritten) {
  EXPECT_EQ(ShellQuoted("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellQuoted("\\n"), "'\\n'");
  EXPECT_EQ(ShellQuoted("it's\n\\"), "$'it\\'s\\012\\\\'");
  for (const char* text :
       {"", "it's", "a\nb", "'\t'\\", "\x1b[1m9", "na\u00efve \u202e", "$HOME `ls` \"!*"}) {
    EXPECT_EQ(ReadByShell(ShellQuoted(text)), text);
    EXPECT_EQ(Printable(ShellQuoted(text)), ShellQuoted(text)) << "and one line, and no terminal is steered";
  }
}

TEST(TextTest, TableColumnsAlignByCharacters) {
  EXPECT_EQ(FormatTable({"NAME", "N"}, {{"caf\xc3\xa9", "1"}, {"x\n", "22"}}),
            "NAME  N\ncaf\xc3\xa9  1\nx\\n   22\n");
}

TEST(TextTest, CaptionsShortenTheMiddleAndGroupDigits) {
  EXPECT_EQ(Shortened("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(Shortened("abcdefghij", 7), "abc\xe2\x80\xa6hij");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Counted(1234567, "prompt"), "1,234,567 prompts");
  EXPECT_EQ(Counted(1, "copy operation"), "1 copy operation");
  EXPECT_EQ(Counted(0, "job"), "0 jobs");
  EXPECT_EQ(TickStep(24, 24), 1);
  EXPECT_EQ(TickStep(48, 24), 2);
  EXPECT_EQ(TickStep(1000, 24), 50);
}

TEST(AddressTest, FillsInThePort) {
  EXPECT_EQ(ParseAddress("gpu01").value(), "gpu01:50051");
  EXPECT_EQ(ParseAddress("gpu01:7").value(), "gpu01:7");
  EXPECT_EQ(ParseAddress("unix:/run/x").value(), "unix:/run/x");
  EXPECT_EQ(ParseAddress("[::1]").value(), "[::1]:50051");
  EXPECT_EQ(ParseAddress("[::1]:7").value(), "[::1]:7");
  EXPECT_EQ(ParseAddress("::1").value(), "[::1]:50051");
}

TEST(AddressTest, RefusesWhatIsNone) {
  for (const char* bad : {"", "a b", "host:", "host:x", "host:0", "host:65536", ":5", "[::1",
                          "unix:", "http://host", "[::1]x5"}) {
    EXPECT_EQ(ParseAddress(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(CommandLineTest, HyphensAndLoneSwitchesAreOneSpelling) {
  EXPECT_THAT(NormalizeArguments({"profile", "--seq-len", "8", "--memory-saver", "--lag-values=1-2",
                                  "--prepend_bos", "false"}),
              ElementsAre("profile", "--seq_len", "8", "--memory_saver=true", "--lag_values=1-2",
                          "--prepend_bos", "false"));
  EXPECT_THAT(NormalizeArguments({"--memory_saver"}), ElementsAre("--memory_saver=true"));
  EXPECT_THAT(NormalizeArguments({"--", "--seq-len"}), ElementsAre("--", "--seq-len"));
}

TEST(ExitCodeTest, TheCodeNearestToTheCauseStays) {
  const absl::Status status = WithExitCode(absl::InternalError("x"), ExitCode::kOutput);
  EXPECT_EQ(ExitCodeOf(WithExitCode(status, ExitCode::kBusy)), ExitCode::kOutput);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("")), ExitCode::kJobFailed);
  EXPECT_EQ(ExitCodeOf(WithExitCode(absl::OkStatus(), ExitCode::kBusy)), ExitCode::kDone);
}

TEST(RpcErrorTest, ViolationsAreSentencesWithTheFlagsSpelling) {
  google::rpc::Status status;
  status.set_code(3);
  status.set_message("two things");
  google::rpc::BadRequest bad;
  auto* first = bad.add_field_violations();
  first->set_field("evaluation.high_score_quantile");
  first->set_description("evaluation.high_score_quantile: 2 given");
  auto* second = bad.add_field_violations();
  second->set_field("given_prompts[3]");
  second->set_description("is blank");
  status.add_details()->PackFrom(bad);
  const absl::Status error = FromRpcStatus(status);
  EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(error.message(), "--high_score_quantile: 2 given\ngiven_prompts[3]: is blank");
  EXPECT_EQ(DescribeField("run.seq_len", "too long"), "--seq_len: too long");
  EXPECT_EQ(DescribeField("model", "unknown"), "--model: unknown");
}

TEST(RpcErrorTest, AHubThatCannotBeUsedHasAnExitCodeOfItsOwn) {
  for (const auto& [reason, exit_code] : {std::pair{reason::kHubUnreachable, ExitCode::kHubUnusable},
                                          std::pair{reason::kHubUnavailable, ExitCode::kHubUnusable},
                                          std::pair{reason::kHubCacheUnusable, ExitCode::kJobFailed}}) {
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    google::rpc::Status status;
    status.set_code(static_cast<int>(absl::StatusCode::kUnavailable));
    status.add_details()->PackFrom(info);
    EXPECT_EQ(ExitCodeOf(FromRpcStatus(status)), exit_code) << reason;
  }
}

TEST(RpcErrorTest, TellsABrokenConnectionFromARefusal) {
  using grpc::StatusCode;
  EXPECT_TRUE(IsTransportError(grpc::Status(StatusCode::UNAVAILABLE, "connection reset")));
  EXPECT_TRUE(IsTransportError(grpc::Status(StatusCode::INTERNAL, "RST_STREAM")));
  EXPECT_FALSE(IsTransportError(ServerError(StatusCode::INTERNAL, "a fault", "INTERNAL")));
  EXPECT_FALSE(IsTransportError(ServerError(StatusCode::UNAVAILABLE, "draining", "DRAINING")));
  EXPECT_FALSE(IsTransportError(grpc::Status(StatusCode::NOT_FOUND, "")));
  const absl::Status error =
      FromGrpcStatus(ServerError(StatusCode::NOT_FOUND, "no model", "MODEL_NOT_FOUND", "model"));
  EXPECT_EQ(ReasonOf(error), "MODEL_NOT_FOUND");
  EXPECT_EQ(error.message(), "--model: no model");
}

TEST(RpcErrorTest, CausesAreAFewWordsWithoutThePathThatTheyCame) {
  const std::pair<const char*, const char*> cases[] = {
      {"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to "
       "remote "
       "host: Connection refused",
       "Connection refused"},
      {"failed to connect to all addresses; last error: UNKNOWN: unix:/x.sock: No such file or directory",
       "No such file or directory"},
      {"DNS resolution failed for x:1: C-ares status is not ARES_SUCCESS qtype=AAAA name=x is_balancer=0: "
       "Domain name not found",
       "name not known"},
      {"failed to connect to all addresses; last error: UNKNOWN: Timeout occurred: FD Shutdown", "timed out"},
      {"Deadline Exceeded", "timed out"},
      {"recvmsg:Connection reset by peer", "Connection reset by peer"},
      {"Socket closed", "Socket closed"},
      {"Received http2 header with status: 503", "Received http2 header with status: 503"},
      {"", "it closed the connection"},
  };
  for (const auto& [text, cause] : cases)
    EXPECT_EQ(ShortCause(grpc::Status(grpc::StatusCode::UNAVAILABLE, text)), cause);
}

}  // namespace
}  // namespace induct::client
