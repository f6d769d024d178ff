#include "server/checkpoint/torch_file.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/tensor_pickle.h"
#include "server/checkpoint/zip_directory.h"

namespace induct::checkpoint {
namespace {

constexpr std::string_view kZipMagic = "PK\x03\x04";
// A pickled integer, 0x1950a86a20f9469cfc6c: how files of PyTorch before 1.6 begin.
constexpr std::string_view kLegacyMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14);
// Files of PyTorch before 0.1.10 are tar files.
constexpr std::string_view kTarMagic = "ustar";
constexpr uint64_t kTarMagicOffset = 257;

constexpr char kConversion[] =
    "python -c \"import glob, torch; from safetensors.torch import save_file; save_file({name: "
    "tensor.clone().contiguous() for file in sorted(glob.glob('pytorch_model*.bin')) for name, tensor in "
    "torch.load(file, map_location='cpu', weights_only=True).items()}, 'model.safetensors')\"";

// Whether `text` stands at `offset`.
absl::StatusOr<bool> Has(const InputFile& file, uint64_t offset, std::string_view text) {
  if (file.size() < offset + text.size()) return false;
  INDUCT_ASSIGN_OR_RETURN(const std::string found, file.ReadText(offset, text.size()));
  return found == text;
}

absl::Status CheckFormat(const InputFile& file) {
  INDUCT_ASSIGN_OR_RETURN(const bool zip, Has(file, 0, kZipMagic));
  if (zip) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(const bool legacy, Has(file, 0, kLegacyMagic));
  if (legacy) {
    return UnsupportedModel(absl::StrCat(file.name(),
                                         ": is in the format of PyTorch before 1.6, which is not supported; "
                                         "in its folder, convert it with: ",
                                         kConversion));
  }
  INDUCT_ASSIGN_OR_RETURN(const bool tar, Has(file, kTarMagicOffset, kTarMagic));
  if (tar) {
    return UnsupportedModel(absl::StrCat(file.name(),
                                         ": is in the tar format of PyTorch before 0.1.10, which is not "
                                         "supported; save it again with PyTorch 1.x, then convert it with: ",
                                         kConversion));
  }
  return BadCheckpoint(absl::StrCat(file.name(), ": is no file of torch.save"));
}

class TorchFileReader {
 public:
  TorchFileReader(const InputFile& file, const ZipDirectory& directory)
      : file_(file), directory_(directory), folder_(FolderOf(directory)) {}

  absl::StatusOr<TensorTable> Read() {
    INDUCT_RETURN_IF_ERROR(CheckByteOrder());
    const ZipEntry* pickle = Find("data.pkl");
    if (pickle == nullptr) return BadCheckpoint(absl::StrCat(file_.name(), ": holds no data.pkl"));
    INDUCT_ASSIGN_OR_RETURN(const std::string text, file_.ReadText(pickle->offset, pickle->size));
    INDUCT_ASSIGN_OR_RETURN(const std::vector<PickledTensor> tensors,
                            ParseTensorPickle(text, absl::StrCat(file_.name(), ": data.pkl")));
    TensorTable table;
    for (const PickledTensor& tensor : tensors) INDUCT_RETURN_IF_ERROR(Add(tensor, table));
    return table;
  }

 private:
  // All entries stand in one folder, which has the name that the file had when it was saved.
  static std::string FolderOf(const ZipDirectory& directory) {
    if (directory.entries().empty()) return "";
    const std::string& first = directory.entries().front().name;
    return first.substr(0, first.find('/') + 1);
  }
  const ZipEntry* Find(std::string_view name) const {
    return directory_.Find(std::string(folder_).append(name));
  }

  absl::Status CheckByteOrder() const;
  absl::Status Add(const PickledTensor& tensor, TensorTable& table) const;
  absl::StatusOr<const ZipEntry*> FindStorage(const PickledTensor& tensor) const;

  const InputFile& file_;
  const ZipDirectory& directory_;
  const std::string folder_;
};

// Written since PyTorch 2.1; little-endian files of older releases say nothing.
absl::Status TorchFileReader::CheckByteOrder() const {
  const ZipEntry* entry = Find("byteorder");
  if (entry == nullptr) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(const std::string order,
                          file_.ReadText(entry->offset, std::min<uint64_t>(entry->size, 16)));
  if (order == "little") return absl::OkStatus();
  return UnsupportedModel(absl::StrCat(file_.name(), ": its numbers are not little-endian"));
}

absl::Status TorchFileReader::Add(const PickledTensor& tensor, TensorTable& table) const {
  const std::string name(tensor.name);
  const std::string what = absl::StrCat(file_.name(), ": tensor ", Quoted(name));
  if (table.Holds(name)) return BadCheckpoint(absl::StrCat(what, " stands twice"));
  INDUCT_ASSIGN_OR_RETURN(const ZipEntry* storage, FindStorage(tensor));
  if (tensor.offset > tensor.storage_numbers || tensor.numbers > tensor.storage_numbers - tensor.offset)
    return BadCheckpoint(absl::StrCat(what, " exceeds its storage"));
  if (!tensor.type->dtype) {
    table.unusable.emplace(name, UnusableTensor{tensor.type->name});
    return absl::OkStatus();
  }
  table.tensors.emplace(name, StoredTensor{.dtype = *tensor.type->dtype,
                                           .shape = tensor.shape,
                                           .offset = storage->offset + tensor.offset * tensor.type->bytes,
                                           .bytes = tensor.numbers * tensor.type->bytes});
  return absl::OkStatus();
}

// The entry must hold what the pickle says: then nothing that lies within the storage lies outside the file.
absl::StatusOr<const ZipEntry*> TorchFileReader::FindStorage(const PickledTensor& tensor) const {
  const std::string what = absl::StrCat(file_.name(), ": tensor ", Quoted(std::string(tensor.name)));
  const ZipEntry* entry =
      tensor.storage.size() > kMaxZipNameBytes ? nullptr : Find(std::string("data/").append(tensor.storage));
  if (entry == nullptr) {
    return BadCheckpoint(
        absl::StrCat(what, " is in storage ", Quoted(std::string(tensor.storage)), ", which is missing"));
  }
  if (entry->size % tensor.type->bytes != 0 || entry->size / tensor.type->bytes != tensor.storage_numbers) {
    return BadCheckpoint(absl::StrCat(what, " is in a storage of ", tensor.storage_numbers, " ",
                                      tensor.type->name, " numbers, which has ", entry->size, " bytes"));
  }
  return entry;
}

}  // namespace

absl::StatusOr<TensorTable> ReadTorchFile(const InputFile& file) {
  INDUCT_RETURN_IF_ERROR(CheckFormat(file));
  INDUCT_ASSIGN_OR_RETURN(const ZipDirectory directory, ZipDirectory::Read(file));
  return TorchFileReader(file, directory).Read();
}

}  // namespace induct::checkpoint
