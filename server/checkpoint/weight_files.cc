#include "server/checkpoint/weight_files.h"

#include "absl/strings/str_cat.h"
#include "common/shard_limits.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/folder.h"
#include "server/checkpoint/safetensors.h"
#include "server/checkpoint/torch_file.h"

namespace induct::checkpoint {
namespace {

// Moves the entries of `from`, all of them in file number `file`, to `to`. The name of one that is there
// already; empty where none is.
template <typename Map>
std::string MoveEntries(Map& from, uint32_t file, TensorTable& all, Map& to) {
  while (!from.empty()) {
    auto entry = from.extract(from.begin());
    if (all.Holds(entry.key())) return entry.key();
    entry.mapped().file = file;
    to.insert(std::move(entry));
  }
  return "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<WeightFiles>> WeightFiles::Open(const std::string& directory) {
  struct Form {
    const char* file;
    const char* index;
    Reader reader;
  };
  constexpr Form kForms[] = {{"model.safetensors", "model.safetensors.index.json", &ReadSafetensors},
                             {"pytorch_model.bin", "pytorch_model.bin.index.json", &ReadTorchFile}};
  auto weights = std::unique_ptr<WeightFiles>(new WeightFiles(directory));
  for (const Form& form : kForms) {
    if (ExistsIn(directory, form.file)) {
      INDUCT_RETURN_IF_ERROR(weights->AddFile(form.file, form.reader));
      return weights;
    }
    if (ExistsIn(directory, form.index)) {
      INDUCT_RETURN_IF_ERROR(weights->OpenSharded(form.index, form.reader));
      return weights;
    }
  }
  return BadCheckpoint(absl::StrCat(directory, ": holds no ", kForms[0].file, " and no ", kForms[1].file));
}

absl::Status WeightFiles::AddFile(const std::string& name, Reader reader) {
  INDUCT_ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file, InputFile::Open(PathIn(directory_, name)));
  INDUCT_ASSIGN_OR_RETURN(TensorTable table, reader(*file));
  const auto position = static_cast<uint32_t>(files_.size());
  files_.push_back(std::move(file));
  names_.push_back(name);
  std::string twice = MoveEntries(table.tensors, position, table_, table_.tensors);
  if (twice.empty()) twice = MoveEntries(table.unusable, position, table_, table_.unusable);
  if (!twice.empty()) {
    return BadCheckpoint(absl::StrCat(name, ": tensor ", Quoted(twice), " is in another shard as well"));
  }
  if (table_.size() > kMaxTensors) {
    return BadCheckpoint(absl::StrCat(name, ": with it there are more than ", kMaxTensors, " tensors"));
  }
  return absl::OkStatus();
}

absl::Status WeightFiles::OpenSharded(std::string_view index_name, Reader reader) {
  const std::string name(index_name);
  INDUCT_ASSIGN_OR_RETURN(const std::unique_ptr<InputFile> file, InputFile::Open(PathIn(directory_, name)));
  if (file->size() > kMaxShardIndexBytes) {
    return BadCheckpoint(absl::StrCat(name, ": ", file->size(), " bytes, more than ", kMaxShardIndexBytes));
  }
  INDUCT_ASSIGN_OR_RETURN(const std::string text, file->ReadText(0, file->size()));
  INDUCT_ASSIGN_OR_RETURN(const ShardIndex index, ParseShardIndex(text, name));
  names_.push_back(name);
  INDUCT_RETURN_IF_ERROR(CheckFilesExist(index));
  for (const std::string& shard : index.files) INDUCT_RETURN_IF_ERROR(AddFile(shard, reader));
  return CheckTensorsAreWhere(index);
}

absl::Status WeightFiles::CheckFilesExist(const ShardIndex& index) const {
  std::vector<bool> exists;
  for (const std::string& file : index.files) exists.push_back(ExistsIn(directory_, file));
  for (const auto& [tensor, file] : index.file_of) {
    if (!exists[file]) return WrongFile(tensor, index.files[file], "is missing");
  }
  return absl::OkStatus();
}

absl::Status WeightFiles::CheckTensorsAreWhere(const ShardIndex& index) const {
  for (const auto& [tensor, file] : index.file_of) {
    const auto usable = table_.tensors.find(tensor);
    const auto unusable = table_.unusable.find(tensor);
    if (usable != table_.tensors.end() && usable->second.file == file) continue;
    if (unusable != table_.unusable.end() && unusable->second.file == file) continue;
    return WrongFile(tensor, index.files[file], "does not hold it");
  }
  return absl::OkStatus();
}

absl::Status WeightFiles::WrongFile(const std::string& tensor, const std::string& file,
                                    const std::string& complaint) const {
  return BadCheckpoint(absl::StrCat(names_.front(), ": tensor ", Quoted(tensor), " is said to be in ",
                                    Quoted(file), ", which ", complaint));
}

absl::StatusOr<const StoredTensor*> WeightFiles::Find(const std::string& name) const {
  if (const auto found = table_.tensors.find(name); found != table_.tensors.end()) return &found->second;
  if (const auto found = table_.unusable.find(name); found != table_.unusable.end()) {
    return UnsupportedModel(absl::StrCat(files_[found->second.file]->name(), ": tensor ", Quoted(name),
                                         " is stored as ", found->second.stored_as,
                                         "; float32, float16 or bfloat16 is needed"));
  }
  return absl::NotFoundError(absl::StrCat(names_.front(), ": tensor ", Quoted(name), " is missing"));
}

absl::Status WeightFiles::Read(const StoredTensor& tensor, uint64_t offset, std::span<std::byte> out) const {
  return files_[tensor.file]->ReadAt(tensor.offset + offset, out);
}

}  // namespace induct::checkpoint
