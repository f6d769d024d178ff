#include "server/checkpoint/checkpoint.h"

#include <optional>
#include <tuple>
#include <vector>

#include "common/atomic_file.h"
#include "tests/checkpoint/checkpoint_files.h"
#include "tests/checkpoint/torch_bytes.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

class CheckpointTest : public CheckpointFolder {
 protected:
  // Opens the tiny model with its safetensors header changed by `edit`.
  template <typename Edit>
  absl::Status OpenEdited(Edit edit) const {
    Write("config.json", TinyConfig().dump());
    uint64_t bytes = 0;
    json header = TinyHeader(bytes);
    edit(header, bytes);
    Write("model.safetensors", SafetensorsBytes(header.dump(), std::string(bytes, '\0')));
    return Checkpoint::Open(folder_.string()).status();
  }

  std::unique_ptr<Checkpoint> OpenTiny(const json& config) const {
    WriteTinyModel(config);
    auto checkpoint = Checkpoint::Open(folder_.string());
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    return checkpoint.ok() ? *std::move(checkpoint) : nullptr;
  }

  void WriteTokenizer() const {
    const auto text = ReadFile(std::string(INDUCT_SOURCE_DIR) + "/tests/checkpoint/data/gpt2.json");
    ASSERT_TRUE(text.ok()) << text.status();
    Write("tokenizer.json", *text);
  }
};

TEST_F(CheckpointTest, OpensAModelFolder) {
  const auto checkpoint = OpenTiny(TinyConfig());
  ASSERT_NE(checkpoint, nullptr);
  EXPECT_EQ(checkpoint->spec().n_layers, 2);
  EXPECT_EQ(checkpoint->stored_dtype(), DType::kFloat32);
  // 2 x 11 x 8 embeddings, 16 final norm, and per layer 32 + 24*9 + 8*9 + 16*9 + 8*17 = 600.
  EXPECT_EQ(checkpoint->n_parameters(), 176 + 16 + 2 * 600);
  EXPECT_FALSE(checkpoint->has_tokenizer());
  const absl::Status tokenizer = checkpoint->LoadTokenizer().status();
  ExpectRefused(tokenizer, reason::kNoTokenizer, "tokenizer.json");
}

TEST_F(CheckpointTest, CountsTiedEmbeddingsOnce) {
  json config = TinyConfig();
  config["tie_word_embeddings"] = true;
  const auto checkpoint = OpenTiny(config);
  ASSERT_NE(checkpoint, nullptr);
  EXPECT_EQ(checkpoint->n_parameters(), 88 + 16 + 2 * 600);
}

TEST_F(CheckpointTest, SaysWhichFileIsMissing) {
  EXPECT_EQ(Checkpoint::Open(folder_.string()).status().code(), absl::StatusCode::kNotFound);
  Write("config.json", TinyConfig().dump());
  ExpectBroken(Checkpoint::Open(folder_.string()).status(), "model.safetensors");
}

TEST_F(CheckpointTest, ReadsTheConfigurationOfAFolderWithoutWeights) {
  EXPECT_TRUE(absl::IsNotFound(ReadConfig(folder_.string()).status()));
  auto config = TinyConfig();
  Write("config.json", config.dump());
  EXPECT_EQ(ReadConfig(folder_.string())->spec.n_layers, ParseConfig(config.dump())->n_layers);
  for (const auto& [key, value, dtype] :
       std::vector<std::tuple<std::string, nlohmann::json, std::optional<DType>>>{
           {"torch_dtype", "bfloat16", DType::kBFloat16},
           {"dtype", "float32", DType::kFloat32},
           {"dtype", "float8_e4m3fn", std::nullopt},
           {"torch_dtype", 16, std::nullopt}}) {
    config = TinyConfig();
    config[key] = value;
    Write("config.json", config.dump());
    EXPECT_EQ(ReadConfig(folder_.string())->dtype, dtype) << config;
  }
}

TEST_F(CheckpointTest, NamesAMissingTensor) {
  const absl::Status status = OpenEdited([](json& header, uint64_t&) {
    header["other"] = header["gpt_neox.layers.1.attention.dense.bias"];
    header.erase("gpt_neox.layers.1.attention.dense.bias");
  });
  ExpectBroken(status, "'gpt_neox.layers.1.attention.dense.bias' is missing; expected shape [8]");
}

TEST_F(CheckpointTest, NamesATensorOfAnotherShape) {
  const absl::Status status = OpenEdited([](json& header, uint64_t&) {
    header["embed_out.weight"]["shape"] = {8, 11};
  });
  ExpectBroken(status, "'embed_out.weight' has shape [8, 11], config.json asks for [11, 8]");
}

TEST_F(CheckpointTest, NamesATensorOfAnotherDtype) {
  const absl::Status status =
      OpenEdited([](json& header, uint64_t&) { header["embed_out.weight"]["dtype"] = "I32"; });
  ExpectUnsupported(status, "'embed_out.weight' is stored as I32");
}

