#include "common/file_names.h"

#include <gtest/gtest.h>

namespace induct {
namespace {

TEST(FileNames, EveryCharacterOutsideThePlainOnesBecomesAnUnderscore) {
  EXPECT_EQ(ModelFileName("EleutherAI/pythia-410m@step3000"), "EleutherAI_pythia-410m_step3000");
  EXPECT_EQ(ModelFileName("demo-small"), "demo-small");
}

TEST(FileNames, APathIsCalledByItsLastPart) {
  for (const char* path : {"./here/demo", "../demo", "/models/demo", "/models/demo/", "deploy/models/demo"})
    EXPECT_EQ(ModelFileName(path), "demo") << path;
  for (const char* path : {".", "..", "/", "../.hidden"})
    EXPECT_TRUE(IsSafeFileName(ModelFileName(path)) || ModelFileName(path).empty()) << path;
  EXPECT_EQ(ModelFileName("../.hidden"), "_hidden");
}

TEST(FileNames, WhatCanOnlyBeARelativePathIsTold) {
  for (const char* path : {".", "..", "./a", "../a", "./a@b", "a/b/c", "a/b/", "a//b", "a/b/c@main"}) {
    EXPECT_TRUE(IsRelativePath(path)) << path;
  }
  for (const char* name : {"", "a", "a/b", "a/", ".a/b", "/a/b/c", "a/b@refs/pr/1", "a@x/y/z"}) {
    EXPECT_FALSE(IsRelativePath(name)) << name;
  }
}

TEST(FileNames, NamesThatCouldLeaveTheFolderOrHideAreNotSafe) {
  EXPECT_TRUE(IsSafeFileName("scores_demo-small.npy"));
  for (const char* name : {"", ".", "..", "../x", "a/b", ".hidden", "a b", "a\nb", "caf\xc3\xa9"})
    EXPECT_FALSE(IsSafeFileName(name)) << name;
  EXPECT_FALSE(IsSafeFileName(std::string(201, 'a')));
}

}  // namespace
}  // namespace induct
