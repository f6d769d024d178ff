// Small checkpoints for tests: the text of each file, and a folder to write them into.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/status.h"
#include "server/checkpoint/checkpoint.h"

namespace induct::checkpoint {

// A GPT-NeoX model of 2 layers, 2 heads of 4, as transformers 5 writes its config.json.
inline nlohmann::json TinyConfig() {
  return {
      {"model_type", "gpt_neox"},
      {"num_hidden_layers", 2},
      {"num_attention_heads", 2},
      {"hidden_size", 8},
      {"intermediate_size", 16},
      {"vocab_size", 11},
      {"max_position_embeddings", 64},
      {"hidden_act", "gelu"},
      {"layer_norm_eps", 1e-5},
      {"bos_token_id", 0},
      {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5000}, {"partial_rotary_factor", 0.5}}}};
}

// The bytes of a safetensors file.
inline std::string SafetensorsBytes(std::string_view header, std::string_view data) {
  const uint64_t size = header.size();
  std::string bytes(sizeof(size), '\0');
  std::memcpy(bytes.data(), &size, sizeof(size));
  return bytes.append(header).append(data);
}

// A header entry; advances `offset`.
inline nlohmann::json TensorEntry(const std::vector<int64_t>& shape, const std::string& dtype,
                                  uint64_t bytes_each, uint64_t& offset) {
  uint64_t bytes = bytes_each;
  for (const int64_t size : shape) bytes *= static_cast<uint64_t>(size);
  const uint64_t begin = offset;
  offset += bytes;
  return {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, offset}}};
}

// Header of all tensors of TinyConfig() in float32; `offset` becomes the data's size. Shapes are written out
// here, not taken from the spec that they check.
inline nlohmann::json TinyHeader(uint64_t& offset) {
  nlohmann::json header;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
    header[name] = TensorEntry(shape, "F32", 4, offset);
  };
  add("gpt_neox.embed_in.weight", {11, 8});
  for (const std::string layer : {"gpt_neox.layers.0.", "gpt_neox.layers.1."}) {
    for (const std::string norm : {"input_layernorm", "post_attention_layernorm"}) {
      add(layer + norm + ".weight", {8});
      add(layer + norm + ".bias", {8});
    }
    add(layer + "attention.query_key_value.weight", {24, 8});
    add(layer + "attention.query_key_value.bias", {24});
    add(layer + "attention.dense.weight", {8, 8});
    add(layer + "attention.dense.bias", {8});
    add(layer + "mlp.dense_h_to_4h.weight", {16, 8});
    add(layer + "mlp.dense_h_to_4h.bias", {16});
    add(layer + "mlp.dense_4h_to_h.weight", {8, 16});
    add(layer + "mlp.dense_4h_to_h.bias", {8});
  }
  add("gpt_neox.final_layer_norm.weight", {8});
  add("gpt_neox.final_layer_norm.bias", {8});
  add("embed_out.weight", {11, 8});
  return header;
}

// A folder that is removed with the test.
class CheckpointFolder : public testing::Test {
 protected:
  CheckpointFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "induct_checkpoint_XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~CheckpointFolder() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& file, std::string_view bytes) const {
    std::ofstream(folder_ / file, std::ios::binary) << bytes;
    return (folder_ / file).string();
  }

  // config.json and model.safetensors of the tiny model, zeros for weights.
  void WriteTinyModel(const nlohmann::json& config) const {
    uint64_t bytes = 0;
    const std::string header = TinyHeader(bytes).dump();
    Write("config.json", config.dump());
    Write("model.safetensors", SafetensorsBytes(header, std::string(bytes, '\0')));
  }

  std::filesystem::path folder_;
};

inline void ExpectRefused(const absl::Status& status, const std::string& reason, const std::string& naming) {
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(ReasonOf(status), reason) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(naming));
}

inline void ExpectBroken(const absl::Status& status, const std::string& naming) {
  ExpectRefused(status, reason::kBadCheckpoint, naming);
}

inline void ExpectUnsupported(const absl::Status& status, const std::string& naming) {
  ExpectRefused(status, reason::kUnsupportedModel, naming);
}

}  // namespace induct::checkpoint
