// Reader of pytorch_model.bin files: what torch.save makes of a dictionary of tensors since PyTorch 1.6, a
// zip file of one pickle (tensor_pickle.h) and one entry for each storage.
#pragma once

#include "absl/status/statusor.h"
#include "server/checkpoint/input_file.h"
#include "server/checkpoint/stored_tensor.h"

namespace induct::checkpoint {

// The tensors of `file`; several may share a storage, as tied weights do. FAILED_PRECONDITION naming file and
// fault: UNSUPPORTED_MODEL for the formats of older releases (with the line that converts them), big-endian
// files and what zip_directory.h and tensor_pickle.h do not read; BAD_CHECKPOINT for what is broken, such as
// a tensor beyond its storage or a storage that is missing or of another size than the pickle says.
absl::StatusOr<TensorTable> ReadTorchFile(const InputFile& file);

}  // namespace induct::checkpoint
