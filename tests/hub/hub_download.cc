// Another process that uses the cache:
//
//   hub_download find|fetch REPO REVISION
//
// with the environment that the server reads. Prints the snapshot's folder, or the error and exits with 1.
#include <iostream>

#include "server/hub/hub.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto hub = induct::hub::Hub::Create(induct::hub::HubOptions::FromEnvironment());
  if (!hub.ok()) {
    std::cerr << hub.status() << "\n";
    return 1;
  }
  const induct::hub::RepoRevision wanted{argv[2], argv[3]};
  const auto snapshot = std::string(argv[1]) == "find" ? (*hub)->Find(wanted) : (*hub)->Fetch(wanted, {}, {});
  if (!snapshot.ok()) {
    std::cerr << snapshot.status() << "\n";
    return 1;
  }
  std::cout << snapshot->directory << "\n";
  return 0;
}
