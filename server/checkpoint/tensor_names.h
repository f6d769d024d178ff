// Names and shapes of a module's tensors, as transformers' modules store them.
#pragma once

#include <cstdint>
#include <string>

#include "common/decoder_spec.h"

namespace induct::checkpoint {

// A norm over [width]: `module`.weight and, as LayerNorm has and RMSNorm lacks, `module`.bias.
NormTensors NameLayerNorm(const std::string& module, int64_t width);
NormTensors NameRmsNorm(const std::string& module, int64_t width);

// nn.Linear: weight [out, in], bias [out].
LinearTensors NameLinear(const std::string& module, int64_t out, int64_t in, bool has_bias);

// The two ends of a decoder: `embedding`.weight and `unembedding`.weight, [V, D] both, or one tensor where
// they are tied.
void NameEmbeddings(const std::string& embedding, const std::string& unembedding, bool tied,
                    DecoderSpec& spec);

// GPT-2's Conv1D: weight [in, out], bias [out].
LinearTensors NameConv1d(const std::string& module, int64_t in, int64_t out);

}  // namespace induct::checkpoint
