#include "server/service/server_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace induct::service {
namespace {

using testing::HasSubstr;

class ServerStateTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/server_state.XXXXXX";
    folder_ = std::string(mkdtemp(pattern.data())) + "/new/state";
  }
  void TearDown() override {
    std::filesystem::remove_all(std::filesystem::path(folder_).parent_path().parent_path());
  }

  static std::string WhyNot(const std::string& folder) {
    return std::string(ServerState::Open(folder).status().message());
  }

  std::string folder_;
};

TEST_F(ServerStateTest, TheIdStaysAsLongAsTheFolder) {
  std::string id;
  {
    const auto state = ServerState::Open(folder_);
    ASSERT_TRUE(state.ok()) << state.status();
    id = (*state)->id();
    EXPECT_EQ(id.size(), 26u);
  }
  EXPECT_EQ((*ServerState::Open(folder_))->id(), id);
  std::filesystem::remove_all(folder_);
  EXPECT_NE((*ServerState::Open(folder_))->id(), id);
}

TEST_F(ServerStateTest, WithoutAFolderEveryIdIsNew) {
  EXPECT_NE((*ServerState::Open(""))->id(), (*ServerState::Open(""))->id());
}

TEST_F(ServerStateTest, OneServerAtATimeUsesAFolder) {
  const auto first = ServerState::Open(folder_);
  ASSERT_TRUE(first.ok());
  EXPECT_THAT(WhyNot(folder_), HasSubstr("another server uses it"));
}

TEST_F(ServerStateTest, WhatCannotBeUsedIsNamed) {
  EXPECT_THAT(WhyNot("/proc/nowhere"), HasSubstr("state_dir: /proc/nowhere cannot be used"));
  std::filesystem::create_directories(folder_);
  std::ofstream(folder_ + "/server_id") << "../../etc\n";
  EXPECT_THAT(WhyNot(folder_), HasSubstr("server_id holds no server's id"));
}

}  // namespace
}  // namespace induct::service
