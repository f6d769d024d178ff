// The two shapes of calls that are not event streams: one answer, and a stream that is read piece by piece. Both do their work on the
// blocking pool, so that no gRPC thread waits.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "server/service/blocking_pool.h"
#include "server/service/status_mapping.h"

namespace induct::service {

// Runs `work`, which fills in the response, on the pool and ends the call with its status. gRPC keeps request and response alive until then.
inline grpc::ServerUnaryReactor* AnswerOn(BlockingPool& pool, grpc::CallbackServerContext* context, std::function<absl::Status()> work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  pool.Post([reactor, work = std::move(work)] { reactor->Finish(ToGrpcStatus(work())); });
  return reactor;
}

// Sends what `next` returns, one message after another, until it returns nothing or an error. `next` runs on the pool, never twice at once,
// and not before the message before it was sent: a slow reader costs one message.
template <typename Response>
class PieceStream : public grpc::ServerWriteReactor<Response> {
 public:
  using Next = std::function<absl::StatusOr<std::optional<Response>>()>;

  // The stream deletes itself when the call is over.
  static PieceStream* Start(BlockingPool& pool, Next next) {
    auto* stream = new PieceStream(pool, std::move(next));
    stream->PostNext();
    return stream;
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      PostNext();
    } else {
      this->Finish(grpc::Status::CANCELLED);
    }
  }

  void OnDone() override { delete this; }

 private:
  PieceStream(BlockingPool& pool, Next next) : pool_(pool), next_(std::move(next)) {}

  void PostNext() {
    pool_.Post([this] {
      absl::StatusOr<std::optional<Response>> piece = next_();
      if (!piece.ok() || !piece->has_value()) {
        this->Finish(ToGrpcStatus(piece.status()));
        return;
      }
      piece_ = **std::move(piece);
      this->StartWrite(&piece_);
    });
  }

  BlockingPool& pool_;
  const Next next_;
  Response piece_;
};

}  // namespace induct::service
