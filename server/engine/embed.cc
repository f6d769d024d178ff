#include "server/engine/embed.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "common/status.h"

namespace induct::engine {
namespace {

// Tokens whose embeddings are looked up at a time: of a whole wave another copy might not fit.
constexpr int64_t kEmbeddedRows = 2048;

// [n_tokens] int64 on the device.
at::Tensor TokenIds(const Wave& wave, c10::Device device) {
  const at::Tensor ids = at::empty({wave.n_tokens()}, at::kLong);
  for (const PackedPrompt& prompt : wave.prompts) {
    std::copy(prompt.prompt->tokens.begin(), prompt.prompt->tokens.end(),
              ids.mutable_data_ptr<int64_t>() + prompt.first_row);
  }
  return ids.to(device);
}

// Calls `work` with a few numbers of [n] at a time.
template <typename Work>
void ForSomeAtATime(const at::Tensor& numbers, const Work& work) {
  for (int64_t first = 0; first < numbers.size(0); first += kEmbeddedRows) {
    work(first, numbers.narrow(0, first, std::min(kEmbeddedRows, numbers.size(0) - first)));
  }
}

}  // namespace

absl::StatusOr<at::Tensor> Embed(const Wave& wave, const WeightStore& weights, std::stop_token stop) {
  const at::Tensor ids = TokenIds(wave, weights.device());
  at::Tensor residual;
  INDUCT_RETURN_IF_ERROR(
      weights.VisitTokenEmbeddings(std::move(stop), [&](int64_t first, const at::Tensor& rows) {
        if (!residual.defined())
          residual = at::empty({wave.n_tokens(), rows.size(1)}, rows.options().dtype(at::kFloat));
        const at::Tensor here = ids.ge(first).logical_and_(ids.lt(first + rows.size(0))).nonzero().squeeze(1);
        ForSomeAtATime(here, [&](int64_t, const at::Tensor& tokens) {
          const at::Tensor embedded = rows.index_select(0, ids.index_select(0, tokens) - first);
          residual.index_copy_(0, tokens, embedded.to(at::kFloat));
        });
      }));
  const at::Tensor& of_positions = weights.position_embeddings();
  if (!of_positions.defined()) return residual;
  ForSomeAtATime(wave.positions, [&](int64_t first_token, const at::Tensor& positions) {
    residual.narrow(0, first_token, positions.size(0)).add_(of_positions.index_select(0, positions));
  });
  return residual;
}

}  // namespace induct::engine
