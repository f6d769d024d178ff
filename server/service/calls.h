// The two shapes of calls that are not event streams: one answer, and a stream that is read piece by piece.
// Both do their work on the blocking pool, so that no gRPC thread waits.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/service/blocking_pool.h"
#include "server/service/status_mapping.h"

namespace induct::service {

// What `f` returns (absl::Status or StatusOr), or INTERNAL for what it throws: an exception on a thread of
// the pool would end the server.
template <typename F>
auto WithoutExceptions(const F& f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::exception& e) {
    return absl::InternalError(std::string("the call failed: ") + e.what());
  }
}

// Runs `work`, which fills in the response, on the pool and ends the call with its status. gRPC keeps request
// and response alive until then.
inline grpc::ServerUnaryReactor* AnswerOn(BlockingPool& pool, grpc::CallbackServerContext* context,
                                          std::function<absl::Status()> work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  pool.Post([reactor, work = std::move(work)] { reactor->Finish(ToGrpcStatus(WithoutExceptions(work))); });
  return reactor;
}

// Sends what `next` returns, one message after another, until it returns nothing or an error. `next` runs on
// the pool, never twice at once, and not before the message before it was sent. Its stop token is requested
// when the client is gone.
template <typename Response>
class PieceStream : public grpc::ServerWriteReactor<Response> {
 public:
  using Next = std::function<absl::StatusOr<std::optional<Response>>(std::stop_token)>;

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

  void OnCancel() override { stop_.request_stop(); }

  void OnDone() override { delete this; }

 private:
  PieceStream(BlockingPool& pool, Next next) : pool_(pool), next_(std::move(next)) {}

  void PostNext() {
    pool_.Post([this] {
      absl::StatusOr<std::optional<Response>> piece = absl::CancelledError("the client is gone");
      if (!stop_.stop_requested()) piece = WithoutExceptions([this] { return next_(stop_.get_token()); });
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
  std::stop_source stop_;
  Response piece_;
};

}  // namespace induct::service
