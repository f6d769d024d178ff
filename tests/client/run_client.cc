#include "tests/client/run_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "common/atomic_file.h"
#include "gtest/gtest.h"
#include "tests/client/fake_server.h"

namespace induct::client {

TemporaryFolder::TemporaryFolder() : path_(testing::TempDir() + "/induct-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) std::abort();
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

std::vector<std::string> ProfileArguments(const FakeServer& server, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"profile", "--model", "org/tiny", "--server", server.address()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string ClientProgram() { return INDUCT_CLIENT; }

RunningClient::RunningClient(const std::vector<std::string>& arguments, const std::string& folder,
                             const std::map<std::string, std::string>& environment,
                             const std::string& program) {
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::map<std::string, std::string> variables = {
      {"PATH", "/usr/bin:/bin"}, {"HOME", folder}, {"USER", "tester"}};
  for (const auto& [name, value] : environment) variables[name] = value;
  std::vector<std::string> assignments;
  for (const auto& [name, value] : variables) assignments.push_back(name + "=" + value);
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& assignment : assignments) envp.push_back(assignment.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  const std::string out = output_ / "out";
  const std::string err = output_ / "err";

  pid_ = fork();
  if (pid_ != 0) return;
  const int out_fd = open(out.c_str(), O_CREAT | O_WRONLY, 0600);
  const int err_fd = open(err.c_str(), O_CREAT | O_WRONLY, 0600);
  if (chdir(folder.c_str()) != 0 || dup2(out_fd, 1) < 0 || dup2(err_fd, 2) < 0) _exit(126);
  execve(words[0].c_str(), argv.data(), envp.data());
  _exit(127);
}

void RunningClient::Signal(int signal) { kill(pid_, signal); }

ClientResult RunningClient::Wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  ClientResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = FileBytes(output_ / "out");
  result.err = FileBytes(output_ / "err");
  return result;
}

ClientResult RunClient(const std::vector<std::string>& arguments, const std::string& folder,
                       const std::map<std::string, std::string>& environment, const std::string& program) {
  return RunningClient(arguments, folder, environment, program).Wait();
}

std::vector<std::string> RunDirectories(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/outputs/runs", error))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string FileBytes(const std::string& path) {
  auto bytes = ReadFile(path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.ok() ? *std::move(bytes) : "";
}

}  // namespace induct::client
