// Runs the program itself, as a user would, with folders and environment of its own.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace induct::client {

class FakeServer;

// A folder that is removed with what it holds.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::string& path() const { return path_; }
  // Of a file in it.
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A profile of org/tiny by this server.
std::vector<std::string> ProfileArguments(const FakeServer& server,
                                          const std::vector<std::string>& more = {});

// The induct-client of this build.
std::string ClientProgram();

struct ClientResult {
  int exit_code = -1;  // 128 + N where signal N ended it
  std::string out;
  std::string err;
};

// A running induct-client in a working folder, with only these and the most needed environment variables.
class RunningClient {
 public:
  RunningClient(const std::vector<std::string>& arguments, const std::string& folder,
                const std::map<std::string, std::string>& environment = {},
                const std::string& program = ClientProgram());
  void Signal(int signal);
  ClientResult Wait();

 private:
  TemporaryFolder output_;
  pid_t pid_ = 0;
};

ClientResult RunClient(const std::vector<std::string>& arguments, const std::string& folder,
                       const std::map<std::string, std::string>& environment = {},
                       const std::string& program = ClientProgram());

// The run directories under <folder>/outputs/runs, sorted by name; their paths.
std::vector<std::string> RunDirectories(const std::string& folder);
// A file's bytes; a failed expectation and "" where there is none.
std::string FileBytes(const std::string& path);

}  // namespace induct::client
