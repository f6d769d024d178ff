#include "server/models/residency.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/logging.h"
#include "common/status.h"
#include "server/models/model_name.h"

namespace induct::models {
namespace {

std::string Megabytes(int64_t bytes) { return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6); }

// How near a copy in this state is to use.
int Rank(ModelState state) {
  switch (state) {
    case ModelState::kUnloaded:
      return 0;
    case ModelState::kUnloading:
      return 1;
    case ModelState::kLoading:
      return 2;
    case ModelState::kAvailable:
      return 3;
  }
  return 0;
}

}  // namespace

std::string_view StateName(ModelState state) {
  switch (state) {
    case ModelState::kUnloaded:
      return "unloaded";
    case ModelState::kLoading:
      return "loading";
    case ModelState::kAvailable:
      return "available";
    case ModelState::kUnloading:
      return "unloading";
  }
  return "unloaded";
}

bool CanChange(ModelState from, ModelState to) {
  return std::ranges::find(kModelTransitions, std::pair(from, to)) != kModelTransitions.end();
}

ModelHandle& ModelHandle::operator=(ModelHandle&& other) noexcept {
  std::swap(residency_, other.residency_);
  std::swap(copy_, other.copy_);
  std::swap(model_, other.model_);
  std::swap(streamed_, other.streamed_);
  return *this;
}

ModelHandle::~ModelHandle() {
  if (residency_ != nullptr) residency_->Unpin(copy_);
}

absl::StatusOr<ModelHandle> Residency::Acquire(const LoadRequest& request, WhenFull when_full,
                                               const StepSink& on_step, std::stop_token stop) {
  INDUCT_RETURN_IF_ERROR(CheckFits(request));
  RetireOutdated(request);
  // Takes the lock, so it must be made and unmade without it.
  const std::stop_callback wake(stop, [this] {
    const absl::MutexLock lock(&mutex_);
    changed_.SignalAll();
  });
  for (std::string told;;) {
    const Next next = AwaitNext(request, when_full, told, stop);
    if (next.is_to_load) return Load(request, next, on_step, stop);
    if (next.copy != nullptr) return ModelHandle(this, next.copy);
    if (stop.stop_requested())
      return Stopped(absl::StrCat("before ", request.name, " was loaded"));
    told = next.waits_for;
    if (on_step) on_step({.what = told});
  }
}

bool Residency::AlwaysStreams(const engine::LoadOptions& options, const WeightBytes& bytes) const {
  return options.stream_layers || bytes.whole > BudgetOf(options.device);
}

absl::Status Residency::CheckFits(const LoadRequest& request) const {
  const int64_t budget = BudgetOf(request.options.device);
  if (request.bytes.streamed <= budget) return absl::OkStatus();
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "model ", request.name, " is too large for ", request.options.device, ": in ",
          std::string(DTypeName(request.options.dtype)), " its embeddings and two layers alone take ",
          Megabytes(request.bytes.streamed), " of ", Megabytes(budget),
          " allowed (the server's setting model_memory_mb); a dtype of 16 bits takes half of float32")),
      reason::kModelTooLarge);
}

void Residency::RetireOutdated(const LoadRequest& request) {
  std::vector<CopyPtr> idle;
  {
    const absl::MutexLock lock(&mutex_);
    for (const CopyPtr& copy : copies_) {
      if (copy->key != request.key || copy->fingerprint == request.fingerprint) continue;
      copy->is_outdated = true;
      if (copy->state != ModelState::kAvailable || copy->n_pins > 0) continue;
      SetState(*copy, ModelState::kUnloading);
      idle.push_back(copy);
    }
  }
  Free(idle);
}

Residency::Next Residency::AwaitNext(const LoadRequest& request, WhenFull when_full, const std::string& told,
                                     const std::stop_token& stop) {
  const absl::MutexLock lock(&mutex_);
  while (!stop.stop_requested()) {
    Next next = Decide(request, when_full);
    if (next.copy != nullptr || next.waits_for != told) return next;
    changed_.Wait(&mutex_);
  }
  return {};
}

