#include "server/checkpoint/safetensors.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "tests/checkpoint/checkpoint_files.h"

namespace induct::checkpoint {
namespace {

using testing::ElementsAre;

class Safetensors : public CheckpointFolder {
 protected:
  absl::StatusOr<TensorTable> Open(std::string_view header, std::string_view data) const {
    return OpenBytes(SafetensorsBytes(header, data));
  }
  absl::StatusOr<TensorTable> OpenBytes(std::string_view bytes) const {
    const auto file = InputFile::Open(Write("model.safetensors", bytes));
    if (!file.ok()) return file.status();
    return ReadSafetensors(**file);
  }
  // One tensor "w" whose header entry is `entry`, with 8 bytes of data.
  absl::Status OpenEntry(const std::string& entry) const {
    return Open(R"({"w":)" + entry + "}", "12345678").status();
  }
};

TEST_F(Safetensors, ListsTensorsOfEveryFloatingPointTypeAtTheirPlace) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"c":{"dtype":"BF16","shape":[1,1],"data_offsets":[6,8]},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[1],"data_offsets":[4,6]},)"
      R"("none":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]}}   )";
  const auto table = Open(header, "aaaabbcc");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->tensors.size(), 4u);
  ASSERT_TRUE(table->tensors.contains("c"));
  const StoredTensor& c = table->tensors.at("c");
  EXPECT_EQ(c.dtype, DType::kBFloat16);
  EXPECT_THAT(c.shape, ElementsAre(1, 1));
  EXPECT_EQ(c.offset, 8 + header.size() + 6);
  EXPECT_EQ(c.bytes, 2u);
}

TEST_F(Safetensors, ChecksTensorsOfOtherTypesAndListsThemApart) {
  const auto table = Open(R"({"mask":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]},)"
                          R"("w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                          "maskwwww");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->tensors.size(), 1u);
  ASSERT_TRUE(table->unusable.contains("mask"));
  EXPECT_STREQ(table->unusable.at("mask").stored_as, "BOOL");
  ExpectBroken(Open(R"({"mask":{"dtype":"BOOL","shape":[4],"data_offsets":[0,5]}})", "mask!").status(),
               "'mask'");
}

TEST_F(Safetensors, RefusesATruncatedFile) {
  const std::string whole =
      SafetensorsBytes(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  ASSERT_TRUE(OpenBytes(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    ExpectBroken(OpenBytes(whole.substr(0, size)).status(), "truncated");
  }
}

TEST_F(Safetensors, RefusesAHeaderBeyondTheFileOrTheLimit) {
  for (const uint64_t size :
       {uint64_t{100}, uint64_t{100'000'001}, uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()}) {
    std::string bytes(16, ' ');
    std::memcpy(bytes.data(), &size, sizeof(size));
    ExpectBroken(OpenBytes(bytes).status(), std::to_string(size) + " bytes");
  }
}

TEST_F(Safetensors, RefusesHeadersThatAreNotJsonObjects) {
  for (const char* header : {"", "[]", "3", "{", R"({"w")", "{\"w\":\xff}", R"({"w":1e999})"}) {
    ExpectBroken(Open(header, "").status(), "model.safetensors");
  }
  ExpectBroken(Open(R"({"w":3})", "").status(), "'w'");
  ExpectBroken(Open(R"({"__metadata__":{"a":1}})", "").status(), "__metadata__");
}

TEST_F(Safetensors, RefusesDeepNestingWithoutOverflowingTheStack) {
  ExpectBroken(Open(std::string(200'000, '['), "").status(), "nested deeper");
  std::string objects;
  for (int i = 0; i < 200'000; ++i) objects += R"({"a":)";
  ExpectBroken(Open(objects, "").status(), "nested deeper");
}

TEST_F(Safetensors, RefusesATensorNamedTwice) {
  const std::string entry = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  ExpectBroken(Open(R"({"w":)" + entry + R"(,"w":)" + entry + "}", "12345678").status(), "'w' stands twice");
}

TEST_F(Safetensors, RefusesOverlapsAndGapsNamingTheTensor) {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + first +
           R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + second + "}}";
  };
  EXPECT_TRUE(Open(two("[0,4]", "[4,8]"), "12345678").ok());
  ExpectBroken(Open(two("[0,4]", "[2,6]"), "12345678").status(), "'b' overlaps");
  ExpectBroken(Open(two("[0,4]", "[8,12]"), "123456789012").status(), "gap of 4 bytes before tensor 'b'");
  ExpectBroken(Open(two("[0,4]", "[4,8]"), "123456789").status(), "1 bytes after the last tensor");
}

TEST_F(Safetensors, RefusesOffsetsOutOfRange) {
  for (const char* offsets :
       {"[0,12]", "[8,0]", "[0,18446744073709551615]", "[9223372036854775807,9223372036854775807]", "[-8,0]",
        "[0.0,8.0]", "[0]", "[0,4,8]", R"(["0","8"])", "8", "null", "[0,1e30]"}) {
    ExpectBroken(OpenEntry(std::string(R"({"dtype":"F32","shape":[2],"data_offsets":)") + offsets + "}"),
                 "data_offsets");
  }
}

TEST_F(Safetensors, RefusesShapesThatDoNotFitTheirBytes) {
  for (const char* shape : {"[1]", "[3]", "[]", "[0]", "[4611686018427387904,4]", "[576460752303423490]",
                            "[4294967296,4294967296,2]"}) {
    ExpectBroken(OpenEntry(std::string(R"({"dtype":"F32","data_offsets":[0,8],"shape":)") + shape + "}"),
                 "'w'");
  }
  for (const char* shape : {"[-2]", "[2.0]", R"(["2"])", "2", "null", "[[2]]", "[18446744073709551615]"}) {
    ExpectBroken(OpenEntry(std::string(R"({"dtype":"F32","data_offsets":[0,8],"shape":)") + shape + "}"),
                 "shape");
  }
}

TEST_F(Safetensors, NamesAnUnknownDtype) {
  ExpectBroken(OpenEntry(R"({"dtype":"F33","shape":[2],"data_offsets":[0,8]})"), "unknown dtype 'F33'");
  ExpectBroken(OpenEntry(R"({"dtype":32,"shape":[2],"data_offsets":[0,8]})"), "dtype must be a text, not 32");
}

TEST_F(Safetensors, KeepsLongAndOddNamesOutOfErrors) {
  const std::string name(1'000'000, 'x');
  const absl::Status status = Open("{\"" + name + "\":3}", "").status();
  EXPECT_LT(status.message().size(), 400u);
  ExpectBroken(Open(R"({"a\nb":3})", "").status(), "'a\\nb'");
}

TEST_F(Safetensors, BoundsTensorsAndDimensions) {
  ExpectBroken(OpenEntry(R"({"dtype":"F32","data_offsets":[0,8],"shape":[2,1,1,1,1,1,1,1,1]})"),
               "dimensions");
  std::string header = "{";
  for (size_t i = 0; i <= kMaxTensors; ++i) {
    header += absl::StrCat("\"", i, R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)");
  }
  header.back() = '}';
  ExpectBroken(Open(header, "").status(), "more than 131072 tensors");
}

}  // namespace
}  // namespace induct::checkpoint
