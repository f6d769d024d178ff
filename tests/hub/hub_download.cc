// Another process that uses the cache, with the environment that the server reads:
//
//   hub_download find|fetch REPO REVISION   prints the snapshot's folder, or the error and exits with 1
//   hub_download use REPO REVISION          the same, and uses it until standard input ends
//   hub_download prune                      removes all that it may; prints each commit
//   hub_download options                    prints what the environment says, a line each
#include <iostream>
#include <string>

#include "server/hub/hub.h"

using induct::hub::Hub;
using induct::hub::HubOptions;

namespace {

int PrintOptions(const HubOptions& options) {
  std::cout << options.endpoint << "\n"
            << options.cache_dir << "\n"
            << options.token << "\n"
            << absl::ToInt64Seconds(options.stall_timeout) << "\n"
            << options.offline << "\n";
  return 0;
}

int PrintPruned(const Hub& hub) {
  const auto report = hub.Prune(/*keep_bytes=*/0, /*dry_run=*/false, {});
  for (const auto& removed : report->removed) std::cout << removed.commit << "\n";
  for (const std::string& problem : report->problems) std::cerr << problem << "\n";
  return report->problems.empty() ? 0 : 1;
}

int Print(const absl::StatusOr<induct::hub::Snapshot>& snapshot) {
  if (snapshot.ok()) {
    std::cout << snapshot->directory << "\n";
    return 0;
  }
  std::cerr << snapshot.status() << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  const HubOptions options = HubOptions::FromEnvironment();
  if (verb == "options") return PrintOptions(options);
  if (argc != (verb == "prune" ? 2 : 4)) return 2;
  const auto hub = Hub::Create(options);
  if (!hub.ok()) return Print(hub.status());
  if (verb == "prune") return PrintPruned(**hub);
  if (verb == "find") return Print((*hub)->Find({argv[2], argv[3]}));
  const auto snapshot = (*hub)->Fetch({argv[2], argv[3]}, {}, {});
  const int result = Print(snapshot);
  std::cout.flush();
  if (verb == "use") std::cin.get();
  return result;
}
