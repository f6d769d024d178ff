// A small HTTP/1.1 server in the test's own process, on a port of its own of the loopback interface.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace induct::hub {

struct Request {
  std::string method;
  std::string path;                            // with the query
  std::map<std::string, std::string> headers;  // names in lower case

  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

// What is sent, and how badly.
struct Reply {
  int status = 200;
  std::map<std::string, std::string> headers;
  std::string body;
  std::optional<size_t> content_length;  // what is said of the body's length instead of the truth
  bool say_no_length = false;            // the body ends with the connection
  std::optional<size_t> cut_after;       // the connection is closed after so many bytes of the body
  std::optional<size_t> stall_after;  // nothing comes after so many bytes, until the client goes or Release
};

class HttpServer {
 public:
  using Handler = std::function<Reply(const Request& request)>;

  explicit HttpServer(Handler handler);
  ~HttpServer();

  int port() const { return port_; }
  // Every request so far.
  std::vector<Request> requests() const;
  void ForgetRequests();
  // Ends all stalls.
  void Release();

 private:
  void Accept();
  void Serve(int fd);
  bool Send(int fd, const Request& request, const Reply& reply);
  bool SendBody(int fd, const Reply& reply);
  void Stall(int fd);

  const Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;

  mutable std::mutex mutex_;
  std::condition_variable released_;
  bool is_released_ = false;
  std::vector<Request> requests_;
  std::list<int> connections_;
  std::list<std::thread> threads_;  // one a connection
  std::thread acceptor_;
};

}  // namespace induct::hub