Residency::Next Residency::Decide(const LoadRequest& request, WhenFull when_full) {
  if (!AlwaysStreams(request.options, request.bytes)) {
    if (const CopyPtr copy = FindWhole(request)) {
      if (copy->state == ModelState::kLoading)
        return {.waits_for = absl::StrCat("waiting for ", request.name, ", which is being loaded")};
      ++copy->n_pins;
      return {.copy = copy};
    }
    Next next = Reserve(request, /*streamed=*/false, Limit::kBudget);
    if (next.copy != nullptr || when_full == WhenFull::kWait) return next;
  }
  Next next = Reserve(request, /*streamed=*/true, Limit::kBudget);
  if (next.copy != nullptr || when_full == WhenFull::kWait) return next;
  return Reserve(request, /*streamed=*/true, Limit::kNone);
}

Residency::CopyPtr Residency::FindWhole(const LoadRequest& request) const {
  const auto it = std::ranges::find_if(copies_, [&](const CopyPtr& copy) {
    return copy->key == request.key && copy->fingerprint == request.fingerprint &&
           copy->options.device == request.options.device && copy->options.dtype == request.options.dtype &&
           !copy->options.stream_layers && copy->state != ModelState::kUnloading;
  });
  return it == copies_.end() ? nullptr : *it;
}

Residency::Next Residency::Reserve(const LoadRequest& request, bool streamed, Limit limit) {
  const std::string& device = request.options.device;
  const int64_t bytes = streamed ? request.bytes.streamed : request.bytes.whole;
  int64_t missing = bytes - (BudgetOf(device) - Reserved(device));
  const std::vector<CopyPtr> idle = Idle(device);
  int64_t idle_bytes = 0;
  for (const CopyPtr& copy : idle) idle_bytes += copy->bytes;
  if (missing > idle_bytes && limit == Limit::kBudget) return {.waits_for = WhatBlocks(device)};

  Next next{.copy = std::make_shared<Copy>(), .is_to_load = true};
  for (auto it = idle.begin(); it != idle.end() && missing > 0; ++it) {
    // Handed over within this lock, so that nobody else takes the room that is being made.
    const int64_t taken = std::min((*it)->bytes, missing);
    (*it)->bytes -= taken;
    missing -= taken;
    SetState(**it, ModelState::kUnloading);
    next.evicted.push_back(*it);
  }
  *next.copy = {.key = request.key,
                .name = request.name,
                .fingerprint = request.fingerprint,
                .options = request.options,
                .bytes = bytes,
                .n_pins = 1};
  next.copy->options.stream_layers = streamed;
  SetState(*next.copy, ModelState::kLoading);
  copies_.push_back(next.copy);
  return next;
}

std::vector<Residency::CopyPtr> Residency::Idle(const std::string& device) const {
  std::vector<CopyPtr> idle;
  std::ranges::copy_if(copies_, std::back_inserter(idle), [&](const CopyPtr& copy) {
    return copy->options.device == device && copy->state == ModelState::kAvailable && copy->n_pins == 0;
  });
  std::ranges::stable_sort(idle, {}, [](const CopyPtr& copy) { return copy->last_use; });
  return idle;
}

std::string Residency::WhatBlocks(const std::string& device) const {
  std::set<std::string> names;
  for (const CopyPtr& copy : copies_) {
    if (copy->options.device == device && (copy->n_pins > 0 || copy->state != ModelState::kAvailable))
      names.insert(copy->name);
  }
  return absl::StrCat("waiting for memory, which ", absl::StrJoin(names, ", "),
                      names.size() == 1 ? " uses" : " use");
}

int64_t Residency::Reserved(const std::string& device) const {
  int64_t bytes = 0;
  for (const CopyPtr& copy : copies_) {
    if (copy->options.device == device) bytes += copy->bytes;
  }
  return bytes;
}

int64_t Residency::BudgetOf(const std::string& device) const {
  const auto it = budgets_.find(device);
  return it == budgets_.end() ? std::numeric_limits<int64_t>::max() : it->second;
}

