#include "server/models/model_registry.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/file_names.h"
#include "common/quoted.h"
#include "common/settings.h"
#include "common/status.h"

namespace induct::models {
namespace {

namespace fs = std::filesystem;

// Files that stay open between jobs; their tokenizers take some tens of megabytes where no two are the same.
constexpr size_t kKeptFiles = 64;

absl::Status NotAllowed(const std::string& name, const std::vector<std::string>& patterns) {
  return WithReason(absl::FailedPreconditionError(absl::StrCat("model \"", name,
                                                               "\" is not among those that the server's "
                                                               "setting allow_models allows: ",
                                                               absl::StrJoin(patterns, ", "))),
                    reason::kModelNotAllowed, "model");
}

absl::Status NoRevisions(const std::string& folder, const std::string& revision) {
  return WithReason(
      absl::NotFoundError(absl::StrCat("model ", folder,
                                       " is a folder of the server, and folders have no "
                                       "revisions: ask for it without @",
                                       revision, ", or for the hub's by its full name, org/name@revision")),
      reason::kModelNotFound, "model");
}

absl::Status NotInFolders(const std::string& path) {
  return WithReason(absl::NotFoundError(absl::StrCat(
                        "there is no model at ", Quoted(path),
                        " in the server's model_dirs: paths are those of folders with a config.json, in a "
                        "folder that INDUCT_MODEL_DIRS or model_dirs in the server's settings names")),
                    reason::kModelNotFound, "model");
}

PreparationStep DownloadStep(const std::string& model, const hub::DownloadProgress& progress) {
  if (progress.total_bytes == 0)
    return {.what =
                absl::StrCat("asking the hub for ", model, progress.note.empty() ? "" : ": ", progress.note)};
  const double total = static_cast<double>(progress.total_bytes);
  return {.what = absl::StrFormat("downloading %s (%.0f MB): %s", model, total / 1e6,
                                  progress.note.empty() ? progress.file : progress.note),
          // Files whose size the hub does not tell are done without having been counted.
          .fraction = std::min(1.0, static_cast<double>(progress.done_bytes) / total)};
}

// Without "." and "..", and without the slash after which shells let a folder's name end.
std::string ShortestForm(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).string();
}

// Whoever holds the result uses the snapshot, a loaded model too, which keeps its source. What the opened
// files themselves keep would last as long as they are remembered.
std::shared_ptr<const ModelFiles> KeptInUse(const std::shared_ptr<const ModelFiles>& files,
                                            const hub::Snapshot& snapshot) {
  struct InUse {
    std::shared_ptr<const ModelFiles> files;
    std::shared_ptr<const void> use;
  };
  return {std::make_shared<InUse>(files, snapshot.use), files.get()};
}

// `main` is what a name without revision means: both are one model.
ModelName WithoutDefault(ModelName name) {
  if (name.revision == "main") name.revision.clear();
  return name;
}

}  // namespace

ModelRegistry::ModelRegistry(RegistryOptions options)
    : options_(std::move(options)),
      folders_(options_.model_dirs),
      opened_(kKeptFiles),
      residency_(options_.budgets, options_.recorder) {}

std::vector<std::string> ModelRegistry::DirectoryProblems() const {
  if (folders_.directories().empty() && options_.hub == nullptr)
    return {"the setting model_dirs names no folder"};
  return folders_.Problems();
}

bool ModelRegistry::Allows(const std::string& asked, const ModelName& full) const {
  return IsAllowed(options_.allow_models, asked, full);
}

absl::StatusOr<std::string> ModelRegistry::WithAbsolutePath(const std::string& name) const {
  const bool is_relative = IsRelativePath(name);
  if (!is_relative && !name.starts_with('/')) return name;
  if (!is_relative || !options_.client_dir.empty()) return ShortestForm(fs::path(options_.client_dir) / name);
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          Quoted(name), " is a relative path, which means nothing to a server that others share: give the ",
          "model's name, as `induct-client models` lists it, or its absolute path on the server")),
      reason::kModelNotFound, "model");
}

absl::StatusOr<ModelRegistry::Found> ModelRegistry::Find(const std::string& asked) const {
  INDUCT_ASSIGN_OR_RETURN(const std::string name, WithAbsolutePath(asked));
  INDUCT_ASSIGN_OR_RETURN(ModelName parsed, ParseModelName(name));
  for (const std::string& candidate : {name, parsed.model, FullName(parsed.model)}) {
    const auto folder = folders_.Find(candidate);
    if (!folder) continue;
    if (!Allows(name, {.model = folder->name})) return NotAllowed(name, options_.allow_models);
    if (candidate != name && !parsed.revision.empty()) return NoRevisions(folder->name, parsed.revision);
    return Found{.origin = {.name = folder->name, .directory = folder->path}};
  }
  return FindAtHub(name, std::move(parsed));
}

