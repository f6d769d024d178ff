#include "common/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace induct {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A version 1.0 file as NumPy writes it, put together by hand.
std::string File(const std::string& dict, const std::string& data) {
  std::string header = dict;
  header.append(118 - header.size() - 1, ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += '\x01';
  bytes += '\x00';
  bytes += static_cast<char>(header.size());
  bytes += '\x00';
  return bytes + header + data;
}

std::string Dict(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

TEST(Npy, WritesWhatNumPyWrites) {
  const std::array<float, 2> values = {1.0f, -2.0f};
  const std::array<int64_t, 2> shape = {1, 2};
  const std::string data("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);
  EXPECT_EQ(NpyBytes(values, shape), File(Dict("<f4", "(1, 2)"), data));
}

TEST(Npy, OneDimensionHasPythonsTrailingComma) {
  const std::array<uint32_t, 1> values = {7};
  const std::array<int64_t, 1> shape = {1};
  EXPECT_THAT(NpyBytes(values, shape), HasSubstr("'shape': (1,), }"));
}

TEST(Npy, FloatsReadBack) {
  const std::array<float, 3> values = {0.5f, 0.25f, 3.0f};
  const std::array<int64_t, 2> shape = {3, 1};
  const auto read = ParseFloatNpy(NpyBytes(values, shape));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->values, ElementsAre(0.5f, 0.25f, 3.0f));
  EXPECT_THAT(read->shape, ElementsAre(3, 1));
}

TEST(Npy, IntegersOfEverySizeAndOrderRead) {
  const auto bytes = ParseIntegerNpy(File(Dict("|i1", "(2, 2)"), std::string("\x01\x02\xff\x04", 4)));
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_THAT(bytes->values, ElementsAre(1, 2, -1, 4));
  const auto fortran =
      ParseIntegerNpy(File(Dict("<u2", "(2, 2)", "True"), std::string("\x01\0\x02\0\x03\0\x04\0", 8)));
  ASSERT_TRUE(fortran.ok()) << fortran.status();
  EXPECT_THAT(fortran->values, ElementsAre(1, 3, 2, 4));
}

TEST(Npy, WhatIsNoIntegerMatrixIsRefusedByName) {
  const auto error = [](const std::string& bytes) {
    return std::string(ParseIntegerNpy(bytes).status().message());
  };
  EXPECT_THAT(error("PK\x03\x04 a zip file"), HasSubstr("does not begin as one"));
  EXPECT_THAT(error(File(Dict("<f8", "(1, 1)"), std::string(8, '\0'))), HasSubstr("<f8"));
  EXPECT_THAT(error(File(Dict("<i8", "(4,)"), std::string(32, '\0'))), HasSubstr("2-D"));
  EXPECT_THAT(error(File(Dict("<i8", "(2, 2)"), std::string(31, '\0'))), HasSubstr("truncated in its data"));
  EXPECT_THAT(error(File(Dict("<i8", "(9999999999, 9999999999)"), "")), HasSubstr("shape"));
  EXPECT_THAT(error(File(Dict("<i8", "(-1, 2)"), "")), HasSubstr("shape"));
  EXPECT_THAT(error(File(Dict("<i8", "(2, 2)"), "").substr(0, 40)), HasSubstr("truncated in its header"));
}

}  // namespace
}  // namespace induct
