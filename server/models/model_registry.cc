#include "server/models/model_registry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/settings.h"
#include "common/status.h"

namespace induct::models {
namespace {

// Files that stay open between jobs; their tokenizers take some tens of megabytes where no two are the same.
constexpr size_t kKeptFiles = 64;

absl::Status NotAllowed(const std::string& name, const std::vector<std::string>& patterns) {
  return WithReason(absl::FailedPreconditionError(absl::StrCat("model \"", name,
                                                               "\" is not among those that the server's "
                                                               "setting allow_models allows: ",
                                                               absl::StrJoin(patterns, ", "))),
                    reason::kModelNotAllowed, "model");
}

}  // namespace

ModelRegistry::ModelRegistry(RegistryOptions options)
    : options_(std::move(options)),
      folders_(options_.model_dirs),
      opened_(kKeptFiles),
      residency_(options_.budgets) {}

std::vector<std::string> ModelRegistry::DirectoryProblems() const {
  if (folders_.directories().empty()) return {"the setting model_dirs names no folder"};
  return folders_.Problems();
}

absl::StatusOr<ModelOrigin> ModelRegistry::Find(const std::string& name) const {
  INDUCT_ASSIGN_OR_RETURN(const ModelName parsed, ParseModelName(name));
  const std::string full = FullName(parsed.model);
  for (const std::string& candidate : {name, parsed.model, full}) {
    const auto folder = folders_.Find(candidate);
    if (!folder) continue;
    if (!IsAllowed(options_.allow_models, name, {.model = folder->name}))
      return NotAllowed(name, options_.allow_models);
    if (candidate != name && !parsed.revision.empty()) {
      return WithReason(absl::NotFoundError(absl::StrCat("model ", folder->name,
                                                         " is a folder of the server, and folders "
                                                         "have no revisions: ask for it without @",
                                                         parsed.revision)),
                        reason::kModelNotFound, "model");
    }
    return ModelOrigin{.name = folder->name, .directory = folder->path};
  }
  return NotFound(name);
}

absl::Status ModelRegistry::NotFound(const std::string& name) const {
  std::string message = absl::StrCat("there is no model \"", name, "\" on the server");
  const std::vector<std::string> known = folders_.Names();
  const std::vector<std::string> problems = DirectoryProblems();
  if (const std::string nearest = NearestWord(name, known); !nearest.empty()) {
    absl::StrAppend(&message, "; did you mean ", nearest, "?");
  } else if (!problems.empty()) {
    absl::StrAppend(&message, "; ", absl::StrJoin(problems, "; "),
                    "; set INDUCT_MODEL_DIRS, or model_dirs in the server's settings");
  } else {
    absl::StrAppend(&message, "; `induct-client models` lists what its model_dirs (",
                    absl::StrJoin(options_.model_dirs, ", "), ") hold");
  }
  return WithReason(absl::NotFoundError(message), reason::kModelNotFound, "model");
}

absl::Status ModelRegistry::CheckExists(const std::string& name) const { return Find(name).status(); }

absl::StatusOr<std::shared_ptr<const ModelFiles>> ModelRegistry::Open(const std::string& name,
                                                                      const StepSink& on_step,
                                                                      std::stop_token stop) {
  if (on_step) on_step({.what = absl::StrCat("opening ", name)});
  INDUCT_ASSIGN_OR_RETURN(const ModelOrigin origin, Find(name));
  if (stop.stop_requested()) return absl::CancelledError(absl::StrCat("cancelled while opening ", name));
  return OpenAt(origin);
}

absl::StatusOr<std::shared_ptr<const ModelFiles>> ModelRegistry::OpenAt(const ModelOrigin& origin) {
  auto files = opened_.Open(origin);
  if (!files.ok()) return Annotate(files.status(), absl::StrCat("model ", origin.name));
  return files;
}

absl::StatusOr<ModelHandle> ModelRegistry::Load(const std::shared_ptr<const ModelFiles>& files,
                                                const engine::LoadOptions& options, WhenFull when_full,
                                                const StepSink& on_step, std::stop_token stop) {
  const LoadRequest request{.key = files->directory(),
                            .name = files->name(),
                            .fingerprint = files->fingerprint(),
                            .options = options,
                            .bytes = WeightBytesOf(files->spec(), options.dtype),
                            .load = [&files](const engine::LoadOptions& as, std::stop_token stopped) {
                              return engine::LoadModel(files->spec(), WeightsOf(files), as,
                                                       std::move(stopped));
                            }};
  return residency_.Acquire(request, when_full, on_step, std::move(stop));
}

absl::Status ModelRegistry::Unload(const std::string& name) {
  INDUCT_ASSIGN_OR_RETURN(const ModelOrigin origin, Find(name));
  return residency_.Unload(origin.directory, origin.name);
}

std::vector<ModelListing> ModelRegistry::List() {
  std::vector<ModelListing> listings;
  for (const std::string& name : folders_.Names()) {
    if (!IsAllowed(options_.allow_models, name, {.model = name})) continue;
    auto listing = Describe(name);
    listings.push_back(listing.ok()
                           ? *std::move(listing)
                           : ModelListing{.name = name, .problem = std::string(listing.status().message())});
  }
  return listings;
}

absl::StatusOr<ModelListing> ModelRegistry::Describe(const std::string& name) {
  INDUCT_ASSIGN_OR_RETURN(const ModelOrigin origin, Find(name));
  return DescribeAt(origin);
}

absl::StatusOr<ModelListing> ModelRegistry::DescribeAt(const ModelOrigin& origin) {
  INDUCT_ASSIGN_OR_RETURN(auto files, OpenAt(origin));
  const ResidentStats stats = residency_.StatsOf(origin.directory);
  return ModelListing{.name = origin.name,
                      .revision = origin.commit,
                      .files = std::move(files),
                      .state = stats.state,
                      .resident_bytes = stats.bytes,
                      .n_pins = stats.n_pins,
                      .last_use = stats.last_use,
                      .load_seconds = stats.load_seconds};
}

}  // namespace induct::models
