// The worst files there are for each reader: whatever they hold, reading them takes at most twice their size
// and 64 MB. Counts what the whole program allocates by operator new.
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/checkpoint/json.h"
#include "server/checkpoint/tensor_pickle.h"
#include "server/checkpoint/zip_directory.h"
#include "tests/checkpoint/checkpoint_files.h"
#include "tests/checkpoint/torch_bytes.h"

namespace {

std::atomic<int64_t> live_bytes = 0;
std::atomic<int64_t> peak_bytes = 0;

void* Allocate(size_t size) {
  void* pointer = std::malloc(size);
  if (pointer == nullptr) throw std::bad_alloc();
  const int64_t live = live_bytes += static_cast<int64_t>(malloc_usable_size(pointer));
  if (live > peak_bytes) peak_bytes = live;
  return pointer;
}

void Release(void* pointer) {
  if (pointer != nullptr) live_bytes -= static_cast<int64_t>(malloc_usable_size(pointer));
  std::free(pointer);
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* pointer) noexcept { Release(pointer); }
void operator delete[](void* pointer) noexcept { Release(pointer); }
void operator delete(void* pointer, size_t) noexcept { Release(pointer); }
void operator delete[](void* pointer, size_t) noexcept { Release(pointer); }

namespace induct::checkpoint {
namespace {

// Enough that what small values cost, eight times their text and more, would show beside the 64 MB; and for
// buffers, which take three times their contents.
constexpr size_t kBigFile = size_t{12} << 20;
constexpr size_t kBigToken = size_t{70} << 20;
constexpr int64_t kAllowance = int64_t{64} << 20;

// What `work` allocates at most at one time.
int64_t PeakOf(const std::function<void()>& work) {
  const int64_t before = live_bytes;
  peak_bytes = before;
  work();
  return peak_bytes - before;
}

// `begin`, `piece(0)`, `piece(1)`, ... up to about `bytes` or `n` pieces, without the last one's comma;
// `end`.
std::string Repeated(const std::string& begin, const std::function<std::string(size_t)>& piece,
                     const std::string& end, size_t bytes = kBigFile, size_t n = SIZE_MAX) {
  std::string text = begin;
  text.reserve(bytes + 1000);
  for (size_t i = 0; i < n && text.size() < bytes; ++i) text += piece(i) + ",";
  text.pop_back();
  return text + end;
}

// JSON that costs a parser most for its size, the document or an object's member being the culprit.
std::vector<std::string> HostileJson() {
  const auto same = [](const std::string& piece) { return [piece](size_t) { return piece; }; };
  const auto numbered = [](const std::string& value) {
    return [value](size_t i) { return absl::StrCat("\"", absl::Hex(i), "\":", value); };
  };
  std::vector<std::string> texts;
  for (const char* value : {"0", "[]", "{}", "\"\"", "\"sixteen letters!\""}) {
    texts.push_back(Repeated("[", same(value), "]", kBigFile));
    texts.push_back(Repeated("{", numbered(value), "}", kBigFile));
    // Just within the bound on values.
    texts.push_back(Repeated("[", same(value), "]", kBigFile, kMaxJsonValues / 3));
    texts.push_back(Repeated("{", numbered(value), "}", kBigFile, kMaxJsonValues / 3));
  }
  const std::string longest(kMaxJsonTokenBytes - 100, 'x');
  texts.push_back(Repeated("[", same("\"" + longest + "\""), "]", kBigFile));
  texts.push_back(Repeated(
      "{", [&](size_t i) { return absl::StrCat("\"", longest, i, "\":0"); }, "}", kBigFile));
  texts.push_back(Repeated("[", same("1" + std::string(longest.size(), '0')), "]", kBigFile));
  texts.push_back("[\"" + std::string(kBigToken, 'x') + "\"]");
  texts.push_back("[" + std::string(kBigToken, '1') + "]");
  texts.push_back("[" + std::string(kBigToken, ' ') + "]");
  texts.push_back(std::string(kBigFile, '['));
  texts.push_back(Repeated("[", same("true"), "]", kBigFile));
  return texts;
}

class Memory : public CheckpointFolder {
 protected:
  // Reading `file` of that text by `read` keeps the bound.
  void ExpectBounded(const std::string& file, std::string_view text,
                     const std::function<absl::Status()>& read) {
    Write(file, text);
    absl::Status status;
    const int64_t peak = PeakOf([&] { status = read(); });
    EXPECT_LE(peak, static_cast<int64_t>(2 * text.size()) + kAllowance)
        << file << " of " << text.size()
        << " bytes: " << absl::CHexEscape({text.data(), std::min<size_t>(text.size(), 60)}) << "\n"
        << status;
  }
  void ExpectOpenBounded(const std::string& file, std::string_view text) {
    ExpectBounded(file, text, [&] { return Checkpoint::Open(folder_.string()).status(); });
  }
};

TEST_F(Memory, OfAConfiguration) {
  for (const std::string& text : HostileJson()) {
    ExpectOpenBounded("config.json", text);
    ExpectOpenBounded("config.json", absl::StrCat(R"({"model_type":"gpt_neox","x":)", text, "}"));
  }
  nlohmann::json config = TinyConfig();
  config["num_hidden_layers"] = 10'000;
  ExpectOpenBounded("config.json", config.dump());
}

TEST_F(Memory, OfASafetensorsHeader) {
  Write("config.json", TinyConfig().dump());
  for (const std::string& text : HostileJson()) {
    ExpectOpenBounded("model.safetensors", SafetensorsBytes(text, ""));
    ExpectOpenBounded("model.safetensors",
                      SafetensorsBytes(absl::StrCat(R"({"__metadata__":)", text, "}"), ""));
  }
  for (const char* entry : {R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})",
                            R"({"dtype":"F32","shape":[0,1,1,1,1,1,1,1],"data_offsets":[0,0]})",
                            R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})"}) {
    for (const size_t name_bytes : {0, 16, 300}) {
      const std::string text = Repeated(
          "{", [&](size_t i) { return absl::StrCat("\"", i, std::string(name_bytes, 'n'), "\":", entry); },
          "}", kBigFile, kMaxTensors);
      ExpectOpenBounded("model.safetensors", SafetensorsBytes(text, ""));
    }
  }
}

