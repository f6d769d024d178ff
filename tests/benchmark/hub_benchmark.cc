// What a download costs: a file from a hub in another process on this machine, beside reading and hashing the
// same file alone.
//
//   hub_benchmark [MB] [REPEATS]
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/sha256.h"
#include "server/hub/hub.h"
#include "tests/hub/local_hub.h"

namespace induct::hub {
namespace {

// Forks a process that serves until it is killed; its endpoint comes through `fd`.
pid_t StartHub(size_t bytes, int fd) {
  const pid_t child = fork();
  if (child != 0) return child;
  LocalHub hub;
  hub.PutModel(bytes);
  const std::string endpoint = hub.endpoint();
  if (write(fd, endpoint.data(), endpoint.size()) < 0) _exit(1);
  while (true) pause();
}

double CpuSeconds(const rusage& usage) {
  return absl::ToDoubleSeconds(absl::DurationFromTimeval(usage.ru_utime) +
                               absl::DurationFromTimeval(usage.ru_stime));
}

// Seconds.
struct Cost {
  double cpu = 0;
  double elapsed = 0;
};

template <typename Work>
Cost Measure(const Work& work) {
  rusage before = {}, after = {};
  getrusage(RUSAGE_SELF, &before);
  const absl::Time start = absl::Now();
  work();
  const double elapsed = absl::ToDoubleSeconds(absl::Now() - start);
  getrusage(RUSAGE_SELF, &after);
  return {.cpu = CpuSeconds(after) - CpuSeconds(before), .elapsed = elapsed};
}

// Downloads into an empty cache and prints what it took; false where it failed.
bool DownloadOnce(const HubOptions& options, size_t bytes) {
  std::filesystem::remove_all(options.cache_dir);
  absl::StatusOr<Snapshot> snapshot;
  const Cost fetch = Measure([&] { snapshot = (*Hub::Create(options))->Fetch({kTestRepo, "main"}, {}, {}); });
  if (!snapshot.ok()) return false;
  absl::StatusOr<std::string> sum;
  const Cost hash = Measure([&] { sum = Sha256HexOfFile(snapshot->directory + "/model.safetensors"); });
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "download: %.2f s, %.0f MB/s, CPU %.2f s; hash alone: %.2f s, CPU %.2f s; memory at most %ld MB\n",
      fetch.elapsed, static_cast<double>(bytes) / 1e6 / fetch.elapsed, fetch.cpu, hash.elapsed, hash.cpu,
      usage.ru_maxrss / 1024);
  return sum.ok();
}

int Run(size_t bytes, int repeats) {
  int pipe_ends[2];
  char endpoint[256] = {};
  if (pipe(pipe_ends) != 0) return 1;
  const pid_t child = StartHub(bytes, pipe_ends[1]);
  if (read(pipe_ends[0], endpoint, sizeof(endpoint) - 1) <= 0) return 1;

  std::string folder = (std::filesystem::temp_directory_path() / "induct-hub-XXXXXX").string();
  HubOptions options;
  options.endpoint = endpoint;
  options.cache_dir = mkdtemp(folder.data());
  bool all_ok = true;
  for (int i = 0; i < repeats; ++i) all_ok = DownloadOnce(options, bytes) && all_ok;
  std::filesystem::remove_all(folder);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return all_ok ? 0 : 1;
}

}  // namespace
}  // namespace induct::hub

int main(int argc, char** argv) {
  const size_t megabytes = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200;
  return induct::hub::Run(megabytes * 1'000'000, argc > 2 ? std::atoi(argv[2]) : 3);
}
