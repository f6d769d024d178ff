#include "server/checkpoint/torch_file.h"

#include <filesystem>
#include <limits>

#include "absl/strings/str_cat.h"
#include "server/checkpoint/tensor_pickle.h"
#include "server/checkpoint/weight_files.h"
#include "server/checkpoint/zip_directory.h"
#include "tests/checkpoint/checkpoint_files.h"
#include "tests/checkpoint/torch_bytes.h"

namespace induct::checkpoint {
namespace {

using std::string_literals::operator""s;
using testing::ElementsAre;

class TorchFile : public CheckpointFolder {
 protected:
  absl::StatusOr<TensorTable> Read(const std::string& path) const {
    const auto file = InputFile::Open(path);
    if (!file.ok()) return file.status();
    return ReadTorchFile(**file);
  }
  absl::StatusOr<TensorTable> ReadBytes(std::string_view bytes) const {
    return Read(Write("pytorch_model.bin", bytes));
  }
  absl::StatusOr<TensorTable> ReadPickle(const std::string& pickle,
                                         const std::string& storage = "12345678") const {
    return ReadBytes(ZipBytes(TorchParts(pickle, storage)));
  }
  // A folder whose pytorch_model.bin is one that PyTorch wrote.
  absl::StatusOr<std::unique_ptr<WeightFiles>> OpenSaved(const std::string& name) const {
    std::filesystem::copy_file(
        std::string(INDUCT_SOURCE_DIR) + "/tests/checkpoint/data/torch/" + name + ".bin",
        folder_ / "pytorch_model.bin", std::filesystem::copy_options::overwrite_existing);
    return WeightFiles::Open(folder_.string());
  }
};

// A float32 tensor's numbers.
std::vector<float> FloatsOf(const WeightFiles& weights, const std::string& name) {
  const auto tensor = weights.Find(name);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  if (!tensor.ok()) return {};
  std::vector<float> numbers((*tensor)->bytes / sizeof(float));
  EXPECT_TRUE(weights.Read(**tensor, 0, std::as_writable_bytes(std::span(numbers))).ok());
  return numbers;
}

TEST_F(TorchFile, ReadsWhatPyTorchWrites) {
  const auto opened = OpenSaved("state");
  ASSERT_TRUE(opened.ok()) << opened.status();
  const WeightFiles& weights = **opened;
  EXPECT_THAT(FloatsOf(weights, "grid"), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_THAT((*weights.Find("grid"))->shape, ElementsAre(3, 4));
  EXPECT_EQ(FloatsOf(weights, "tied"), FloatsOf(weights, "grid"));
  EXPECT_EQ((*weights.Find("tied"))->offset, (*weights.Find("grid"))->offset);
  EXPECT_THAT(FloatsOf(weights, "last_row"), ElementsAre(8, 9, 10, 11));
  EXPECT_THAT(FloatsOf(weights, "parameter"), ElementsAre(7, 8));
  EXPECT_THAT(FloatsOf(weights, "scalar"), ElementsAre(-1e4f));
  EXPECT_THAT((*weights.Find("scalar"))->shape, ElementsAre());
  EXPECT_THAT(FloatsOf(weights, "empty"), ElementsAre());
  EXPECT_THAT(FloatsOf(weights, "column"), ElementsAre(0, 4, 8));
}

TEST_F(TorchFile, ReadsHalfPrecisionAndRefusesOtherNumbersByName) {
  const auto opened = OpenSaved("state");
  ASSERT_TRUE(opened.ok()) << opened.status();
  const WeightFiles& weights = **opened;
  uint16_t bits[2];
  ASSERT_TRUE(weights.Read(**weights.Find("half"), 0, std::as_writable_bytes(std::span(bits))).ok());
  EXPECT_THAT(bits, ElementsAre(0x3800, 0xC000));  // 0.5, -2
  EXPECT_EQ((*weights.Find("half"))->dtype, DType::kFloat16);
  ASSERT_TRUE(weights.Read(**weights.Find("brain"), 0, std::as_writable_bytes(std::span(bits))).ok());
  EXPECT_THAT(bits, ElementsAre(0x3FC0, 0xC040));  // 1.5, -3
  EXPECT_EQ((*weights.Find("brain"))->dtype, DType::kBFloat16);
  for (const std::string dtype : {"float64", "int64", "int32", "int16", "int8", "uint8", "bool"}) {
    ExpectUnsupported(weights.Find(dtype).status(), "tensor '" + dtype + "' is stored as " + dtype);
  }
}

TEST_F(TorchFile, ReadsTheStateOfAModule) {
  const auto opened = OpenSaved("module");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_THAT((*(*opened)->Find("0.weight"))->shape, ElementsAre(3, 2));
  EXPECT_THAT(FloatsOf(**opened, "1.weight"), ElementsAre(1, 1, 1));
  EXPECT_THAT(FloatsOf(**opened, "1.bias"), ElementsAre(0, 0, 0));
}

TEST_F(TorchFile, RefusesByNameWhatItDoesNotRead) {
  ExpectUnsupported(OpenSaved("nested").status(), "'state_dict' is a dictionary");
  ExpectUnsupported(OpenSaved("transposed").status(), "'w' is not contiguous");
  ExpectUnsupported(OpenSaved("float8").status(), "'torch._utils' '_rebuild_tensor_v3'");
  ExpectUnsupported(OpenSaved("legacy").status(), "PyTorch before 1.6");
  EXPECT_THAT(std::string(OpenSaved("legacy").status().message()), testing::HasSubstr("weights_only=True"));
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  ExpectUnsupported(ReadBytes(tar).status(), "tar format");
  for (const char* other : {"", "PK", "{}", "\x80\x02}."})
    ExpectBroken(ReadBytes(other).status(), "pytorch_model.bin");
}

TEST_F(TorchFile, ReadsShardsAndPrefersSafetensors) {
  Write("pytorch_model.bin.index.json", R"({"weight_map":{"a":"one.bin","b":"two.bin"}})");
  Write("one.bin",
        ZipBytes(TorchParts(PickledDict({PickledText("a"),
                                         PickledArray(PickledStorage("FloatStorage", "0", 1), 0, {1}, {1})}),
                            Bytes(1.0f))));
  Write("two.bin",
        ZipBytes(TorchParts(PickledDict({PickledText("b"),
                                         PickledArray(PickledStorage("FloatStorage", "0", 1), 0, {1}, {1})}),
                            Bytes(2.0f))));
  auto weights = WeightFiles::Open(folder_.string());
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_THAT(FloatsOf(**weights, "a"), ElementsAre(1));
  EXPECT_THAT(FloatsOf(**weights, "b"), ElementsAre(2));
  EXPECT_THAT((*weights)->names(), ElementsAre("pytorch_model.bin.index.json", "one.bin", "two.bin"));
  Write("model.safetensors",
        SafetensorsBytes(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", Bytes(3.0f)));
  weights = WeightFiles::Open(folder_.string());
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_THAT(FloatsOf(**weights, "a"), ElementsAre(3));
}

class HostilePickle : public TorchFile {};

std::string OneTensor(const std::string& tensor) { return PickledDict({PickledText("w"), tensor}); }

TEST_F(HostilePickle, BuildsTensorsAndNothingElse) {
  const std::string storage = PickledStorage("FloatStorage", "0", 2);
  EXPECT_TRUE(ReadPickle(OneTensor(PickledArray(storage, 0, {2}, {1}))).ok());
  const std::pair<std::string, std::string> kRefused[] = {
      {"cos\nsystem\n(" + PickledText("true") + "tR", "'os' 'system'"},
      {"c__builtin__\neval\n(" + PickledText("1") + "tR", "'__builtin__' 'eval'"},
      {"ctorch.storage\n_load_from_bytes\n", "'torch.storage' '_load_from_bytes'"},
      {"(ios\nsystem\n", "INST"},
      {"(o", "OBJ"},
      {")\x81", "NEWOBJ"},
      {PickledText("os") + PickledText("system") + "\x93", "STACK_GLOBAL"},
      {"P0\n", "PERSID"},
      {"\x82\x01", "EXT1"},
      {"]", "EMPTY_LIST"},
      {"\x96", "0x96"},
      {"ctorch\nFloatStorage\n)R", "calls a storage"},
      {"ccollections\nOrderedDict\n(NtR", "OrderedDict of arguments"},
      {"}}b", "what is no OrderedDict"},
      {"}", "'w' is a dictionary"},
      {"N", "'w' is no tensor"},
      {PickledNumber(3), "'w' is no tensor"},
  };
  for (const auto& [value, naming] : kRefused)
    ExpectUnsupported(ReadPickle(OneTensor(value)).status(), naming);
  ExpectUnsupported(ReadPickle(PickledDict({PickledNumber(1), "N"})).status(), "key that is no text");
  ExpectUnsupported(ReadPickle("\x80\x02N.").status(), "no dictionary");
  ExpectUnsupported(ReadPickle("\x80\x04}.").status(), "protocol 2");
}

TEST_F(HostilePickle, RefusesWhatIsBroken) {
  const std::string good = OneTensor(PickledArray(PickledStorage("FloatStorage", "0", 2), 0, {2}, {1}));
  for (size_t size = 2; size < good.size(); ++size) {
    ExpectBroken(ReadPickle(good.substr(0, size)).status(), "data.pkl: the pickle");
  }
  for (const std::string& broken : {"t"s,
                                    "u"s,
                                    "s"s,
                                    "R"s,
                                    "Q"s,
                                    "b"s,
                                    "\x85"s,
                                    ")\x87"s,
                                    "h\0"s,
                                    "Nq\x01"s,
                                    "Nr\xff\xff\xff\xff"s,
                                    "(q\0"s,
                                    "\x8a\x09"s + "123456789",
                                    "X\xff\xff\xff\xff"s,
                                    "X\x01\0\0\0\xff"s,
                                    "Nt"s,
                                    "N)R"s,
                                    ")Q"s,
                                    "}(Nu"s,
                                    "N(NNu"s,
                                    "NNNs"s,
                                    "NN"s}) {
    ExpectBroken(ReadPickle("\x80\x02" + broken + ".").status(), "data.pkl: the pickle");
  }
  ExpectBroken(ReadPickle(good + "x").status(), "more than one value");
  ExpectBroken(ReadPickle(PickledDict({PickledText("w"), good.substr(10, good.size() - 12), PickledText("w"),
                                       good.substr(10, good.size() - 12)}))
                   .status(),
               "'w' stands twice");
}

TEST_F(HostilePickle, KeepsTensorsWithinTheirStorageAndTheFile) {
  const auto read = [&](int64_t numbers, int64_t offset, const std::vector<int64_t>& sizes,
                        const std::vector<int64_t>& strides, const std::string& key = "0") {
    return ReadPickle(
               OneTensor(PickledArray(PickledStorage("FloatStorage", key, numbers), offset, sizes, strides)))
        .status();
  };
  constexpr int64_t kBig = std::numeric_limits<int64_t>::max();
  EXPECT_TRUE(read(2, 1, {1}, {1}).ok());
  EXPECT_TRUE(read(2, 2, {0}, {1}).ok());
  EXPECT_TRUE(read(2, 0, {1, 2, 1}, {77, 1, 5}).ok());
  ExpectBroken(read(2, 1, {2}, {1}), "'w' exceeds its storage");
  ExpectBroken(read(2, 3, {0}, {1}), "'w' exceeds its storage");
  ExpectBroken(read(2, kBig, {1}, {1}), "'w' exceeds its storage");
  ExpectBroken(read(2, -1, {1}, {1}), "a tensor of other than");
  ExpectBroken(read(2, 0, {kBig, 2}, {2, 1}), "more than 2^63");
  ExpectBroken(read(2, 0, {-1}, {1}), "no whole numbers");
  ExpectBroken(read(2, 0, {2}, {}), "unlike strides");
  ExpectBroken(read(2, 0, {1, 1, 1, 1, 1, 1, 1, 1, 2}, {2, 2, 2, 2, 2, 2, 2, 2, 1}),
               "more than 8 dimensions");
  ExpectBroken(read(3, 0, {1}, {1}), "a storage of 3 float32 numbers, which has 8 bytes");
  ExpectBroken(read(kBig, 0, {1}, {1}), "which has 8 bytes");
  ExpectBroken(read(-1, 0, {1}, {1}), "a storage of other than");
  ExpectBroken(read(2, 0, {1}, {1}, "1"), "storage '1', which is missing");
  ExpectBroken(read(2, 0, {1}, {1}, "../version"), "which is missing");
  ExpectBroken(read(2, 0, {1}, {1}, std::string(100'000, 'x')), "which is missing");
  ExpectUnsupported(read(2, 0, {2}, {0}), "'w' is not contiguous");
  ExpectUnsupported(read(2, 0, {2}, {2}), "'w' is not contiguous");
}

TEST_F(HostilePickle, BoundsItsValues) {
  const std::string start = "\x80\x02";
  ExpectUnsupported(ReadPickle(start + std::string(kMaxPickleValues + 1, ')')).status(), "values");
  ExpectUnsupported(ReadPickle(start + std::string(kMaxPickleValues + 1, '(')).status(), "values");
  std::string puts = start + "N";
  for (uint32_t i = 0; i <= kMaxPickleValues; ++i) puts += "r" + Bytes(i);
  ExpectUnsupported(ReadPickle(puts).status(), "values");
  // Ten tuples, each of ten times the one before: billions of values, if they were copied.
  std::string bomb = start + ")q" + Bytes<uint8_t>(0);
  for (uint8_t i = 0; i < 10; ++i) {
    bomb += "(";
    for (int k = 0; k < 10; ++k) bomb += "h" + Bytes(i);
    bomb += "tq" + Bytes<uint8_t>(i + 1);
  }
  ExpectBroken(ReadPickle(bomb + ".").status(), "more than one value");
}

class HostileZip : public TorchFile {
 protected:
  const std::string pickle_ = OneTensor(PickledArray(PickledStorage("FloatStorage", "0", 2), 0, {2}, {1}));
  const std::vector<ZipPart> good_ = TorchParts(pickle_, "12345678");

  // The file with part `i` changed by `edit`.
  template <typename Edit>
  absl::Status ReadEdited(size_t i, Edit edit, bool zip64 = false) const {
    std::vector<ZipPart> parts = good_;
    edit(parts[i]);
    return ReadBytes(ZipBytes(parts, zip64)).status();
  }
};

TEST_F(HostileZip, ReadsBothKindsOfDirectory) {
  EXPECT_TRUE(ReadBytes(ZipBytes(good_, false)).ok());
  const auto table = ReadBytes(ZipBytes(good_, true));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->tensors.at("w").bytes, 8u);
}

TEST_F(HostileZip, RefusesATruncatedFile) {
  for (const bool zip64 : {false, true}) {
    const std::string whole = ZipBytes(good_, zip64);
    for (size_t size = 4; size < whole.size(); size += 1 + size % 5) {
      ExpectBroken(ReadBytes(whole.substr(0, size)).status(), "pytorch_model.bin");
    }
    ExpectBroken(ReadBytes(whole + "x").status(), "pytorch_model.bin");
  }
}

TEST_F(HostileZip, RefusesWhatIsCompressedOrEncrypted) {
  ExpectUnsupported(ReadEdited(2, [](ZipPart& part) { part.method = 8; }), "'m/data/0' is compressed");
  for (const uint16_t flag : {1, 64, 8192}) {
    ExpectUnsupported(ReadEdited(2, [&](ZipPart& part) { part.flags = flag; }), "'m/data/0' is encrypted");
  }
  EXPECT_TRUE(ReadEdited(2, [](ZipPart& part) { part.flags = 0x808; }).ok());  // as torch.save sets them
}

TEST_F(HostileZip, RefusesEntriesThatOverlapOrLeaveTheFile) {
  for (const bool zip64 : {false, true}) {
    for (const int64_t more : {40, 1000, 1'000'000'000, -9}) {
      ExpectBroken(ReadEdited(
                       2, [&](ZipPart& part) { part.size_off = more; }, zip64),
                   "'m/data/0'");
    }
    for (const int64_t more : {1, -1, 1000, 1'000'000'000}) {
      ExpectBroken(ReadEdited(
                       2, [&](ZipPart& part) { part.header_off = more; }, zip64),
                   "entry 'm/");
    }
  }
  ExpectBroken(ReadEdited(2, [](ZipPart& part) { part.local_name = "m/data/1"; }),
               "'m/data/0' has another name");
  std::vector<ZipPart> twice = good_;
  twice.push_back(good_[2]);
  ExpectBroken(ReadBytes(ZipBytes(twice)).status(), "'m/data/0' stands twice");
}

TEST_F(HostileZip, NeedsThePickleAndLittleEndianNumbers) {
  ExpectUnsupported(ReadEdited(1, [](ZipPart& part) { part.bytes = "big"; }), "not little-endian");
  ExpectUnsupported(ReadEdited(1, [](ZipPart& part) { part.bytes = std::string(100'000, 'x'); }),
                    "little-endian");
  EXPECT_TRUE(ReadEdited(1, [](ZipPart& part) { part.name = "m/other"; }).ok());  // before PyTorch 2.1
  ExpectBroken(ReadEdited(0, [](ZipPart& part) { part.name = "m/other.pkl"; }), "no data.pkl");
  ExpectBroken(ReadBytes("PK\x03\x04" + ZipBytes({})).status(), "pytorch_model.bin");
  ExpectBroken(ReadEdited(3, [](ZipPart& part) { part.name = std::string(2000, 'x'); }), "name is no text");
  ExpectBroken(ReadEdited(3, [](ZipPart& part) { part.name = "\xff"; }), "name is no text");
}

TEST_F(HostileZip, BoundsItsEntries) {
  std::vector<ZipPart> parts = good_;
  for (size_t i = 0; i <= kMaxZipEntries; ++i) parts.push_back({.name = absl::StrCat("m/", i)});
  ExpectBroken(ReadBytes(ZipBytes(parts, true)).status(), "more than 131072 zip entries");
}

// Beyond 4 GiB sizes and places stand in zip64 fields. A sparse file takes no room on disk.
TEST_F(HostileZip, ReadsStoragesBeyondFourGibibytes) {
  constexpr int64_t kNumbers = (int64_t{5} << 30) / 4;
  const std::string pickle = PickledDict(
      {PickledText("big"), PickledArray(PickledStorage("FloatStorage", "0", kNumbers), 0, {kNumbers}, {1}),
       PickledText("behind"), PickledArray(PickledStorage("FloatStorage", "1", 1), 0, {1}, {1})});
  constexpr int64_t kGap = int64_t{5} << 30;
  // The same file twice: with an empty big storage, then with its bytes as a hole, which moves what is
  // behind.
  std::vector<ZipPart> parts = {{.name = "m/data.pkl", .bytes = pickle},
                                {.name = "m/data/0", .size_off = kGap},
                                {.name = "m/data/1", .bytes = Bytes(4.0f), .header_off = kGap}};
  std::string bytes = ZipBytes(parts, true);
  const size_t hole = bytes.find("m/data/0pad") + std::strlen("m/data/0pad");
  const size_t directory = bytes.find("PK\x01\x02");
  const size_t record = bytes.find("PK\x06\x06");
  bytes.replace(record + 48, 8, Bytes(static_cast<uint64_t>(directory) + kGap));
  bytes.replace(record + 56 + 8, 8, Bytes(static_cast<uint64_t>(record) + kGap));
  const std::string path = Write("pytorch_model.bin", std::string_view(bytes).substr(0, hole));
  std::filesystem::resize_file(path, hole + kGap);
  std::ofstream(path, std::ios::binary | std::ios::app) << std::string_view(bytes).substr(hole);
  const auto weights = WeightFiles::Open(folder_.string());
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ((*(*weights)->Find("big"))->bytes, static_cast<uint64_t>(kGap));
  EXPECT_THAT(FloatsOf(**weights, "behind"), ElementsAre(4));
}

}  // namespace
}  // namespace induct::checkpoint
