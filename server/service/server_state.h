// What of a server outlives its process: a folder that one server at a time uses.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace induct::service {

class ServerState {
 public:
  // Opens the folder, which is made where it is missing, and takes it for this process. An empty path:
  // nothing is kept. FAILED_PRECONDITION where another server uses it or it cannot be written; DATA_LOSS
  // where what it holds is no server's state.
  static absl::StatusOr<std::unique_ptr<ServerState>> Open(const std::string& folder);
  ~ServerState();

  // 26 characters: the same whenever this folder is opened, without one made anew.
  const std::string& id() const { return id_; }

 private:
  ServerState(int lock, std::string id) : lock_(lock), id_(std::move(id)) {}

  const int lock_;  // the descriptor of a locked file, or -1
  const std::string id_;
};

}  // namespace induct::service
