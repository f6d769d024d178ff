#include "server/hub/repo_revision.h"

#include "tests/hub/hub_fixture.h"

namespace induct::hub {
namespace {

TEST(RepoRevisionTest, TakesTheNamesThatAHubHas) {
  for (const char* repo : {"gpt2", "EleutherAI/pythia-70m", "org_1/model.v2-0", "0/1"}) {
    EXPECT_TRUE(CheckNames({repo, "main"}).ok()) << repo;
    EXPECT_EQ(RepoOfFolder(FolderOfRepo(repo)), repo);
  }
  for (const char* revision : {"main", "step3000", "refs/pr/1", "v1.0+cu", "0123456"}) {
    EXPECT_TRUE(CheckNames({"gpt2", revision}).ok()) << revision;
  }
}

TEST(RepoRevisionTest, RefusesWhatCouldLeaveItsFolderOrItsLine) {
  const std::string long_name(97, 'a');
  for (const std::string& repo :
       {std::string(""), std::string("/"), std::string("a/b/c"), std::string("../x"), std::string("x/.."),
        std::string(".x"), std::string("a--b"), std::string("a\r\nHost: b"), std::string("a b"),
        std::string("a?b"), std::string("x.git"), std::string("a%2fb"), std::string("caf\xc3\xa9"),
        std::string("a\0b", 3), long_name}) {
    ExpectError(CheckNames({repo, "main"}), absl::StatusCode::kNotFound, reason::kModelNotFound, "no name");
  }
  for (const std::string revision : {"", "/", "a//b", "../main", "a/../b", "/main", "main/", ".hidden",
                                     "a/.b", "ma in", "main\n", "main?x", "main#x", "a%2f"}) {
    ExpectError(CheckNames({"gpt2", revision}), absl::StatusCode::kNotFound, reason::kModelNotFound,
                "no revision");
  }
  EXPECT_FALSE(CheckNames({"gpt2", std::string(201, 'a')}).ok());
}

TEST(RepoRevisionTest, KnowsCommitsAndPlainFileNames) {
  EXPECT_TRUE(IsCommit("0123456789abcdef0123456789abcdef01234567"));
  EXPECT_FALSE(IsCommit("0123456789ABCDEF0123456789abcdef01234567"));
  EXPECT_FALSE(IsCommit("0123456"));
  EXPECT_TRUE(IsPlainFileName("model-00001-of-00002.safetensors"));
  for (const std::string name : {"", ".", "..", ".x", "a/b", "a\\b", "a b", "a\n"}) {
    EXPECT_FALSE(IsPlainFileName(name)) << name;
  }
}

TEST(RepoRevisionTest, EncodesSlashesOfRevisions) {
  EXPECT_EQ(UrlEncoded("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(UrlEncoded("v1.0-a_b"), "v1.0-a_b");
}

TEST(RepoRevisionTest, FoldersOfOtherKindsAreNoModels) {
  EXPECT_EQ(FolderOfRepo("EleutherAI/pythia-70m"), "models--EleutherAI--pythia-70m");
  for (const char* folder :
       {"datasets--a--b", "models--", "models--a--b--c", "models--..", "version.txt", ".locks"}) {
    EXPECT_EQ(RepoOfFolder(folder), "") << folder;
  }
}

}  // namespace
}  // namespace induct::hub
