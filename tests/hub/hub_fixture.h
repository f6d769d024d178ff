// A cache folder of its own for every test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "common/status.h"

namespace induct::hub {

inline void WriteTestFile(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string ReadTestFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& reason,
                        const std::string& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_EQ(ReasonOf(status), reason) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(text));
}

class CacheFolder : public testing::Test {
 protected:
  CacheFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "induct-hub-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~CacheFolder() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

}  // namespace induct::hub
