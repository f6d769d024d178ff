#include "server/checkpoint/safetensors.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <limits>

#include "tests/checkpoint/checkpoint_files.h"

namespace induct::checkpoint {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class Safetensors : public CheckpointFolder {
 protected:
  absl::StatusOr<std::unique_ptr<SafetensorsFile>> Open(std::string_view header,
                                                        std::string_view data) const {
    return SafetensorsFile::Open(Write("model.safetensors", SafetensorsBytes(header, data)));
  }
  // One tensor "w" whose header entry is `entry`, with 8 bytes of data.
  absl::Status OpenEntry(const std::string& entry) const {
    return Open(R"({"w":)" + entry + "}", "12345678").status();
  }
};

TEST_F(Safetensors, ReadsTensorsOfEveryFloatingPointTypeAtTheirPlace) {
  const auto file = Open(
      R"({"__metadata__":{"format":"pt"},"c":{"dtype":"BF16","shape":[1,1],"data_offsets":[6,8]},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[1],"data_offsets":[4,6]},)"
      R"("none":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]}}   )",
      "aaaabbcc");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->tensors().size(), 4u);
  const auto c = (*file)->Find("c");
  ASSERT_TRUE(c.ok());
  EXPECT_EQ((*c)->dtype, DType::kBFloat16);
  EXPECT_THAT((*c)->shape, ElementsAre(1, 1));
  std::string bytes((*c)->bytes, '\0');
  ASSERT_TRUE((*file)->Read(**c, std::as_writable_bytes(std::span(bytes))).ok());
  EXPECT_EQ(bytes, "cc");
}

TEST_F(Safetensors, ChecksButDoesNotListTensorsOfOtherTypes) {
  const auto file = Open(R"({"mask":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]},)"
                         R"("w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                         "maskwwww");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->tensors().size(), 1u);
  const absl::Status missing = (*file)->Find("mask").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), testing::HasSubstr("'mask' is stored as BOOL"));
  ExpectBroken(Open(R"({"mask":{"dtype":"BOOL","shape":[4],"data_offsets":[0,5]}})", "mask!").status(),
               "'mask'");
}

TEST_F(Safetensors, RefusesATruncatedFile) {
  const std::string whole =
      SafetensorsBytes(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  ASSERT_TRUE(SafetensorsFile::Open(Write("model.safetensors", whole)).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    ExpectBroken(SafetensorsFile::Open(Write("model.safetensors", whole.substr(0, size))).status(),
                 "truncated");
  }
}

TEST_F(Safetensors, RefusesAHeaderBeyondTheFileOrTheLimit) {
  for (const uint64_t size :
       {uint64_t{100}, uint64_t{100'000'001}, uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()}) {
    std::string bytes(16, ' ');
    std::memcpy(bytes.data(), &size, sizeof(size));
    ExpectBroken(SafetensorsFile::Open(Write("model.safetensors", bytes)).status(),
                 std::to_string(size) + " bytes");
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

TEST_F(Safetensors, SaysWhenTheFileHasShrunkSinceItWasOpened) {
  const auto file = Open(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  ASSERT_TRUE(file.ok());
  const auto tensor = (*file)->Find("w");
  ASSERT_TRUE(tensor.ok());
  ASSERT_EQ(truncate((*file)->path().c_str(), static_cast<off_t>((*tensor)->offset + 4)), 0);
  std::array<std::byte, 8> bytes;
  ExpectBroken((*file)->Read(**tensor, bytes), "shrunk");
}

TEST_F(Safetensors, RefusesWhatIsNoFile) {
  EXPECT_EQ(SafetensorsFile::Open((folder_ / "none").string()).status().code(), absl::StatusCode::kNotFound);
  ExpectBroken(SafetensorsFile::Open(folder_.string()).status(), "no regular file");
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  ExpectBroken(SafetensorsFile::Open((folder_ / "pipe").string()).status(), "no regular file");
}

}  // namespace
}  // namespace induct::checkpoint
