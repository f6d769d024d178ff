#include "server/engine/readout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "server/engine/device_wait.h"
#include "server/engine/fused_kernels.h"

namespace induct::engine {
namespace {

// Numbers on the CPU, to be filled in.
template <typename T>
std::pair<at::Tensor, T*> Room(int64_t count) {
  const at::Tensor numbers = at::empty({count}, c10::CppTypeToScalarType<T>::value);
  return {numbers, numbers.mutable_data_ptr<T>()};
}

int64_t CountTargets(std::span<const PackedPrompt> prompts) {
  int64_t count = 0;
  for (const PackedPrompt& prompt : prompts) count += static_cast<int64_t>(prompt.prompt->targets.size());
  return count;
}

}  // namespace

ReadoutSums::ReadoutSums(std::span<const PackedPrompt> prompts, int64_t n_groups, int64_t n_heads,
                         c10::Device device, Summing summing)
    : summing_(summing), n_groups_(n_groups), n_heads_(n_heads), places_(prompts.size()) {
  const int64_t n_targets = CountTargets(prompts);
  const int64_t n_pairs = prompts.back().first_pair + prompts.back().n_pairs;
  const auto [query_rows, query_row] = Room<int64_t>(n_pairs);
  const auto [key_rows, key_row] = Room<int64_t>(n_pairs);
  const auto [groups, group] = Room<int64_t>(n_targets);
  const auto [weights, weight] = Room<float>(n_targets);
  const auto [pairs, pair] = Room<int64_t>(summing == Summing::kLoop ? 0 : n_targets);
  first_target_.reserve(static_cast<size_t>(n_pairs + 1));
  int64_t n = 0;  // targets so far
  for (const PackedPrompt& prompt : prompts) {
    places_[prompt.number] = prompt.place;
    const ReadoutTarget* last = nullptr;
    for (const ReadoutTarget& target : prompt.prompt->targets) {
      if (last == nullptr || !SamePair(*last, target)) {
        query_row[first_target_.size()] = prompt.first_row + target.query;
        key_row[first_target_.size()] = prompt.first_row + target.key;
        first_target_.push_back(n);
      }
      last = &target;
      group[n] = prompt.place * n_groups + target.group;
      weight[n] = target.weight;
      if (summing == Summing::kIndexAdd) pair[n] = static_cast<int64_t>(first_target_.size()) - 1;
      ++n;
    }
  }
  first_target_.push_back(n);
  query_rows_ = query_rows.to(device);
  key_rows_ = key_rows.to(device);
  groups_ = groups.to(device);
  weights_ = weights.to(device);
  if (summing == Summing::kIndexAdd) pairs_ = pairs.to(device);
  sums_ = at::zeros({static_cast<int64_t>(prompts.size()) * n_groups, n_heads},
                    at::TensorOptions().dtype(at::kDouble).device(device));
}

void ReadoutSums::Clear(std::span<const PackedPrompt> prompts) {
  sums_.narrow(0, prompts.front().place * n_groups_, static_cast<int64_t>(prompts.size()) * n_groups_)
      .zero_();
}

void ReadoutSums::Read(std::span<const PackedPrompt> prompts, int64_t max_pairs, ProbabilityReader read) {
  const int64_t first_row = prompts.front().first_row;
  const int64_t end = prompts.back().first_pair + prompts.back().n_pairs;
  for (int64_t first = prompts.front().first_pair; first < end; first += max_pairs) {
    const int64_t count = std::min(max_pairs, end - first);
    Add(first,
        read(query_rows_.narrow(0, first, count) - first_row, key_rows_.narrow(0, first, count) - first_row));
  }
}

std::vector<double> ReadoutSums::Values() const {
  const at::Tensor by_place = ToHost(sums_);
  const int64_t per_prompt = n_groups_ * n_heads_;
  std::vector<double> values(places_.size() * static_cast<size_t>(per_prompt));
  auto next = values.begin();
  for (const int64_t place : places_) {
    next = std::copy_n(by_place.const_data_ptr<double>() + place * per_prompt, per_prompt, next);
  }
  return values;
}

void ReadoutSums::Add(int64_t first_pair, const at::Tensor& probabilities) {
  if (summing_ == Summing::kLoop) return AddInLoop(first_pair, probabilities.contiguous());
  const int64_t first = first_target_[first_pair];
  const int64_t count = first_target_[first_pair + probabilities.size(0)] - first;
  const at::Tensor groups = groups_.narrow(0, first, count), weights = weights_.narrow(0, first, count),
                   pairs = pairs_.narrow(0, first, count);
  if (HasFusedKernels(sums_)) {
    return FusedWeightedSum(sums_, groups, weights, probabilities.contiguous(), pairs, first_pair);
  }
  sums_.index_add_(0, groups,
                   probabilities.index_select(0, pairs - first_pair).to(at::kDouble) * weights.unsqueeze(1));
}

void ReadoutSums::AddInLoop(int64_t first_pair, const at::Tensor& probabilities) {
  const float* of_pair = probabilities.const_data_ptr<float>();
  const int64_t* const groups = groups_.const_data_ptr<int64_t>();
  const float* const weights = weights_.const_data_ptr<float>();
  double* const sums = sums_.mutable_data_ptr<double>();
  for (int64_t pair = first_pair; pair < first_pair + probabilities.size(0); ++pair, of_pair += n_heads_) {
    for (int64_t target = first_target_[pair]; target < first_target_[pair + 1]; ++target) {
      double* const sum = sums + groups[target] * n_heads_;
      const double weight = weights[target];
      for (int64_t head = 0; head < n_heads_; ++head) sum[head] += weight * of_pair[head];
    }
  }
}

}  // namespace induct::engine
