// server/models finds models by name (in folders, in the hub's cache, at the hub), opens their checkpoints
// and keeps loaded weights resident between jobs, within a budget of memory. Must not know: jobs, gRPC,
// prompts, how a file is parsed or downloaded, what a layer computes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/hub/hub.h"
#include "server/metrics/recorder.h"
#include "server/models/model_files.h"
#include "server/models/model_folders.h"
#include "server/models/model_name.h"
#include "server/models/model_outline.h"
#include "server/models/opened_models.h"
#include "server/models/residency.h"

namespace induct::models {

// A model as lists show it.
struct ModelListing {
  std::string name;
  std::string revision;                     // the commit of a model of the hub; empty for a folder
  std::shared_ptr<const ModelFiles> files;  // nullptr where it can't be used; `problem` says why
  ModelState state =
      ModelState::kUnloaded;    // of the copy, over all devices and dtypes, that is nearest to use
  uint64_t resident_bytes = 0;  // of all copies, those reserved for a load included
  uint32_t n_pins = 0;          // handles, and loads that are under way
  absl::Time last_use = absl::InfinitePast();
  double load_seconds = 0;  // of the latest load; 0: never loaded
  std::string problem;
  std::optional<ModelOutline> outline;  // in place of `files`, of a model that has yet to be downloaded
};

struct RegistryOptions {
  std::vector<std::string> model_dirs;
  // The folder that relative paths of models are relative to, which is the client's; empty where clients in
  // other folders, or on other machines, may ask too: then such paths are refused.
  std::string client_dir = {};
  // One of these must match a model's name; see IsAllowed.
  std::vector<std::string> allow_models = {"*"};
  // Bytes of weights by device; a device that is not named has no limit.
  std::map<std::string, int64_t> budgets;
  // What the models' linear layers use on a CPU; nullptr: as engine::LoadOptions has it.
  std::shared_ptr<engine::LinearChooser> linear_chooser = {};
  // Must outlive the registry; nullptr: folders only.
  const hub::Hub* hub = nullptr;
  metrics::Recorder* recorder = metrics::NoRecorder();  // must outlive the registry
};

// All models of this server. Safe for concurrent use; every method may block on the disk, and Open on the
// network, so never call it on a gRPC thread. Must outlive its handles.
class ModelRegistry {
 public:
  explicit ModelRegistry(RegistryOptions options);

  // What is wrong with the model directories themselves: a sentence for each.
  std::vector<std::string> DirectoryProblems() const;

  // Whether a model may be asked for by that name, and is in a folder, in the hub's cache, or may be at the
  // hub, which is not asked. NOT_FOUND (MODEL_NOT_FOUND) naming the nearest known model; names that leave the
  // model directories ("..", a path elsewhere) are not found either, nor relative paths where the server does
  // not know to what. FAILED_PRECONDITION
  // (MODEL_NOT_ALLOWED) where allow_models has no pattern for it.
  absl::Status CheckExists(const std::string& name) const;

  // The name with a path made absolute, in its shortest form; every other name as it is. NOT_FOUND as
  // CheckExists for relative paths.
  absl::StatusOr<std::string> WithAbsolutePath(const std::string& name) const;

  // The model's files, downloaded where they are not here yet; read again only when they have changed on
  // disk. While what this returns is held, no server removes them from the hub's cache. Errors of
  // CheckExists, Hub::Fetch and ModelFiles::Open.
  absl::StatusOr<std::shared_ptr<const ModelFiles>> Open(const std::string& name,
                                                         const StepSink& on_step = {},
                                                         std::stop_token stop = {});

  // The model, loaded and pinned, with Residency::Acquire's errors and promises. Jobs load their first model
  // while they prepare, with kWait, and further ones on their device's thread, with kStream, after they let
  // the one before go.
  absl::StatusOr<ModelHandle> Load(const std::shared_ptr<const ModelFiles>& files,
                                   const engine::LoadOptions& options, WhenFull when_full,
                                   const StepSink& on_step, std::stop_token stop);

  // As Residency::AlwaysStreams.
  bool AlwaysStreams(const ModelFiles& files, const engine::LoadOptions& options) const;

  // Frees what is loaded of a model. Errors of CheckExists; FAILED_PRECONDITION (MODEL_IN_USE) naming how
  // many jobs use it. OK also where nothing is loaded.
  absl::Status Unload(const std::string& name);

  // As Residency::List; never waits for a load.
  std::vector<ResidentBytes> Resident() const { return residency_.List(); }

  // Every model that may be asked for, by name, the broken ones with their problem.
  std::vector<ModelListing> List();
  // One of them; neither loads nor downloads it. Errors of CheckExists and ModelFiles::Open; NOT_FOUND
  // (MODEL_NOT_FOUND) also for a model that would have to be downloaded.
  absl::StatusOr<ModelListing> Describe(const std::string& name);
  // Whether it is one that would have to be downloaded. Errors of CheckExists.
  absl::StatusOr<bool> IsRemote(const std::string& name) const;
  // One that would have to be downloaded, from what the hub tells of it without its weights: with `outline`.
  // Blocks on the network. Errors of CheckExists, Hub::Look and ReadOutline.
  absl::StatusOr<ModelListing> DescribeRemote(const std::string& name, std::stop_token stop);

 private:
  // Where a model is; without a directory where only the hub may have it. `remote`: of a model of the hub.
  struct Found {
    ModelOrigin origin;
    hub::RepoRevision remote = {.repo = ""};
  };
  absl::StatusOr<Found> Find(const std::string& asked) const;
  absl::StatusOr<Found> FindAtHub(const std::string& asked, ModelName name) const;
  // The full names of models in the hub's cache, and where they are.
  std::map<std::string, ModelOrigin> Cached() const;
  absl::Status NotFound(const std::string& name) const;
  bool Allows(const std::string& asked, const ModelName& full) const;
  absl::StatusOr<hub::Snapshot> FetchFromHub(const Found& found, const StepSink& on_step,
                                             std::stop_token stop);
  absl::StatusOr<std::shared_ptr<const ModelFiles>> OpenAt(const ModelOrigin& origin);
  absl::StatusOr<std::unique_ptr<engine::Model>> LoadWeights(const std::shared_ptr<const ModelFiles>& files,
                                                             engine::LoadOptions options,
                                                             std::stop_token stop) const;
  ModelListing DescribeAt(const ModelOrigin& origin, std::shared_ptr<const ModelFiles> files) const;

  const RegistryOptions options_;
  const ModelFolders folders_;
  OpenedModels opened_;
  Residency residency_;
};

}  // namespace induct::models
