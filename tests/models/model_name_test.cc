#include "server/models/model_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"

namespace induct::models {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Not;

TEST(ModelName, ModelAndRevisionAreTakenApart) {
  EXPECT_EQ(ParseModelName("gpt2")->model, "gpt2");
  EXPECT_EQ(ParseModelName("gpt2")->revision, "");
  EXPECT_EQ(ParseModelName("EleutherAI/pythia-70m@step3000")->model, "EleutherAI/pythia-70m");
  EXPECT_EQ(ParseModelName("EleutherAI/pythia-70m@step3000")->revision, "step3000");
  EXPECT_EQ(ParseModelName("org/name@refs/pr/1")->revision, "refs/pr/1");
  EXPECT_EQ(ParseModelName("/data/models/alpha")->model, "/data/models/alpha");
}

TEST(ModelName, WhatIsNoNameIsNotFound) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("../a"), std::string("a/.."),
        std::string("a//b"), std::string("a/"), std::string("a/b/c"), std::string("a@"), std::string("a@.."),
        std::string("a@x/../y"), std::string("a@/x"), std::string("@main"), std::string("a\0b", 3),
        std::string("a\nb"), std::string("a\x7f"), std::string(513, 'a')}) {
    const auto parsed = ParseModelName(name);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kNotFound) << name;
    EXPECT_EQ(ReasonOf(parsed.status()), reason::kModelNotFound) << name;
  }
  EXPECT_TRUE(ParseModelName(std::string(512, 'a')).ok());
}

TEST(ModelName, ShortNamesStandForFullOnesAndBack) {
  EXPECT_EQ(FullName("pythia-14m"), "EleutherAI/pythia-14m");
  EXPECT_EQ(FullName("pythia-6.9b-deduped"), "EleutherAI/pythia-6.9b-deduped");
  EXPECT_EQ(FullName("gpt2-xl"), "openai-community/gpt2-xl");
  EXPECT_EQ(FullName("other"), "other");
  EXPECT_EQ(FullName("org/gpt2"), "org/gpt2");
  EXPECT_EQ(ShortName("EleutherAI/pythia-14m"), "pythia-14m");
  EXPECT_EQ(ShortName("org/pythia-14m"), "");
  EXPECT_EQ(ShortName("gpt2"), "");
  const std::vector<std::string> names(ShortNames().begin(), ShortNames().end());
  EXPECT_EQ(names.size(), 10 + 8 + 4);
  EXPECT_THAT(names, Contains("pythia-70m-deduped"));
  EXPECT_THAT(names, Not(Contains("pythia-31m-deduped")));
}

bool Allows(const std::string& pattern, const std::string& asked) {
  ModelName full = ParseModelName(asked).value();
  full.model = FullName(full.model);
  return IsAllowed(std::vector<std::string>{"nothing", pattern}, asked, full);
}

TEST(AllowedModels, APatternMatchesAnyNameOfAModel) {
  for (const std::string& asked : {std::string("pythia-70m"), std::string("EleutherAI/pythia-70m"),
                                   std::string("pythia-70m@main"), std::string("pythia-70m@step3000")}) {
    for (const std::string& pattern :
         {std::string("*"), std::string("pythia-70m"), std::string("pythia-*"), std::string("EleutherAI/*"),
          std::string("Eleu*70m"), std::string("pythia-[1-9]?m"), std::string("EleutherAI/pythia-70m")}) {
      EXPECT_TRUE(Allows(pattern, asked)) << pattern << " " << asked;
    }
    for (const std::string& pattern : {std::string("pythia"), std::string("gpt*"), std::string("pythia-1*")})
      EXPECT_FALSE(Allows(pattern, asked)) << pattern << " " << asked;
  }
}

TEST(AllowedModels, APatternWithARevisionAllowsThatOneAlone) {
  EXPECT_TRUE(Allows("pythia-70m@main", "EleutherAI/pythia-70m"));
  EXPECT_FALSE(Allows("pythia-70m@main", "pythia-70m@step3000"));
  EXPECT_TRUE(Allows("*@step*", "pythia-70m@step3000"));
  EXPECT_FALSE(Allows("*@step*", "pythia-70m"));
}

}  // namespace
}  // namespace induct::models