TEST_F(Memory, OfAShardIndex) {
  Write("config.json", TinyConfig().dump());
  for (const std::string& text : HostileJson()) {
    ExpectOpenBounded("model.safetensors.index.json", text);
    ExpectOpenBounded("model.safetensors.index.json", absl::StrCat(R"({"weight_map":)", text, "}"));
  }
  ExpectOpenBounded(
      "model.safetensors.index.json",
      Repeated(R"({"weight_map":{)", [&](size_t i) { return absl::StrCat("\"", i, "\":\"", i % 1000, "\""); },
               "}}", kBigFile, kMaxTensors));
}

TEST_F(Memory, OfATokenizer) {
  WriteTinyModel(TinyConfig());
  const auto checkpoint = Checkpoint::Open(folder_.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto expect_bounded = [&](const std::string& text) {
    ExpectBounded("tokenizer.json", text, [&] { return (*checkpoint)->LoadTokenizer().status(); });
  };
  const std::string rest = R"("pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},)";
  for (const std::string& text : HostileJson()) {
    expect_bounded(text);
    expect_bounded(absl::StrCat("{", rest, R"("model":{"type":"BPE","vocab":)", text, R"(,"merges":[]}})"));
    expect_bounded(absl::StrCat("{", rest, R"("model":{"type":"BPE","vocab":{"a":0},"merges":)", text, "}}"));
    expect_bounded(absl::StrCat("{", rest, R"("model":{"type":"BPE","vocab":{},"merges":[]},"added_tokens":)",
                                text, "}"));
  }
  for (const size_t n : {size_t{1} << 19, (size_t{1} << 19) + 1}) {
    const std::string vocabulary = Repeated(
        "{", [](size_t i) { return absl::StrCat("\"", absl::Hex(i), "\":", i); }, "}", kBigFile, n);
    expect_bounded(
        absl::StrCat("{", rest, R"("model":{"type":"BPE","vocab":)", vocabulary, R"(,"merges":[]}})"));
  }
  // Every merge of two hexadecimal digits, and more than are allowed.
  const std::string vocabulary = Repeated(
      "{", [](size_t i) { return absl::StrCat("\"", absl::Hex(i), "\":", i); }, "}", kBigFile, 4096 * 16);
  const std::string merges = Repeated(
      "[", [](size_t i) { return absl::StrCat("\"", absl::Hex(1 + i % 255), " ", absl::Hex(i % 251), "\""); },
      "]", kBigFile, size_t{1} << 20);
  expect_bounded(absl::StrCat("{", rest, R"("model":{"type":"BPE","vocab":)", vocabulary, R"(,"merges":)",
                              merges, "}}"));
  const std::string added = Repeated(
      "[", [](size_t i) { return absl::StrCat(R"({"id":)", i, R"(,"content":")", i, R"("})"); }, "]",
      kBigFile, size_t{1} << 17);
  expect_bounded(absl::StrCat("{", rest, R"("model":{"type":"BPE","vocab":{},"merges":[]},"added_tokens":)",
                              added, "}"));
}

