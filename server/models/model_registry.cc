#include "server/models/model_registry.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/settings.h"
#include "common/status.h"

namespace induct::models {
namespace {

namespace fs = std::filesystem;

// The engine's view of a checkpoint's weights.
class CheckpointTensors : public engine::TensorSource {
 public:
  explicit CheckpointTensors(std::shared_ptr<const ModelFiles> files) : files_(std::move(files)) {}

  absl::StatusOr<Info> Describe(const std::string& name) const override {
    INDUCT_ASSIGN_OR_RETURN(const auto* tensor, files_->checkpoint().weights().Find(name));
    return Info{.dtype = tensor->dtype, .shape = tensor->shape};
  }

  absl::Status Read(const std::string& name, uint64_t offset, std::span<std::byte> out) const override {
    INDUCT_ASSIGN_OR_RETURN(const auto* tensor, files_->checkpoint().weights().Find(name));
    return files_->checkpoint().weights().Read(*tensor, offset, out);
  }

 private:
  const std::shared_ptr<const ModelFiles> files_;
};

// Longer than any real name or path; the search for the nearest name costs time with its length.
constexpr size_t kMaxNameBytes = 512;

// "org/name" or "name", nothing that could walk out of a folder.
bool IsPlainName(const std::string& name) {
  if (name.size() > kMaxNameBytes) return false;
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  return parts.size() <= 2 && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
           return !part.empty() && part != "." && part != ".." && part.find('\0') == std::string::npos;
         });
}

bool IsModelDirectory(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path / "config.json", error);
}

// Where an absolute path lies inside `dir`, its name there; "" elsewhere.
std::string NameInside(const std::string& dir, const std::string& path) {
  const std::string root = fs::absolute(dir).lexically_normal().string();
  const std::string relative = fs::path(path).lexically_normal().lexically_relative(root).string();
  return IsPlainName(relative) ? relative : "";
}

std::string Fingerprint(const fs::path& directory) {
  std::string print;
  std::error_code error;
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    const fs::path path = directory / file;
    const auto size = fs::file_size(path, error);
    const auto time = fs::last_write_time(path, error).time_since_epoch().count();
    absl::StrAppend(&print, file, error ? "-" : absl::StrCat(size, ".", time), ";");
  }
  return print;
}