TEST_F(CheckpointTest, AcceptsBuffersThatTheSpecDoesNotName) {
  const absl::Status status = OpenEdited([](json& header, uint64_t& bytes) {
    header["gpt_neox.layers.0.attention.bias"] = TensorEntry({1, 1, 4, 4}, "BOOL", 1, bytes);
    header["gpt_neox.layers.0.attention.masked_bias"] = TensorEntry({}, "F32", 4, bytes);
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(CheckpointTest, FindsTensorsWithoutTheFamilysPrefix) {
  WriteTinyModel(TinyConfig());
  uint64_t bytes = 0;
  json header;
  const json prefixed = TinyHeader(bytes);
  for (const auto& [name, entry] : prefixed.items()) {
    header[name.starts_with("gpt_neox.") ? name.substr(9) : name] = entry;
  }
  Write("model.safetensors", SafetensorsBytes(header.dump(), std::string(bytes, '\0')));
  const auto checkpoint = Checkpoint::Open(folder_.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->spec().token_embedding.name, "embed_in.weight");
  EXPECT_EQ((*checkpoint)->spec().unembedding.name, "embed_out.weight");
  EXPECT_EQ((*checkpoint)->stored_dtype(), DType::kFloat32);
}

TEST_F(CheckpointTest, TiedHeadFollowsTheRenamedEmbedding) {
  json config = TinyConfig();
  config["tie_word_embeddings"] = true;
  uint64_t bytes = 0;
  json header;
  const json prefixed = TinyHeader(bytes);
  for (const auto& [name, entry] : prefixed.items()) {
    header[name.starts_with("gpt_neox.") ? name.substr(9) : "unrelated"] = entry;
  }
  Write("config.json", config.dump());
  Write("model.safetensors", SafetensorsBytes(header.dump(), std::string(bytes, '\0')));
  const auto checkpoint = Checkpoint::Open(folder_.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->spec().unembedding.name, "embed_in.weight");
}

TEST_F(CheckpointTest, StoredDtypeIsThatOfMostNeededNumbers) {
  Write("config.json", TinyConfig().dump());
  uint64_t bytes = 0;
  json header = TinyHeader(bytes);
  json halved;
  bytes = 0;
  for (const auto& [name, entry] : header.items()) {
    const bool is_norm = name.find("norm") != std::string::npos;
    halved[name] = TensorEntry(entry["shape"], is_norm ? "F32" : "BF16", is_norm ? 4 : 2, bytes);
  }
  halved["gpt_neox.layers.0.attention.masked_bias"] = TensorEntry({5000}, "F32", 4, bytes);
  Write("model.safetensors", SafetensorsBytes(halved.dump(), std::string(bytes, '\0')));
  const auto checkpoint = Checkpoint::Open(folder_.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->stored_dtype(), DType::kBFloat16);
  const int64_t in_norms = 16 + 2 * 32;
  EXPECT_EQ((*checkpoint)->stored_bytes(), 2 * (*checkpoint)->n_parameters() + 2 * in_norms);
}

TEST_F(CheckpointTest, TakesTheBosOfTheTokenizerBeforeThatOfTheConfiguration) {
  json config = TinyConfig();
  config["bos_token_id"] = 7;
  const auto checkpoint = OpenTiny(config);
  ASSERT_NE(checkpoint, nullptr);
  WriteTokenizer();
  const auto tokenizer = checkpoint->LoadTokenizer();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto bos = [&] { return checkpoint->BosTokenId(tokenizer->get()); };
  EXPECT_EQ(*bos(), 7);
  Write("tokenizer_config.json", R"({"bos_token":"<|endoftext|>"})");
  EXPECT_EQ(*bos(), 0);
  EXPECT_EQ(*checkpoint->BosTokenId(nullptr), 7);
  Write("tokenizer_config.json", R"({"bos_token":{"content":"<|endoftext|>"}})");
  EXPECT_EQ(*bos(), 0);
  for (const char* silent : {"{}", R"({"bos_token":null})", R"({"bos_token":"unheard of"})"}) {
    Write("tokenizer_config.json", silent);
    EXPECT_EQ(*bos(), 7) << silent;
  }
  for (const char* broken : {"", "[]", R"({"bos_token":3})", R"({"bos_token":{}})"}) {
    Write("tokenizer_config.json", broken);
    ExpectBroken(bos().status(), "tokenizer_config.json");
  }
}

TEST_F(CheckpointTest, TakesTheBosOfTheTokenizersTemplateWhereItsConfigurationNamesNone) {
  json config = TinyConfig();
  config["bos_token_id"] = 7;
  const auto checkpoint = OpenTiny(config);
  ASSERT_NE(checkpoint, nullptr);
  const auto bos = [&](int id) {
    const json piece = {{"SpecialToken", {{"id", "<bos>"}, {"type_id", 0}}}};
    json document =
        json::parse(*ReadFile(std::string(INDUCT_SOURCE_DIR) + "/tests/checkpoint/data/gpt2.json"));
    document["post_processor"] = {{"type", "TemplateProcessing"},
                                  {"single", json::array({piece})},
                                  {"special_tokens", {{"<bos>", {{"ids", {id}}}}}}};
    return *checkpoint->BosTokenId(Tokenizer::Parse(document.dump())->get());
  };
  EXPECT_EQ(bos(3), 3);
  EXPECT_EQ(bos(2'000'000), 7) << "the model's vocabulary lacks it";
  Write("tokenizer_config.json", R"({"bos_token":"<|endoftext|>"})");
  EXPECT_EQ(bos(3), 0);
}

TEST_F(CheckpointTest, DigestsItsFiles) {
  // sha256sum config.json model.safetensors tokenizer.json | sort | sha256sum, with the texts below.
  const auto checkpoint = OpenTiny(TinyConfig());
  ASSERT_NE(checkpoint, nullptr);
  Write("config.json", "config");
  Write("model.safetensors", "weights");
  EXPECT_EQ(*checkpoint->Sha256(), "d5dab27ffdb5ad9630e0fe0932cee0905e41971f00eded614305d79f6fb966ef");
  Write("tokenizer.json", "tokenizer");
  Write("README.md", "not counted");
  EXPECT_EQ(*checkpoint->Sha256(), "3cf88effbad0297cad5a102621cc529945c89fc83826323091bb4157dfb40f22");
}

TEST_F(CheckpointTest, DigestsAndNamesShardsAndTheirIndex) {
  Write("config.json", TinyConfig().dump());
  uint64_t bytes = 0;
  json header = TinyHeader(bytes);
  uint64_t head_bytes = 0;
  header.erase("embed_out.weight");
  uint64_t body_bytes = 0;
  json body;
  json weight_map = {{"embed_out.weight", "b.safetensors"}};
  for (const auto& [name, entry] : header.items()) {
    body[name] = TensorEntry(entry["shape"], "F32", 4, body_bytes);
    weight_map[name] = "a.safetensors";
  }
  const json head = {{"embed_out.weight", TensorEntry({11, 8}, "F32", 4, head_bytes)}};
  Write("a.safetensors", SafetensorsBytes(body.dump(), std::string(body_bytes, '\0')));
  Write("b.safetensors", SafetensorsBytes(head.dump(), std::string(head_bytes, '\0')));
  Write("model.safetensors.index.json", json{{"weight_map", weight_map}}.dump());
  const auto checkpoint = Checkpoint::Open(folder_.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->n_parameters(), 176 + 16 + 2 * 600);
  EXPECT_THAT((*checkpoint)->files(),
              testing::ElementsAre("config.json", "tokenizer.json", "tokenizer_config.json",
                                   "model.safetensors.index.json", "b.safetensors", "a.safetensors"));
  // sha256sum a.safetensors b.safetensors config.json model.safetensors.index.json | sort | sha256sum
  for (const char* file : {"config.json", "model.safetensors.index.json", "a.safetensors", "b.safetensors"}) {
    Write(file, file);
  }
  EXPECT_EQ(*(*checkpoint)->Sha256(), "989ea894348ef9c2f1552ff60b8ab2b65b5ecf69b7e9066ecf2df6efb30fc899");
}

TEST_F(CheckpointTest, OpensAPyTorchFile) {
  Write("config.json", TinyConfig().dump());
  uint64_t bytes = 0;
  const json header = TinyHeader(bytes);
  std::vector<std::string> items;
  std::vector<ZipPart> parts = {{.name = "pytorch_model/data.pkl"}};
  for (const auto& [name, entry] : header.items()) {
    const std::vector<int64_t> shape = entry["shape"];
    const int64_t numbers = shape[0] * (shape.size() > 1 ? shape[1] : 1);
    const std::vector<int64_t> strides =
        shape.size() > 1 ? std::vector<int64_t>{shape[1], 1} : std::vector<int64_t>{1};
    const std::string key = std::to_string(parts.size());
    items.push_back(PickledText(name));
    items.push_back(PickledArray(PickledStorage("HalfStorage", key, numbers), 0, shape, strides));
    parts.push_back({.name = "pytorch_model/data/" + key, .bytes = std::string(2 * numbers, '\0')});
  }
  parts[0].bytes = PickledDict(items);
  Write("pytorch_model.bin", ZipBytes(parts));
  const auto checkpoint = Checkpoint::Open(folder_.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->stored_dtype(), DType::kFloat16);
  EXPECT_EQ((*checkpoint)->n_parameters(), 176 + 16 + 2 * 600);
  EXPECT_EQ((*checkpoint)->files().back(), "pytorch_model.bin");
}

}  // namespace
}  // namespace induct::checkpoint
