#include "server/metrics/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace induct::metrics {
namespace {

constexpr char kPath[] = "/metrics";
constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr size_t kMaxRequest = 16 << 10;
constexpr absl::Duration kMayStall = absl::Seconds(1), kMayTake = absl::Seconds(10);

bool WouldWait() { return errno == EAGAIN || errno == EINTR; }

std::string Answer(const char* status, const std::string& body, bool with_body = true) {
  return absl::StrCat("HTTP/1.1 ", status, "\r\nContent-Type: ", kContentType,
                      "\r\nContent-Length: ", body.size(), "\r\nConnection: close\r\n\r\n",
                      with_body ? body : "");
}

// `line`: "GET /metrics HTTP/1.1".
std::string AnswerTo(std::string_view line, MakePage make_page) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == last || !line.substr(last + 1).starts_with("HTTP/1."))
    return Answer("400 Bad Request", "no request of HTTP/1\n");
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, last - first - 1);
  if (method != "GET" && method != "HEAD") return Answer("405 Method Not Allowed", "only GET\n");
  if (target.substr(0, target.find('?')) != kPath)
    return Answer("404 Not Found", absl::StrCat("only ", kPath, "\n"));
  return Answer("200 OK", make_page(), method == "GET");
}

}  // namespace

Connection::Connection(Socket socket, absl::Time now) : socket_(std::move(socket)), begin_(now), last_(now) {}

short Connection::events() const { return state_ == State::kWriting ? POLLOUT : POLLIN; }

absl::Time Connection::deadline() const { return std::min(last_ + kMayStall, begin_ + kMayTake); }

bool Connection::Go(MakePage make_page, absl::Time now) {
  switch (state_) {
    case State::kReading:
      return Read(make_page, now);
    case State::kWriting:
      return Write(now);
    case State::kLeaving:
      return Leave();
  }
  return false;
}

bool Connection::Read(MakePage make_page, absl::Time now) {
  char part[4096];
  const ssize_t n = recv(fd(), part, sizeof(part), 0);
  if (n < 0) return WouldWait();
  if (n == 0) return false;
  last_ = now;
  request_.append(part, static_cast<size_t>(n));
  if (request_.size() > kMaxRequest) {
    answer_ = Answer("431 Request Header Fields Too Large", "too long\n");
  } else if (request_.find("\r\n\r\n") == std::string::npos) {
    return true;
  } else {
    try {
      answer_ = AnswerTo(std::string_view(request_).substr(0, request_.find("\r\n")), make_page);
    } catch (const std::exception&) {
      answer_ = Answer("500 Internal Server Error", "out of memory\n");
    }
  }
  state_ = State::kWriting;
  return Write(now);
}

bool Connection::Write(absl::Time now) {
  const ssize_t n = send(fd(), answer_.data() + written_, answer_.size() - written_, MSG_NOSIGNAL);
  if (n < 0) return WouldWait();
  last_ = now;
  written_ += static_cast<size_t>(n);
  if (written_ < answer_.size()) return true;
  shutdown(fd(), SHUT_WR);
  state_ = State::kLeaving;
  return true;
}

// Closed while something of the request is unread, the socket would take the answer with it.
bool Connection::Leave() {
  char part[4096];
  const ssize_t n = recv(fd(), part, sizeof(part), 0);
  return n > 0 || (n < 0 && WouldWait());
}

}  // namespace induct::metrics