absl::StatusOr<ModelRegistry::Found> ModelRegistry::FindAtHub(const std::string& asked,
                                                              ModelName name) const {
  name = WithoutDefault({.model = FullName(name.model), .revision = name.revision});
  if (!Allows(asked, name)) return NotAllowed(asked, options_.allow_models);
  if (options_.hub == nullptr || name.model.starts_with('/')) return NotFound(asked);
  Found found{.origin = {.name = NameWithRevision(name)},
              .remote = {.repo = name.model, .revision = name.revision.empty() ? "main" : name.revision}};
  // gpt2 was called so before it got an organisation, and caches may still hold it by that name.
  for (const std::string& repo : {name.model, ShortName(name.model)}) {
    const auto snapshot = options_.hub->Find({.repo = repo, .revision = found.remote.revision});
    if (!snapshot.ok()) continue;
    found.origin.directory = snapshot->directory;
    found.origin.commit = snapshot->commit;
    found.remote.repo = repo;
    return found;
  }
  if (name.model.find('/') == std::string::npos) return NotFound(asked);
  INDUCT_RETURN_IF_ERROR(hub::CheckNames(found.remote));
  if (options_.hub->options().offline) {
    INDUCT_ASSIGN_OR_RETURN(const hub::Snapshot snapshot, options_.hub->Fetch(found.remote, {}, {}));
    found.origin.directory = snapshot.directory;
    found.origin.commit = snapshot.commit;
  }
  return found;
}

std::map<std::string, ModelOrigin> ModelRegistry::Cached() const {
  std::map<std::string, ModelOrigin> cached;
  if (options_.hub == nullptr) return cached;
  for (const hub::CachedRevision& revision : options_.hub->List()) {
    const ModelName full = WithoutDefault({.model = FullName(revision.repo), .revision = revision.revision});
    const std::string name = NameWithRevision(full);
    if (!Allows(name, full)) continue;
    // Of a model that is cached by its old name too, the new one's is used, as FindAtHub does.
    const ModelOrigin origin{name, revision.directory, revision.commit};
    if (const auto [entry, is_new] = cached.try_emplace(name, origin);
        !is_new && revision.repo == full.model) {
      entry->second = origin;
    }
  }
  return cached;
}

absl::Status ModelRegistry::NotFound(const std::string& name) const {
  if (name.starts_with('/')) return NotInFolders(name);
  std::string message = absl::StrCat("there is no model \"", name, "\" on the server");
  std::vector<std::string> known = folders_.Names();
  for (const auto& [cached, origin] : Cached()) known.push_back(cached);
  if (options_.hub != nullptr) known.insert(known.end(), ShortNames().begin(), ShortNames().end());
  std::erase_if(known, [&](const std::string& other) { return !Allows(other, {.model = FullName(other)}); });
  const std::vector<std::string> problems = DirectoryProblems();
  if (const std::string nearest = NearestWord(name, known); !nearest.empty()) {
    absl::StrAppend(&message, "; did you mean ", nearest, "?");
  } else if (!problems.empty()) {
    absl::StrAppend(&message, "; ", absl::StrJoin(problems, "; "),
                    "; set INDUCT_MODEL_DIRS, or model_dirs in the server's settings");
  } else {
    absl::StrAppend(&message, "; `induct-client models` lists what there is",
                    options_.hub == nullptr ? "" : ", models of the hub are called org/name");
  }
  return WithReason(absl::NotFoundError(message), reason::kModelNotFound, "model");
}

absl::Status ModelRegistry::CheckExists(const std::string& name) const { return Find(name).status(); }

absl::StatusOr<std::shared_ptr<const ModelFiles>> ModelRegistry::Open(const std::string& name,
                                                                      const StepSink& on_step,
                                                                      std::stop_token stop) {
  if (on_step) on_step({.what = absl::StrCat("opening ", name)});
  INDUCT_ASSIGN_OR_RETURN(Found found, Find(name));
  if (found.remote.repo.empty()) return OpenAt(found.origin);
  INDUCT_ASSIGN_OR_RETURN(const hub::Snapshot snapshot, FetchFromHub(found, on_step, stop));
  found.origin.directory = snapshot.directory;
  found.origin.commit = snapshot.commit;
  INDUCT_ASSIGN_OR_RETURN(const auto files, OpenAt(found.origin));
  return KeptInUse(files, snapshot);
}

