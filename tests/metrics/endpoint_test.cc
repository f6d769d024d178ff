// The page over HTTP, asked for by bare sockets: well-behaved clients and others.
#include "server/metrics/endpoint.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/status.h"

namespace induct::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A connection to "127.0.0.1:port".
class Connection {
 public:
  explicit Connection(const std::string& address) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(static_cast<uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str()))),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0) << address;
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Send(const std::string& text) {
    EXPECT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL), text.size());
  }
  std::string ReadAll() {
    std::string all;
    char part[4096];
    for (ssize_t n; (n = recv(fd_, part, sizeof(part), 0)) > 0;) all.append(part, static_cast<size_t>(n));
    return all;
  }

 private:
  const int fd_;
};

std::string Ask(const std::string& address, const std::string& request_line) {
  Connection connection(address);
  connection.Send(absl::StrCat(request_line, " HTTP/1.1\r\nHost: x\r\n\r\n"));
  return connection.ReadAll();
}

class EndpointTest : public testing::Test {
 protected:
  // Longer than what the system keeps for a client that does not read.
  const std::string page_ = "a 1\n" + std::string(size_t{32} << 20, '#') + "\n";
  const std::unique_ptr<Endpoint> endpoint_ =
      Endpoint::Start("127.0.0.1:0", [this] { return page_; }).value();
};

TEST_F(EndpointTest, ThePageIsAtMetricsAloneAndIsOnlyRead) {
  EXPECT_THAT(endpoint_->address(), testing::MatchesRegex("127.0.0.1:[1-9][0-9]*"));
  const std::string answer = Ask(endpoint_->address(), "GET /metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer.substr(0, 1000),
              HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n" + page_));
  EXPECT_THAT(Ask(endpoint_->address(), "GET /metrics?x=1"), StartsWith("HTTP/1.1 200 "));
  for (const char* other : {"GET /", "GET /metrics/", "GET /metrics/../etc/passwd", "GET //etc/passwd"})
    EXPECT_THAT(Ask(endpoint_->address(), other), StartsWith("HTTP/1.1 404 ")) << other;
  for (const char* other : {"POST /metrics", "PUT /metrics", "DELETE /metrics", "OPTIONS /metrics"})
    EXPECT_THAT(Ask(endpoint_->address(), other), StartsWith("HTTP/1.1 405 ")) << other;
  EXPECT_FALSE(Ask(endpoint_->address(), "HEAD /metrics").ends_with("#\n"));
  EXPECT_THAT(Ask(endpoint_->address(), "nonsense").substr(0, 20), HasSubstr(" 400 "));
}

TEST_F(EndpointTest, StalledScrapersDelayOthersByASecondAtMost) {
  for (const int stalled : {2, 8}) {
    std::vector<std::unique_ptr<Connection>> connections;
    for (int i = 0; i < stalled; ++i) {
      connections.push_back(std::make_unique<Connection>(endpoint_->address()));
      // Half of them stop in the middle of the request, the others never read the page.
      connections.back()->Send(i % 2 == 0 ? "GET /met" : "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    const absl::Time begin = absl::Now();
    EXPECT_TRUE(Ask(endpoint_->address(), "GET /metrics").ends_with(page_));
    // What it takes by itself is little, but a machine may be busy.
    EXPECT_LT(absl::Now() - begin, absl::Seconds(stalled == 2 ? 1 : 3)) << stalled;
  }
}

TEST_F(EndpointTest, ItEndsSoonWhateverItsClientsDo) {
  Connection silent(endpoint_->address()), deaf(endpoint_->address());
  deaf.Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  auto second = Endpoint::Start("127.0.0.1:0", [this] { return page_; }).value();
  Connection other(second->address());
  other.Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  const absl::Time begin = absl::Now();
  second.reset();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(4));
}

TEST_F(EndpointTest, AnAddressInUseIsRefused) {
  const auto second = Endpoint::Start(endpoint_->address(), [] { return ""; });
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(endpoint_->address()));
  EXPECT_FALSE(Endpoint::Start("192.0.2.1:0", [] { return ""; }).ok());  // an address of no machine
  EXPECT_FALSE(Endpoint::Start("no.such.host.invalid:0", [] { return ""; }).ok());
  EXPECT_THAT(Ask(endpoint_->address(), "GET /metrics"), StartsWith("HTTP/1.1 200 "));
}

TEST(EndpointFailureTest, APageThatCannotBeMadeIsAnErrorAndNothingElse) {
  int asked = 0;
  const auto endpoint = Endpoint::Start("127.0.0.1:0", [&]() -> std::string {
                          if (++asked == 1) throw std::runtime_error("no memory");
                          return "a 1\n";
                        }).value();
  EXPECT_THAT(Ask(endpoint->address(), "GET /metrics"), StartsWith("HTTP/1.1 500 "));
  EXPECT_TRUE(Ask(endpoint->address(), "GET /metrics").ends_with("a 1\n"));
}

TEST(MetricsAddressTest, APortAloneIsLoopbacks) {
  EXPECT_EQ(MetricsAddress("9464").value(), "127.0.0.1:9464");
  for (const char* address : {"0.0.0.0:9464", "localhost:0", "[::1]:9464", "gpu01.lab:65535"})
    EXPECT_EQ(MetricsAddress(address).value(), address);
}

TEST(MetricsAddressTest, WhatIsNoAddressIsRefusedByName) {
  for (const char* text :
       {"x", ":9464", "host:", "host:x", "host:65536", "65536", "-1", "+1", "host:+1", " 9464", "9464 ",
        "1.2.3.4", "a,b:1", "9464,9465", "9464r", "unix:/tmp/x", "http://x:1", "fd:3,4"}) {
    const absl::Status status = MetricsAddress(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(FieldOf(status), "metrics_listen");
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

}  // namespace
}  // namespace induct::metrics