absl::StatusOr<ModelHandle> Residency::Load(const LoadRequest& request, const Next& next,
                                            const StepSink& on_step, const std::stop_token& stop) {
  for (const CopyPtr& copy : next.evicted) recorder_->ModelEvicted(copy->options.device);
  Free(next.evicted);
  if (on_step) on_step({.what = absl::StrCat("loading ", request.name)});
  engine::LoadOptions options = request.options;
  options.stream_layers = next.copy->options.stream_layers;
  const absl::Time begin = absl::Now();
  absl::StatusOr<std::unique_ptr<engine::Model>> model = request.load(options, stop);
  recorder_->WeightsLoaded(model.status(), absl::Now() - begin);

  const absl::MutexLock lock(&mutex_);
  changed_.SignalAll();
  if (!model.ok()) {
    SetState(*next.copy, ModelState::kUnloaded);
    copies_.remove(next.copy);
    return model.status();
  }
  next.copy->model = *std::move(model);
  SetState(*next.copy, ModelState::kAvailable);
  History& history = history_[request.key];
  history.last_use = absl::Now();
  history.load_seconds = absl::ToDoubleSeconds(history.last_use - begin);
  return ModelHandle(this, next.copy);
}

absl::Status Residency::Unload(const std::string& key, const std::string& name) {
  std::vector<CopyPtr> idle;
  {
    const absl::MutexLock lock(&mutex_);
    uint32_t n_pins = 0;
    for (const CopyPtr& copy : copies_) {
      if (copy->key == key) n_pins += copy->n_pins;
    }
    if (n_pins > 0) {
      return WithReason(absl::FailedPreconditionError(absl::StrCat(
                            "model ", name, " is in use by ", n_pins, n_pins == 1 ? " job" : " jobs",
                            "; unload it when they have ended, or cancel them")),
                        reason::kModelInUse);
    }
    for (const CopyPtr& copy : copies_) {
      if (copy->key != key || copy->state != ModelState::kAvailable) continue;
      SetState(*copy, ModelState::kUnloading);
      idle.push_back(copy);
    }
  }
  Free(idle);
  return absl::OkStatus();
}

void Residency::Free(const std::vector<CopyPtr>& copies) {
  if (copies.empty()) return;
  std::set<std::string> devices;
  for (const CopyPtr& copy : copies) {
    copy->model.reset();
    devices.insert(copy->options.device);
  }
  for (const std::string& device : devices) engine::ReleaseFreeMemory(device);
  const absl::MutexLock lock(&mutex_);
  for (const CopyPtr& copy : copies) {
    SetState(*copy, ModelState::kUnloaded);
    copies_.remove(copy);
  }
  changed_.SignalAll();
}

void Residency::Unpin(const CopyPtr& copy) {
  {
    const absl::MutexLock lock(&mutex_);
    copy->last_use = history_[copy->key].last_use = absl::Now();
    --copy->n_pins;
    changed_.SignalAll();
    const bool stays = copy->n_pins > 0 || !(copy->is_outdated || copy->options.stream_layers);
    if (stays) return;
    SetState(*copy, ModelState::kUnloading);
  }
  Free({copy});
}

ResidentStats Residency::StatsOf(const std::string& key) const {
  const absl::MutexLock lock(&mutex_);
  ResidentStats stats;
  if (const auto it = history_.find(key); it != history_.end()) {
    stats.last_use = it->second.last_use;
    stats.load_seconds = it->second.load_seconds;
  }
  for (const CopyPtr& copy : copies_) {
    if (copy->key != key) continue;
    if (Rank(copy->state) > Rank(stats.state)) stats.state = copy->state;
    stats.bytes += static_cast<uint64_t>(copy->bytes);
    stats.n_pins += copy->n_pins;
  }
  return stats;
}

std::vector<ResidentBytes> Residency::List() const {
  std::map<std::pair<std::string, std::string>, int64_t> bytes;
  {
    const absl::MutexLock lock(&mutex_);
    for (const CopyPtr& copy : copies_)
      bytes[{WithoutRevision(copy->name), copy->options.device}] += copy->bytes;
  }
  std::vector<ResidentBytes> list;
  for (const auto& [where, sum] : bytes) list.push_back({where.first, where.second, sum});
  return list;
}

int64_t Residency::ReservedBytes(const std::string& device) const {
  const absl::MutexLock lock(&mutex_);
  return Reserved(device);
}

void Residency::SetState(Copy& copy, ModelState state) {
  if (!CanChange(copy.state, state)) {
    Log(LogLevel::kError, copy.name,
        absl::StrCat("a fault of this program: ", std::string(StateName(copy.state)), " became ",
                     std::string(StateName(state))));
    std::abort();
  }
  copy.state = state;
}

}  // namespace induct::models