TEST_F(Memory, OfAZipDirectory) {
  Write("config.json", TinyConfig().dump());
  for (const size_t name_bytes : {size_t{0}, size_t{20}, kMaxZipNameBytes - 10}) {
    std::vector<ZipPart> parts;
    const size_t n = name_bytes > 100 ? kMaxZipEntries / 8 : kMaxZipEntries;
    for (size_t i = 0; i < n; ++i) parts.push_back({.name = absl::StrCat(i, std::string(name_bytes, 'n'))});
    for (const bool zip64 : {false, true}) ExpectOpenBounded("pytorch_model.bin", ZipBytes(parts, zip64));
    parts.resize(n / 2);
    ExpectOpenBounded("pytorch_model.bin", ZipBytes(parts));
  }
}

TEST_F(Memory, OfAPickle) {
  Write("config.json", TinyConfig().dump());
  const std::string storage = PickledStorage("FloatStorage", "0", 0);
  const std::string tensor = PickledArray(storage, 0, {0, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1});
  const auto repeat = [](const std::string& piece, size_t n) {
    std::string text;
    for (size_t i = 0; i < n; ++i) text += piece;
    return text;
  };
  const auto memo_0 = "q" + Bytes<uint8_t>(0);
  const std::string get_0 = "h" + Bytes<uint8_t>(0);
  std::string puts = "N";
  for (uint32_t i = 0; i < kMaxPickleValues - 1; ++i) puts += "r" + Bytes(i);
  std::string named;  // one tensor, as often as there are names
  for (size_t i = 0; i < kMaxTensors; ++i) named += PickledText(absl::StrCat(i)) + get_0;
  const std::string id = storage.substr(0, storage.size() - 1);
  const std::string arguments =
      tensor.substr(0, tensor.size() - 1).substr(std::strlen("ctorch._utils\n_rebuild_tensor_v2\n"));
  const std::string pickles[] = {
      repeat(")", kMaxPickleValues - 1),
      repeat("}", kMaxPickleValues - 1),
      repeat("(", kMaxPickleValues - 1),
      repeat(")\x85", kMaxPickleValues / 2 - 1),
      repeat(")", kMaxPickleValues / 2) + repeat("\x85", kMaxPickleValues / 2 - 2),
      puts,
      "}" + repeat("NNs", kMaxPickleValues / 2 - 1),
      "}(" + repeat("N", kMaxPickleValues - 3) + "u",
      id + memo_0 + repeat(get_0 + "Q", kMaxPickleValues / 2 - 20),
      arguments + memo_0 + "0" +
          repeat("ctorch._utils\n_rebuild_tensor_v2\n" + get_0 + "R", kMaxPickleValues / 3 - 20),
      "}" + tensor + memo_0 + "0",
      "}(" + PickledText("w") + tensor + memo_0 + named + "u",
      PickledText(std::string(kBigToken, 'x')),
      "c" + std::string(kBigToken, 'x') + "\n\n",
  };
  for (const std::string& pickle : pickles) {
    ExpectOpenBounded("pytorch_model.bin", ZipBytes(TorchParts("\x80\x02" + pickle + ".", "")));
  }
}

}  // namespace
}  // namespace induct::checkpoint
