#include "server/engine/readout.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>

namespace induct::engine {
namespace {

bool SamePair(const ReadoutTarget& a, const ReadoutTarget& b) { return a.query == b.query && a.key == b.key; }

// Targets gathered for one read, over the end of prompts.
class TargetChunk {
 public:
  void Append(const PackedPrompt& prompt, int64_t row, std::span<const ReadoutTarget> targets) {
    pieces_.push_back({prompt.number, targets});
    for (size_t i = 0; i < targets.size(); ++i) {
      if (i > 0 && SamePair(targets[i - 1], targets[i])) continue;
      query_rows_.push_back(row + targets[i].query);
      key_rows_.push_back(row + targets[i].key);
    }
  }

  int64_t size() const { return static_cast<int64_t>(query_rows_.size()); }

  void ReadInto(ReadoutSums& sums, ProbabilityReader read, c10::Device device) {
    if (size() == 0) return;
    const at::Tensor probabilities =
        read(ToDevice(query_rows_, device), ToDevice(key_rows_, device)).to(at::kCPU).contiguous();
    const int64_t n_heads = probabilities.size(1);
    const float* next = probabilities.const_data_ptr<float>();
    for (const Piece& piece : pieces_) {
      sums.Add(piece.prompt, piece.targets, next);
      next += CountPairs(piece.targets) * n_heads;
    }
    pieces_.clear();
    query_rows_.clear();
    key_rows_.clear();
  }

 private:
  struct Piece {
    int64_t prompt;
    std::span<const ReadoutTarget> targets;
  };

  static at::Tensor ToDevice(std::vector<int64_t>& rows, c10::Device device) {
    return at::from_blob(rows.data(), {static_cast<int64_t>(rows.size())}, at::kLong).to(device);
  }

  std::vector<Piece> pieces_;
  std::vector<int64_t> query_rows_, key_rows_;
};

}  // namespace

ReadoutSums::ReadoutSums(int64_t n_prompts, int64_t n_groups, int64_t n_heads)
    : n_heads_(n_heads), per_prompt_(n_groups * n_heads), values_(n_prompts * per_prompt_, 0.0) {}

void ReadoutSums::Clear(int64_t prompt) {
  std::fill_n(values_.begin() + prompt * per_prompt_, per_prompt_, 0.0);
}

void ReadoutSums::Add(int64_t prompt, std::span<const ReadoutTarget> targets, const float* probabilities) {
  double* const of_prompt = values_.data() + prompt * per_prompt_;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (i > 0 && !SamePair(targets[i - 1], targets[i])) probabilities += n_heads_;
    double* const of_group = of_prompt + targets[i].group * n_heads_;
    const double weight = targets[i].weight;
    for (int64_t head = 0; head < n_heads_; ++head) of_group[head] += weight * probabilities[head];
  }
}

int64_t CountPairs(std::span<const ReadoutTarget> targets) {
  int64_t n_pairs = 0;
  for (size_t i = 0; i < targets.size(); ++i) n_pairs += i == 0 || !SamePair(targets[i - 1], targets[i]);
  return n_pairs;
}

void ReadTargets(std::span<const PackedPrompt> prompts, int64_t max_pairs, c10::Device device,
                 ProbabilityReader read, ReadoutSums& sums) {
  TargetChunk chunk;
  for (const PackedPrompt& prompt : prompts) {
    const int64_t row = prompt.first_row - prompts.front().first_row;
    std::span<const ReadoutTarget> rest = prompt.prompt->targets;
    while (!rest.empty()) {
      const size_t room = static_cast<size_t>(max_pairs - chunk.size());
      const size_t taken = std::min(rest.size(), room);
      chunk.Append(prompt, row, rest.first(taken));
      rest = rest.subspan(taken);
      if (chunk.size() == max_pairs) chunk.ReadInto(sums, read, device);
    }
  }
  chunk.ReadInto(sums, read, device);
}

}  // namespace induct::engine