absl::StatusOr<hub::Snapshot> ModelRegistry::FetchFromHub(const Found& found, const StepSink& on_step,
                                                          std::stop_token stop) {
  const bool is_here = !found.origin.directory.empty();
  // The hub may remove others to make room, which files that are open would still take.
  if (!is_here) opened_.Forget();
  const auto tell = [&](const hub::DownloadProgress& progress) {
    if (on_step) on_step(DownloadStep(found.origin.name, progress));
  };
  const absl::Time begin = absl::Now();
  absl::StatusOr<hub::Snapshot> snapshot = options_.hub->Fetch(found.remote, tell, std::move(stop));
  if (snapshot.ok() && !is_here) options_.recorder->FilesDownloaded(absl::Now() - begin);
  return snapshot;
}

absl::StatusOr<std::shared_ptr<const ModelFiles>> ModelRegistry::OpenAt(const ModelOrigin& origin) {
  auto files = opened_.Open(origin);
  if (!files.ok()) return Annotate(files.status(), absl::StrCat("model ", origin.name));
  return files;
}

absl::StatusOr<ModelHandle> ModelRegistry::Load(const std::shared_ptr<const ModelFiles>& files,
                                                const engine::LoadOptions& options, WhenFull when_full,
                                                const StepSink& on_step, std::stop_token stop) {
  engine::LoadOptions as_server = options;
  as_server.linear_chooser = options_.linear_chooser;
  const LoadRequest request{.key = files->directory(),
                            .name = files->name(),
                            .fingerprint = files->fingerprint(),
                            .options = as_server,
                            .bytes = WeightBytesOf(files->spec(), options.dtype),
                            .load = [&](const engine::LoadOptions& as, std::stop_token stopped) {
                              return LoadWeights(files, as, std::move(stopped));
                            }};
  return residency_.Acquire(request, when_full, on_step, std::move(stop));
}

absl::StatusOr<std::unique_ptr<engine::Model>> ModelRegistry::LoadWeights(
    const std::shared_ptr<const ModelFiles>& files, engine::LoadOptions options, std::stop_token stop) const {
  metrics::Recorder* const recorder = options_.recorder;
  options.on_halving = [recorder] { recorder->MicroBatchHalved(); };
  return engine::LoadModel(files->spec(),
                           WeightsOf(files, options.stream_layers ? recorder : metrics::NoRecorder()),
                           options, std::move(stop));
}

bool ModelRegistry::AlwaysStreams(const ModelFiles& files, const engine::LoadOptions& options) const {
  return residency_.AlwaysStreams(options, WeightBytesOf(files.spec(), options.dtype));
}

absl::Status ModelRegistry::Unload(const std::string& name) {
  INDUCT_ASSIGN_OR_RETURN(const Found found, Find(name));
  return residency_.Unload(found.origin.directory, found.origin.name);
}

std::vector<ModelListing> ModelRegistry::List() {
  std::map<std::string, ModelOrigin> origins = Cached();
  for (const std::string& name : folders_.Names()) {
    const auto folder = folders_.Find(name);
    if (folder && Allows(name, {.model = name})) origins[name] = {.name = name, .directory = folder->path};
  }
  std::vector<ModelListing> listings;
  for (const auto& [name, origin] : origins) {
    auto files = OpenAt(origin);
    listings.push_back(DescribeAt(origin, files.ok() ? *files : nullptr));
    if (!files.ok()) listings.back().problem = std::string(files.status().message());
  }
  return listings;
}

absl::StatusOr<ModelListing> ModelRegistry::Describe(const std::string& name) {
  INDUCT_ASSIGN_OR_RETURN(const Found found, Find(name));
  if (found.origin.directory.empty()) {
    return WithReason(
        absl::NotFoundError(absl::StrCat("model ", found.origin.name,
                                         " is not on the server yet: `induct-client models load ", name,
                                         "` downloads it, as does the first job that asks for it")),
        reason::kModelNotFound, "model");
  }
  INDUCT_ASSIGN_OR_RETURN(auto files, OpenAt(found.origin));
  return DescribeAt(found.origin, std::move(files));
}

absl::StatusOr<bool> ModelRegistry::IsRemote(const std::string& name) const {
  INDUCT_ASSIGN_OR_RETURN(const Found found, Find(name));
  return found.origin.directory.empty();
}

absl::StatusOr<ModelListing> ModelRegistry::DescribeRemote(const std::string& name, std::stop_token stop) {
  INDUCT_ASSIGN_OR_RETURN(const Found found, Find(name));
  if (!found.origin.directory.empty()) return Describe(name);  // downloaded since
  INDUCT_ASSIGN_OR_RETURN(const hub::Outline outline, options_.hub->Look(found.remote, std::move(stop)));
  absl::StatusOr<ModelOutline> model = ReadOutline(outline);
  if (!model.ok()) return Annotate(model.status(), absl::StrCat("model ", found.origin.name));
  return ModelListing{.name = found.origin.name, .revision = outline.commit, .outline = *std::move(model)};
}

ModelListing ModelRegistry::DescribeAt(const ModelOrigin& origin,
                                       std::shared_ptr<const ModelFiles> files) const {
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
