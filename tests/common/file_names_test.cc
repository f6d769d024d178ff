#include "common/file_names.h"

#include <gtest/gtest.h>

namespace induct {
namespace {

TEST(FileNames, EveryCharacterOutsideThePlainOnesBecomesAnUnderscore) {
  EXPECT_EQ(ModelFileName("EleutherAI/pythia-410m@step3000"), "EleutherAI_pythia-410m_step3000");
  EXPECT_EQ(ModelFileName("demo-small"), "demo-small");
}

TEST(FileNames, AModelThatBeginsWithADotHasASafeName) {
  EXPECT_EQ(ModelFileName("./here/demo-small"), "__here_demo-small");
  EXPECT_EQ(ModelFileName("../demo-small"), "_._demo-small");
  EXPECT_TRUE(IsSafeFileName(ModelFileName("./here/demo-small")));
}

TEST(FileNames, NamesThatCouldLeaveTheFolderOrHideAreNotSafe) {
  EXPECT_TRUE(IsSafeFileName("scores_demo-small.npy"));
  for (const char* name : {"", ".", "..", "../x", "a/b", ".hidden", "a b", "a\nb", "caf\xc3\xa9"})
    EXPECT_FALSE(IsSafeFileName(name)) << name;
  EXPECT_FALSE(IsSafeFileName(std::string(201, 'a')));
}

}  // namespace
}  // namespace induct
