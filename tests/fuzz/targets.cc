#include "tests/fuzz/targets.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/utf8.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/safetensors.h"
#include "server/checkpoint/shard_index.h"
#include "server/checkpoint/tensor_pickle.h"
#include "server/checkpoint/torch_file.h"

namespace induct::checkpoint {
namespace {

// Of the data behind a safetensors header: what the corpus's headers describe.
constexpr uint64_t kDataBytes = 5568;

// Ends the process, which is how a fuzzer is told, unless `kept`.
void Require(bool kept, std::string_view promise) {
  if (kept) return;
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

absl::Status RequireDocumented(const absl::Status& status) {
  if (status.ok()) return status;
  Require(absl::IsFailedPrecondition(status), "bad files are FAILED_PRECONDITION");
  const std::string reason = ReasonOf(status);
  Require(reason == reason::kBadCheckpoint || reason == reason::kUnsupportedModel, "with one of two reasons");
  Require(status.message().size() < 2000, "and a short message");
  Require(IsUtf8({status.message().data(), status.message().size()}), "which is UTF-8");
  return status;
}

// Every tensor must lie within the file and be as large as its shape says.
void RequireWithin(const TensorTable& table, uint64_t file_bytes) {
  for (const auto& [name, tensor] : table.tensors) {
    Require(tensor.offset <= file_bytes && tensor.bytes <= file_bytes - tensor.offset,
            "tensors lie in the file");
    uint64_t bytes = DTypeBytes(tensor.dtype);
    for (const int64_t size : tensor.shape) bytes *= static_cast<uint64_t>(size);
    Require(bytes == tensor.bytes, "tensors have the bytes of their shape");
    Require(!table.unusable.contains(name), "a name is listed once");
  }
}

absl::Status ReadSafetensorsHeader(std::string_view bytes) {
  const absl::StatusOr<TensorTable> table =
      ParseSafetensorsHeader(bytes, 8 + bytes.size(), kDataBytes, "fuzz");
  if (table.ok()) RequireWithin(*table, 8 + bytes.size() + kDataBytes);
  return RequireDocumented(table.status());
}

absl::Status ReadConfig(std::string_view bytes) {
  const absl::StatusOr<DecoderSpec> spec = ParseConfig(bytes);
  if (!spec.ok()) return RequireDocumented(spec.status());
  Require(spec->n_layers == static_cast<int64_t>(spec->layers.size()), "every layer is described");
  for (const TensorSpec* tensor : TensorsOf(*spec)) Require(CountOf(*tensor) > 0, "no tensor is empty");
  return absl::OkStatus();
}

// The tokenizer must also encode, some text and its own file, and decode.
absl::Status ReadTokenizer(std::string_view bytes) {
  const absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Parse(bytes);
  if (!tokenizer.ok()) return RequireDocumented(tokenizer.status());
  const std::string_view start = bytes.substr(0, 300);
  for (const std::string_view text :
       {std::string_view("The [W] word  [B]  caf\u00e9 ne\u0301e <|endoftext|> It's 2024\n"), start}) {
    const absl::StatusOr<std::vector<int32_t>> ids = (*tokenizer)->Encode(text);
    Require(ids.ok() || !absl::IsInternal(ids.status()), "text is encoded or refused");
    if (ids.ok()) (*tokenizer)->Decode(*ids);
  }
  const int32_t ids[] = {-1, 0, 1, 255, (*tokenizer)->size(), 1 << 30};
  (*tokenizer)->Decode(ids);
  return absl::OkStatus();
}

absl::Status ReadShardIndex(std::string_view bytes) {
  const absl::StatusOr<ShardIndex> index = ParseShardIndex(bytes, "fuzz");
  if (!index.ok()) return RequireDocumented(index.status());
  for (const auto& [tensor, file] : index->file_of)
    Require(file < index->files.size(), "tensors are in files");
  for (const std::string& file : index->files) {
    Require(file.find('/') == std::string::npos && file != "..", "files are in the folder");
  }
  return absl::OkStatus();
}

absl::Status ReadPickle(std::string_view bytes) {
  const absl::StatusOr<std::vector<PickledTensor>> tensors = ParseTensorPickle(bytes, "fuzz");
  if (!tensors.ok()) return RequireDocumented(tensors.status());
  for (const PickledTensor& tensor : *tensors) {
    Require(tensor.type != nullptr && tensor.type->bytes > 0, "tensors have a type");
    Require(tensor.shape.size() <= kMaxDimensions, "and few dimensions");
  }
  return absl::OkStatus();
}

// A file in memory with these bytes.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    Require(fd_ >= 0 && write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "the test can make files");
  }
  ~MemoryFile() { close(fd_); }
  std::string path() const { return absl::StrCat("/proc/self/fd/", fd_); }

 private:
  const int fd_;
};

absl::Status ReadTorch(std::string_view bytes) {
  const MemoryFile memory(bytes);
  const absl::StatusOr<std::unique_ptr<InputFile>> file = InputFile::Open(memory.path());
  Require(file.ok(), "the file is there");
  const absl::StatusOr<TensorTable> table = ReadTorchFile(**file);
  if (table.ok()) RequireWithin(*table, bytes.size());
  return RequireDocumented(table.status());
}

constexpr FuzzTarget kTargets[] = {
    {"safetensors_header", &ReadSafetensorsHeader},
    {"config", &ReadConfig},
    {"tokenizer", &ReadTokenizer},
    {"shard_index", &ReadShardIndex},
    {"pickle", &ReadPickle},
    {"torch_file", &ReadTorch},
};

}  // namespace

std::span<const FuzzTarget> FuzzTargets() { return kTargets; }

}  // namespace induct::checkpoint