void AddNames(const fs::path& dir, const std::string& prefix, int depth, std::set<std::string>* names) {
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    const std::string name = prefix + it->path().filename().string();
    std::error_code not_a_folder;
    if (IsModelDirectory(it->path())) {
      names->insert(name);
    } else if (depth > 1 && it->is_directory(not_a_folder)) {
      AddNames(it->path(), name + "/", depth - 1, names);
    }
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ModelFiles>> ModelFiles::Open(const std::string& name,
                                                                   const std::string& directory) {
  std::shared_ptr<ModelFiles> files(new ModelFiles());
  files->name_ = name;
  INDUCT_ASSIGN_OR_RETURN(files->checkpoint_, checkpoint::Checkpoint::Open(directory));
  if (files->checkpoint_->has_tokenizer()) {
    INDUCT_ASSIGN_OR_RETURN(files->tokenizer_, files->checkpoint_->LoadTokenizer());
  }
  INDUCT_ASSIGN_OR_RETURN(files->bos_token_id_, files->checkpoint_->BosTokenId(files->tokenizer_.get()));
  return files;
}

absl::StatusOr<std::string> ModelFiles::Sha256() const {
  absl::MutexLock lock(&sha256_mutex_);
  if (sha256_.empty()) {
    INDUCT_ASSIGN_OR_RETURN(sha256_, checkpoint_->Sha256());
  }
  return sha256_;
}

ModelRegistry::ModelRegistry(std::vector<std::string> model_dirs) : model_dirs_(std::move(model_dirs)) {}

std::vector<std::string> ModelRegistry::DirectoryProblems() const {
  std::vector<std::string> problems;
  for (const std::string& dir : model_dirs_) {
    std::error_code error;
    fs::directory_iterator(dir, error);
    if (error)
      problems.push_back(absl::StrCat("model directory ", fs::absolute(dir).string(), ": ", error.message()));
  }
  if (model_dirs_.empty()) problems.push_back("the setting model_dirs names no folder");
  return problems;
}

absl::StatusOr<ModelRegistry::Found> ModelRegistry::Find(const std::string& name) const {
  if (name.size() > kMaxNameBytes) {
    return WithReason(absl::NotFoundError(absl::StrCat("a model's name has at most ", kMaxNameBytes,
                                                       " bytes, this one has ", name.size())),
                      reason::kModelNotFound, "model");
  }
  for (const std::string& dir : model_dirs_) {
    const std::string inside = name.starts_with("/") ? NameInside(dir, name) : IsPlainName(name) ? name : "";
    if (!inside.empty() && IsModelDirectory(fs::path(dir) / inside))
      return Found{inside, (fs::path(dir) / inside).string()};
  }
  std::string message = absl::StrCat("there is no model \"", name, "\" on the server");
  const std::vector<std::string> known = Names();
  const std::vector<std::string> problems = DirectoryProblems();
  if (const std::string nearest = NearestWord(name, known); !nearest.empty()) {
    absl::StrAppend(&message, "; did you mean ", nearest, "?");
  } else if (!problems.empty()) {
    absl::StrAppend(&message, "; ", absl::StrJoin(problems, "; "),
                    "; set INDUCT_MODEL_DIRS, or model_dirs in the server's settings");
  } else {
    absl::StrAppend(&message, "; `induct-client models` lists what its model_dirs (",
                    absl::StrJoin(model_dirs_, ", "), ") hold");
  }
  return WithReason(absl::NotFoundError(message), reason::kModelNotFound, "model");
}

absl::Status ModelRegistry::CheckExists(const std::string& name) const { return Find(name).status(); }

absl::StatusOr<std::shared_ptr<const ModelFiles>> ModelRegistry::Open(const std::string& name) {
  INDUCT_ASSIGN_OR_RETURN(const Found found, Find(name));
  const std::string fingerprint = absl::StrCat(found.directory, ";", Fingerprint(found.directory));
  {
    absl::MutexLock lock(&mutex_);
    if (const auto it = opened_.find(found.name);
        it != opened_.end() && it->second.fingerprint == fingerprint)
      return it->second.files;
  }
  absl::StatusOr<std::shared_ptr<const ModelFiles>> files = ModelFiles::Open(found.name, found.directory);
  if (!files.ok()) return Annotate(files.status(), absl::StrCat("model ", found.name));
  absl::MutexLock lock(&mutex_);
  OpenedFiles& entry = opened_[found.name];
  // Another thread may have been first: one model must not become two.
  if (entry.files == nullptr || entry.fingerprint != fingerprint)
    entry = {.fingerprint = fingerprint, .files = *files};
  return entry.files;
}

absl::StatusOr<std::shared_ptr<engine::Model>> ModelRegistry::Load(
    const std::shared_ptr<const ModelFiles>& files, const engine::LoadOptions& options,
    std::stop_token stop) {
  const auto load = [&]() -> absl::StatusOr<std::shared_ptr<engine::Model>> {
    return engine::LoadModel(files->spec(), std::make_shared<CheckpointTensors>(files), options, stop);
  };
  if (options.stream_layers) return load();

  const ResidentKey key(files->name(), options.device, options.dtype);
  std::shared_ptr<Resident> resident;
  {
    absl::MutexLock lock(&mutex_);
    std::shared_ptr<Resident>& entry = resident_[key];
    if (!entry) entry = std::make_shared<Resident>();
    resident = entry;
  }
  absl::MutexLock lock(&resident->mutex);
  if (resident->model == nullptr || resident->files != files) {
    resident->model = nullptr;  // an older checkpoint's weights make room first
    SetResidentBytes(key, 0);
    INDUCT_ASSIGN_OR_RETURN(resident->model, load());
    resident->files = files;
    SetResidentBytes(key, static_cast<uint64_t>(resident->model->resident_bytes()));
  }
  return resident->model;
}

std::vector<std::string> ModelRegistry::Names() const {
  std::set<std::string> names;
  for (const std::string& dir : model_dirs_) AddNames(dir, "", 2, &names);
  return {names.begin(), names.end()};
}

void ModelRegistry::SetResidentBytes(const ResidentKey& key, uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  resident_bytes_[key] = bytes;
}

uint64_t ModelRegistry::ResidentBytes(const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  uint64_t bytes = 0;
  for (const auto& [key, size] : resident_bytes_) {
    if (std::get<0>(key) == name) bytes += size;
  }
  return bytes;
}

std::vector<ModelListing> ModelRegistry::List() {
  std::vector<ModelListing> listings;
  for (const std::string& name : Names()) {
    auto listing = Describe(name);
    listings.push_back(listing.ok()
                           ? *std::move(listing)
                           : ModelListing{.name = name, .problem = std::string(listing.status().message())});
  }
  return listings;
}

absl::StatusOr<ModelListing> ModelRegistry::Describe(const std::string& name) {
  INDUCT_ASSIGN_OR_RETURN(auto files, Open(name));
  return ModelListing{.name = name, .files = std::move(files), .resident_bytes = ResidentBytes(name)};
}

}  // namespace induct::models
