// induct-client health as scripts see it: one line and an exit code.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/client/fake_server.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

ClientResult AskHealth(const std::string& address, const std::vector<std::string>& more = {}) {
  const TemporaryFolder folder;
  std::vector<std::string> arguments = {"health", "--server", address};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunClient(arguments, folder.path());
}

// A port on which connections come about and nobody answers.
class SilentPort {
 public:
  SilentPort() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~SilentPort() { close(fd_); }
  const std::string& address() const { return address_; }

 private:
  const int fd_;
  std::string address_;
};

TEST(HealthTest, AServerThatTakesJobsIsALineAndZero) {
  const FakeServer server({.serving = true});
  const ClientResult result = AskHealth(server.address());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, absl::StrCat(server.address(), ": SERVING\n"));
  EXPECT_THAT(result.err, IsEmpty());
}

TEST(HealthTest, AServerThatShutsDownIsBusy) {
  const FakeServer server({.serving = false});
  const ClientResult result = AskHealth(server.address());
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(result.err, MatchesRegex("induct-client: 127[^\n]*: NOT_SERVING; [^\n]*\n"));
}

TEST(HealthTest, WhereNobodyListensItIsUnreachable) {
  const TemporaryFolder folder;
  const ClientResult result = AskHealth(absl::StrCat("unix:", folder / "nobody"));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, MatchesRegex("induct-client: cannot reach unix:[^\n]*\n"));
}

TEST(HealthTest, AServerThatDoesNotAnswerInTimeIsUnreachable) {
  const SilentPort port;
  const ClientResult result = AskHealth(port.address(), {"--timeout", "0.2"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr(absl::StrCat("cannot reach ", port.address(), ": timed out")));
}

TEST(HealthTest, AServerWithoutHealthIsNoInductServer) {
  const FakeServer server({});
  const ClientResult result = AskHealth(server.address());
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("does not answer as an induct-server"));
}

TEST(HealthTest, WithoutAServersAddressItIsWrongUsage) {
  const TemporaryFolder folder;
  const ClientResult result = RunClient({"health"}, folder.path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("this command needs a server"));
}

}  // namespace
}  // namespace induct::client
