#include "common/sha256.h"

#include <gtest/gtest.h>

#include "common/atomic_file.h"

namespace induct {
namespace {

// The vector of FIPS 180-2, appendix B.1.
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, GivesThePublishedDigest) { EXPECT_EQ(Sha256Hex("abc"), kAbc); }

TEST(Sha256, OfAFileIsThatOfItsBytes) {
  const std::string path = testing::TempDir() + "/sha256_abc";
  ASSERT_TRUE(WriteFileAtomically(path, "abc").ok());
  EXPECT_EQ(Sha256HexOfFile(path).value(), kAbc);
  EXPECT_EQ(Sha256HexOfFile(path + ".none").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace induct
