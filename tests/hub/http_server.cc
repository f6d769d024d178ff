#include "tests/hub/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace induct::hub {
namespace {

// A request's head, up to and with the empty line; empty where the client has gone.
std::string ReadHead(int fd) {
  std::string head;
  char c = 0;
  while (head.size() < (size_t{1} << 16) && !absl::EndsWith(head, "\r\n\r\n")) {
    if (recv(fd, &c, 1, 0) != 1) return "";
    head += c;
  }
  return head;
}

Request Parse(const std::string& head) {
  Request request;
  const std::vector<std::string> lines = absl::StrSplit(head, "\r\n");
  const std::vector<std::string> words = absl::StrSplit(lines[0], ' ');
  request.method = words[0];
  request.path = words.size() > 1 ? words[1] : "";
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> header = absl::StrSplit(lines[i], absl::MaxSplits(':', 1));
    request.headers[absl::AsciiStrToLower(header.first)] =
        std::string(absl::StripAsciiWhitespace(header.second));
  }
  return request;
}

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 64) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("the test's server cannot listen");
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  Release();
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : connections_) shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

std::vector<Request> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::ForgetRequests() {
  const std::lock_guard lock(mutex_);
  requests_.clear();
}

void HttpServer::Release() {
  const std::lock_guard lock(mutex_);
  is_released_ = true;
  released_.notify_all();
}

void HttpServer::Accept() {
  while (!stopping_) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const std::lock_guard lock(mutex_);
    connections_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpServer::Serve(int fd) {
  for (std::string head = ReadHead(fd); !head.empty(); head = ReadHead(fd)) {
    const Request request = Parse(head);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    if (!Send(fd, request, handler_(request))) break;
  }
  const std::lock_guard lock(mutex_);
  connections_.remove(fd);
  close(fd);
}

// Whether the connection is good for another request.
bool HttpServer::Send(int fd, const Request& request, const Reply& reply) {
  std::string head = absl::StrCat("HTTP/1.1 ", reply.status, " Status\r\n");
  for (const auto& [name, value] : reply.headers) absl::StrAppend(&head, name, ": ", value, "\r\n");
  if (reply.say_no_length) {
    absl::StrAppend(&head, "Connection: close\r\n");
  } else {
    absl::StrAppend(&head, "Content-Length: ", reply.content_length.value_or(reply.body.size()), "\r\n");
  }
  if (!SendAll(fd, absl::StrCat(head, "\r\n"))) return false;
  if (request.method == "HEAD") return !reply.say_no_length;
  return SendBody(fd, reply) && !reply.say_no_length && !reply.content_length;
}

bool HttpServer::SendBody(int fd, const Reply& reply) {
  const std::string_view body = reply.body;
  if (reply.cut_after) {
    SendAll(fd, body.substr(0, *reply.cut_after));
    return false;
  }
  if (!reply.stall_after) return SendAll(fd, body);
  const size_t first = std::min(*reply.stall_after, body.size());
  if (!SendAll(fd, body.substr(0, first))) return false;
  Stall(fd);
  return SendAll(fd, body.substr(first));
}

void HttpServer::Stall(int fd) {
  std::unique_lock lock(mutex_);
  while (!is_released_) {
    released_.wait_for(lock, std::chrono::milliseconds(20));
    pollfd closed = {.fd = fd, .events = POLLRDHUP};
    if (poll(&closed, 1, 0) == 1) return;
  }
}

}  // namespace induct::hub
